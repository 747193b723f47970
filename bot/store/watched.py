"""How the deployments stand that somebody watches: all of them in two questions."""

from collections.abc import Sequence
from dataclasses import fields

import sqlalchemy as sa

from bot.domain.deployment import Deployment
from bot.domain.ids import DeploymentId
from bot.store.deployment_rows import deployment_of
from bot.store.engine import Tx
from bot.store.schema import deployment_steps, deployments
from bot.store.steps import Step

_OWN = [field.name for field in fields(Deployment)]
_DEPLOYMENTS = sa.select(*(deployments.c[name] for name in _OWN)).where(
    deployments.c.id.in_(sa.bindparam("numbers", expanding=True))
)
_STEPS = (
    sa.select(deployment_steps.c.deployment_id, *(deployment_steps.c[field.name] for field in fields(Step)))
    .where(deployment_steps.c.deployment_id.in_(sa.bindparam("numbers", expanding=True)))
    .order_by(deployment_steps.c.id)
)


def standing(tx: Tx, wanted: Sequence[DeploymentId]) -> list[tuple[Deployment, list[Step]]]:
    """Some deployments, each with the steps of its attempts in order; those that are no more are left out."""
    asked = {"numbers": list(wanted)}
    done: dict[int, list[Step]] = {}
    for number, *values in tx.execute(_STEPS, asked):
        done.setdefault(number, []).append(Step(*values))
    rows = [dict(zip(_OWN, row, strict=True)) for row in tx.execute(_DEPLOYMENTS, asked)]
    return [(one, done.get(one.id, [])) for one in map(deployment_of, rows)]
