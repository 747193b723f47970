"""What the store knows of commits that come from forks: which they are, and how many are being built."""

import sqlalchemy as sa

from bot.domain.deployment import Kind, State
from bot.domain.ids import AppId, EnvironmentId
from bot.domain.pull import PullNumber
from bot.store.engine import Tx
from bot.store.schema import apps, deployments, environments, pull_requests


def is_from_fork(app: AppId, environment: EnvironmentId, pull: PullNumber | None) -> sa.ColumnElement[bool]:
    """Whether a deployment is of a pull request that is not known to come from the app's own repository.

    In a preview everything is of its pull request, also what names none.
    """
    place = sa.select(environments.c.pull).where(environments.c.id == environment).scalar_subquery()
    number = sa.func.coalesce(pull, place)
    own = (
        sa.select(pull_requests.c.id)
        .join(apps, apps.c.repository_id == pull_requests.c.repository_id)
        .where(
            apps.c.id == app,
            pull_requests.c.number == number,
            pull_requests.c.head_repository_id == pull_requests.c.repository_id,
        )
    )
    return sa.and_(number.is_not(None), sa.not_(own.exists()))


def is_strange() -> sa.ColumnElement[bool]:
    """Whether a deployment builds a stranger's code: what `bot.domain.trust` says, for a query."""
    approved = sa.and_(deployments.c.approved_by.is_not(None), deployments.c.with_secrets)
    return sa.and_(deployments.c.kind == Kind.BUILD, deployments.c.from_fork, sa.not_(approved))


def strangers_running(tx: Tx) -> int:
    """How many leases are held to build strangers' code."""
    query = (
        sa.select(sa.func.count(sa.distinct(environments.c.id)))
        .join(deployments, deployments.c.environment_id == environments.c.id)
        .where(
            environments.c.lease_until.is_not(None),
            deployments.c.state.in_((State.RUNNING, State.CANCELLING)),
            is_strange(),
        )
    )
    return tx.scalar(query) or 0
