"""The steps of deployments in the store."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot.domain.ids import DeploymentId
from bot.store.engine import Tx
from bot.store.schema import deployment_steps


@dataclass(frozen=True)
class Step:
    """One step of one attempt. State: `running`, `succeeded`, `failed` or `skipped`."""

    attempt: int
    name: str
    state: str
    command: str | None
    exit_code: int | None
    started_at: datetime
    finished_at: datetime | None

    @property
    def success(self) -> bool | None:
        """Whether it succeeded; None while it runs."""
        return None if self.finished_at is None else self.state == "succeeded"


_OF_DEPLOYMENT = (
    sa.select(*(deployment_steps.c[field.name] for field in fields(Step)))
    .where(deployment_steps.c.deployment_id == sa.bindparam("deployment"))
    .order_by(deployment_steps.c.id)
)


_START = deployment_steps.insert()
_END_OPEN = (
    deployment_steps.update()
    .where(
        deployment_steps.c.deployment_id == sa.bindparam("deployment"),
        deployment_steps.c.state == "running",
    )
    .values(state=sa.bindparam("ended"), finished_at=sa.bindparam("now"))
)


def start(tx: Tx, deployment: DeploymentId, attempt: int, name: str, *, now: datetime) -> None:
    """Remember that a step of an attempt has begun."""
    row = {
        "deployment_id": deployment,
        "attempt": attempt,
        "name": name,
        "state": "running",
        "started_at": now,
    }
    tx.execute(_START, row)


def change(tx: Tx, deployment: DeploymentId, attempt: int, name: str, **changes: Any) -> None:
    """Change a step: `command`, or its end with `state`, `exit_code` and `finished_at`."""
    table = deployment_steps
    where = (table.c.deployment_id == deployment, table.c.attempt == attempt, table.c.name == name)
    tx.execute(table.update().where(*where).values(**changes))


def end_open(tx: Tx, deployment: DeploymentId, now: datetime, *, state: str = "failed") -> None:
    """End the steps that still run: `succeeded` when their attempt went on, else `failed`."""
    tx.execute(_END_OPEN, {"deployment": deployment, "ended": state, "now": now})


def of_deployment(tx: Tx, deployment: DeploymentId) -> list[Step]:
    """The steps of every attempt, in order."""
    return [Step(*row) for row in tx.execute(_OF_DEPLOYMENT, {"deployment": deployment})]
