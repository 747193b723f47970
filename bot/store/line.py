"""What is known of the queue: who waits, who is worked on, and how long such work took before."""

from dataclasses import dataclass
from datetime import datetime
from statistics import median

import sqlalchemy as sa

from bot.domain.deployment import State
from bot.domain.ids import AppId, DeploymentId, EnvironmentId, TenantId
from bot.domain.line import Busy, House, Waiting
from bot.store.engine import Tx
from bot.store.schema import apps, deployments, environments, tenants

MOST = 100
"""How many that wait are looked at."""
UNKNOWN_SECONDS = 60.0
"""How long a deployment takes of an app that had none."""
_HISTORY = 9
_HOLDING = (State.RUNNING, State.CANCELLING)


@dataclass(frozen=True)
class Known:
    """The queue at one moment."""

    waiting: list[Waiting]
    busy: list[Busy]
    house: House
    seconds: dict[AppId, float]


def known(tx: Tx, now: datetime, slots: int) -> Known:
    """Look at the queue: at what waits and runs, whatever the store holds besides."""
    waiting = _waiting(tx, now)
    running = _running(tx)
    seconds = {
        app: _usual_seconds(tx, app) for app in {one.app for one in waiting} | {row[2] for row in running}
    }
    busy = [
        Busy(EnvironmentId(row[0]), TenantId(row[1]), _left(row[3], now, seconds[AppId(row[2])]))
        for row in running
    ]
    query = sa.select(tenants.c.id, tenants.c.build_limit).order_by(tenants.c.served_at)
    rows = tx.execute(query.where(tenants.c.id.in_({one.tenant for one in waiting}))).all()
    limits = {TenantId(row[0]): row[1] for row in rows if row[1] is not None}
    served = [TenantId(row[0]) for row in rows]
    return Known(waiting, busy, House(slots, limits, served), seconds)


def _waiting(tx: Tx, now: datetime) -> list[Waiting]:
    columns = (deployments.c.id, deployments.c.environment_id, deployments.c.app_id, deployments.c.tenant_id)
    query = sa.select(*columns, deployments.c.ready_at).where(deployments.c.state == State.QUEUED)
    rows = tx.execute(query.order_by(deployments.c.id).limit(MOST))
    return [
        Waiting(
            DeploymentId(row[0]),
            EnvironmentId(row[1]),
            AppId(row[2]),
            TenantId(row[3]),
            max(0.0, (row[4] - now).total_seconds()) if row[4] else 0.0,
        )
        for row in rows
    ]


def _running(tx: Tx) -> list[tuple[int, int, AppId, datetime | None]]:
    query = (
        sa.select(environments.c.id, apps.c.tenant_id, apps.c.id, deployments.c.started_at)
        .join(apps, apps.c.id == environments.c.app_id)
        .join(deployments, deployments.c.environment_id == environments.c.id)
        .where(environments.c.lease_until.is_not(None), deployments.c.state.in_(_HOLDING))
    )
    return [(row[0], row[1], AppId(row[2]), row[3]) for row in tx.execute(query)]


def _usual_seconds(tx: Tx, app: AppId) -> float:
    """The median of the newest deployments of an app that succeeded."""
    where = (deployments.c.app_id == app, deployments.c.state == State.SUCCEEDED)
    query = sa.select(deployments.c.started_at, deployments.c.finished_at).where(*where)
    rows = tx.execute(query.order_by(deployments.c.id.desc()).limit(_HISTORY))
    taken = [(row[1] - row[0]).total_seconds() for row in rows if row[0] and row[1]]
    return max(1.0, median(taken)) if taken else UNKNOWN_SECONDS


def _left(started: datetime | None, now: datetime, usual: float) -> float:
    passed = (now - started).total_seconds() if started else 0.0
    return max(1.0, usual - passed)
