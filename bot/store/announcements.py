"""What GitHub was last made to show of each deployment."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot.domain.ids import AppId, DeploymentId, EnvironmentId
from bot.store.engine import Tx
from bot.store.schema import announcements, deployment_events, deployments


@dataclass(frozen=True)
class Announcement:
    """`shown` maps a surface to what it was last made to show."""

    deployment_id: DeploymentId
    github_deployment_id: int | None
    shown: dict[str, Any]
    attempts: int
    retry_at: datetime | None
    note: str


def get(tx: Tx, deployment: DeploymentId) -> Announcement:
    """What was shown so far; nothing at first."""
    query = sa.select(announcements).where(announcements.c.deployment_id == deployment)
    row = tx.execute(query).mappings().one_or_none()
    if row is None:
        return Announcement(deployment, None, {}, 0, None, "")
    return Announcement(**{str(name): value for name, value in row.items()})


def of_environment(tx: Tx, environment: EnvironmentId, limit: int) -> list[Announcement]:
    """What was shown of an environment's deployments that are known to GitHub as such, newest first."""
    known = announcements.c.github_deployment_id.is_not(None)
    query = sa.select(announcements).join(deployments, deployments.c.id == announcements.c.deployment_id)
    query = query.where(deployments.c.environment_id == environment, known)
    rows = tx.execute(query.order_by(deployments.c.id.desc()).limit(limit)).mappings()
    return [Announcement(**{str(name): value for name, value in row.items()}) for row in rows]


def hurry(tx: Tx, app: AppId) -> None:
    """Let what GitHub is owed of an app be tried again at once."""
    mine = sa.select(deployments.c.id).where(
        deployments.c.app_id == app, deployments.c.announced < deployments.c.version
    )
    where = (announcements.c.retry_at.is_not(None), announcements.c.deployment_id.in_(mine))
    tx.execute(announcements.update().where(*where).values(retry_at=None))


def is_troubled(tx: Tx) -> bool:
    """Whether GitHub is owed something that it did not take at the first attempt."""
    owed = deployments.c.announced < deployments.c.version
    query = sa.select(deployments.c.id).join(announcements, announcements.c.deployment_id == deployments.c.id)
    return tx.scalar(query.where(owed, announcements.c.attempts > 0).limit(1)) is not None


def keep(tx: Tx, announcement: Announcement) -> None:
    """Replace what was shown."""
    values = {
        "github_deployment_id": announcement.github_deployment_id,
        "shown": announcement.shown,
        "attempts": announcement.attempts,
        "retry_at": announcement.retry_at,
        "note": announcement.note,
    }
    where = announcements.c.deployment_id == announcement.deployment_id
    if tx.execute(announcements.update().where(where).values(values)).rowcount == 0:
        tx.execute(announcements.insert().values(deployment_id=announcement.deployment_id, **values))


def happened_after(tx: Tx, deployment: DeploymentId, other: DeploymentId) -> bool:
    """Whether the last thing that happened to a deployment came after the last that happened to another."""
    order = dict(
        tx.execute(
            sa.select(deployments.c.id, _last_event()).where(deployments.c.id.in_((deployment, other)))
        ).all()
    )
    return order[deployment] > order[other]


def _last_event() -> sa.ScalarSelect[int]:
    # What came later has the higher number; its moment may be the earlier one, since clocks are set back.
    own = deployment_events.c.deployment_id == deployments.c.id
    return sa.select(sa.func.max(deployment_events.c.id)).where(own).correlate(deployments).scalar_subquery()
