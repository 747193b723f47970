"""What the store knows of commits that come from forks: which they are, and how many are being built."""

import sqlalchemy as sa

from bot.domain.deployment import Kind, State, Trigger
from bot.domain.ids import AppId, EnvironmentId, Sha
from bot.domain.pull import PullNumber
from bot.store.engine import Tx
from bot.store.schema import apps, deployments, environments, pull_requests


def is_from_fork(
    app: AppId, environment: EnvironmentId, pull: PullNumber | None, *, named: Sha | None
) -> sa.ColumnElement[bool]:
    """Whether a deployment is of a pull request that is not known to come from the app's own repository.

    In a preview everything is of its pull request, also what names none. Elsewhere a commit that somebody
    `named` by hand may be one that came from a fork, unless it was pushed to a branch since.
    """
    came = sa.false() if named is None else _came_from_fork(app, named)
    place = sa.select(environments.c.pull).where(environments.c.id == environment).scalar_subquery()
    number = sa.func.coalesce(pull, place)
    own = (
        sa.select(pull_requests.c.id)
        .join(apps, apps.c.id == pull_requests.c.app_id)
        .where(
            apps.c.id == app,
            apps.c.repository_id == pull_requests.c.repository_id,
            pull_requests.c.number == number,
            pull_requests.c.head_repository_id == pull_requests.c.repository_id,
        )
    )
    return sa.or_(sa.and_(number.is_not(None), sa.not_(own.exists())), came)


def _came_from_fork(app: AppId, sha: Sha) -> sa.ColumnElement[bool]:
    known = deployments.alias("known")
    of_commit = sa.select(known.c.id).where(known.c.app_id == app, known.c.sha == sha)
    pushed = of_commit.where(known.c.trigger == Trigger.PUSH, sa.not_(known.c.from_fork))
    return sa.and_(of_commit.where(known.c.from_fork).exists(), sa.not_(pushed.exists()))


def commits_like(tx: Tx, environment: EnvironmentId, beginning: str) -> set[Sha]:
    """The commits of an environment's deployments whose ids begin so."""
    # 'g' sorts behind every hexadecimal digit.
    where = (deployments.c.sha >= beginning, deployments.c.sha < f"{beginning}g")
    query = sa.select(deployments.c.sha).where(deployments.c.environment_id == environment, *where).distinct()
    return {Sha(one) for one in tx.scalars(query)}


def is_strange(table: sa.FromClause = deployments) -> sa.ColumnElement[bool]:
    """Whether a deployment builds a stranger's code: what `bot.domain.trust` says, for a query."""
    approved = sa.and_(table.c.approved_by.is_not(None), table.c.with_secrets)
    return sa.and_(table.c.kind == Kind.BUILD, table.c.from_fork, sa.not_(approved))


_WAITING = (
    sa.select(deployments.c.id)
    .where(
        deployments.c.environment_id == sa.bindparam("environment"),
        deployments.c.state == State.QUEUED,
        is_strange(),
    )
    .limit(1)
)


def waits_in(tx: Tx, environment: EnvironmentId) -> bool:
    """Whether a stranger's code is to be built in an environment."""
    return tx.scalar(_WAITING, {"environment": environment}) is not None


def is_built_in(environment: sa.ColumnElement[int]) -> sa.ColumnElement[bool]:
    """Whether a stranger's code is being built in an environment."""
    under_way = deployments.alias("under_way")
    states = (State.RUNNING, State.CANCELLING)
    where = (under_way.c.environment_id == environment, under_way.c.state.in_(states), is_strange(under_way))
    return sa.select(under_way.c.id).where(*where).exists()


_RUNNING = (
    sa.select(sa.func.count())
    .select_from(environments)
    .where(environments.c.lease_until.is_not(None), is_built_in(environments.c.id))
)


def strangers_running(tx: Tx) -> int:
    """How many leases are held to build strangers' code."""
    return tx.scalar(_RUNNING) or 0
