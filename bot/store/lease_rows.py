"""Leases of environments in the store: who works on what."""

from datetime import datetime
from functools import cache

import sqlalchemy as sa

from bot.domain.deployment import State
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import EnvironmentId
from bot.store.due import MAX_PAUSE, is_due, is_outside
from bot.store.engine import Tx
from bot.store.environments import FIELDS, environment_of
from bot.store.forks import is_built_in, is_strange, waits_in
from bot.store.schema import apps, deployments, environments, tenants

_HELD = environments.c.lease_until.is_not(None)
_MINE = environments.update().where(
    environments.c.id == sa.bindparam("mine"), environments.c.lease_token == sa.bindparam("held_by"), _HELD
)
_RENEW = _MINE.values(lease_until=sa.bindparam("until"))
_RELEASE = _MINE.values(lease_holder=None, lease_until=None)
_LEASED = sa.select(*FIELDS).where(_HELD)
_PREVIEWS_RUNNING = (
    sa.select(sa.func.count())
    .select_from(environments)
    .where(_HELD, environments.c.kind == EnvironmentKind.PREVIEW)
)


def claim_fairest(
    tx: Tx, holder: str, now: datetime, until: datetime, *, previews: bool, strangers: bool
) -> Environment | None:
    """Take the lease of the ready environment whose tenant was served longest ago, then the oldest.

    Ready: it has a queued deployment, nobody holds its lease, and its tenant is below its limit.
    Without `previews` none of those is taken, without `strangers` none that has a stranger's code to
    build. Those come after all others, the oldest first, and count for no tenant.
    """
    values = {"holder": holder, "until": until, "now": now, "far": now + MAX_PAUSE}
    row = tx.execute(_claiming(previews=previews, strangers=strangers), values).mappings().one_or_none()
    if row is None:
        return None
    environment = environment_of(row)
    if waits_in(tx, environment.id):
        # What strangers ask for costs nobody a turn.
        return environment
    tenant = sa.select(apps.c.tenant_id).where(apps.c.id == environment.app_id).scalar_subquery()
    tx.execute(tenants.update().where(tenants.c.id == tenant).values(served_at=now))
    return environment


@cache
def _claiming(*, previews: bool, strangers: bool) -> sa.Executable:
    # Made once: that takes ten times as long as to ask it.
    token = environments.c.lease_token + 1
    return (
        environments.update()
        .where(environments.c.id == _fairest(previews=previews, strangers=strangers), _is_free())
        .values(lease_holder=sa.bindparam("holder"), lease_token=token, lease_until=sa.bindparam("until"))
        .returning(*FIELDS)
    )


def _fairest(*, previews: bool, strangers: bool) -> sa.ScalarSelect[int]:
    due = is_outside(deployments.c.ready_at, sa.bindparam("now"), sa.bindparam("far"))
    kind = sa.true() if previews else environments.c.kind != EnvironmentKind.PREVIEW
    strange = sa.func.max(sa.case((is_strange(), 1), else_=0))
    turn = sa.case((strange == 0, tenants.c.served_at), else_=None)
    below = sa.or_(tenants.c.build_limit.is_(None), _running_of_tenant() < tenants.c.build_limit)
    return (
        sa.select(environments.c.id)
        .join(apps, apps.c.id == environments.c.app_id)
        .join(tenants, tenants.c.id == apps.c.tenant_id)
        .join(deployments, deployments.c.environment_id == environments.c.id)
        .where(deployments.c.state == State.QUEUED, due, _is_free(), below, kind)
        .group_by(environments.c.id, tenants.c.served_at, tenants.c.id)
        .having(sa.true() if strangers else strange == 0)
        .order_by(strange, turn.asc().nulls_first(), sa.func.min(deployments.c.id))
        .limit(1)
        .scalar_subquery()
    )


def _running_of_tenant() -> sa.ScalarSelect[int]:
    busy, busy_apps = environments.alias("busy"), apps.alias("busy_apps")
    return (
        sa.select(sa.func.count())
        .select_from(busy.join(busy_apps, busy.c.app_id == busy_apps.c.id))
        .where(
            busy.c.lease_until.is_not(None),
            busy_apps.c.tenant_id == tenants.c.id,
            # Those have a limit of their own, and keep nobody of the tenant's waiting.
            sa.not_(is_built_in(busy.c.id)),
        )
        .scalar_subquery()
    )


def _is_free() -> sa.ColumnElement[bool]:
    # A lease that ran out is taken back with its deployment first: its end is a mark, no moment to wait for.
    return environments.c.lease_until.is_(None)


def leased(tx: Tx) -> list[Environment]:
    """Environments that somebody holds, expired leases too."""
    return [environment_of(row) for row in tx.execute(_LEASED).mappings()]


def previews_running(tx: Tx) -> int:
    """How many leases are held on previews."""
    return tx.scalar(_PREVIEWS_RUNNING) or 0


def renew_lease(tx: Tx, environment: EnvironmentId, token: int, until: datetime) -> bool:
    """Prolong a lease; False when it is no longer the caller's."""
    return tx.execute(_RENEW, {"mine": environment, "held_by": token, "until": until}).rowcount == 1


def release_lease(tx: Tx, environment: EnvironmentId, token: int) -> bool:
    """Give a lease back; False when it was no longer the caller's."""
    return tx.execute(_RELEASE, {"mine": environment, "held_by": token}).rowcount == 1


def ready_ids(tx: Tx, now: datetime) -> list[EnvironmentId]:
    """Environments with a queued deployment that nobody works on."""
    query = (
        sa.select(environments.c.id)
        .join(deployments, deployments.c.environment_id == environments.c.id)
        .where(deployments.c.state == State.QUEUED, is_due(deployments.c.ready_at, now), _is_free())
        .distinct()
    )
    return [EnvironmentId(found) for found in tx.scalars(query)]
