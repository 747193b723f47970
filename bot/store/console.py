"""What the console's pages show, each in one query."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.deployment import Kind, Phase, State
from bot.domain.environment import PRODUCTION, EnvironmentKind
from bot.domain.ids import AppId, DeploymentId, EnvironmentId, ReleaseId, Sha, TenantId
from bot.store.engine import Tx
from bot.store.schema import apps, deployment_events, deployments, environments, releases


@dataclass(frozen=True)
class Place:
    """An environment and what is live there. An app without environments has one with `None`s."""

    app_id: AppId
    app: str
    repository: str
    clone_url: str
    enabled: bool
    environment_id: EnvironmentId | None
    environment: str | None
    branch: str | None
    hostname: str | None
    pinned: bool | None
    pin_reason: str | None
    locked_by: str | None
    lock_reason: str | None
    held: int
    release_id: ReleaseId | None
    release: str | None
    sha: Sha | None
    message: str | None
    deployment_id: DeploymentId | None
    since: datetime | None


@dataclass(frozen=True)
class Listed:
    """A deployment as a row of a list: `origin` is why it was asked for, `reason` is the state's."""

    id: DeploymentId
    state: State
    phase: Phase | None
    kind: Kind
    sha: Sha
    branch: str | None
    message: str
    origin: str
    reason: str
    requested_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    app: str
    repository: str
    clone_url: str
    environment: str


def _is_there() -> sa.ColumnElement[bool]:
    begun = sa.or_(environments.c.kind != EnvironmentKind.PREVIEW, environments.c.born_at.is_not(None))
    return sa.and_(environments.c.archived_at.is_(None), begun)


def places(tx: Tx, app: AppId | None = None, *, tenant: TenantId | None = None) -> list[Place]:
    """Every environment that is there, production first; apps without one, too. Of all apps, or of some."""
    named = {
        "app_id": apps.c.id,
        "app": apps.c.slug,
        "repository": apps.c.repository,
        "clone_url": apps.c.clone_url,
        "enabled": sa.and_(apps.c.enabled, apps.c.archived_at.is_(None)),
        "environment_id": environments.c.id,
        "environment": environments.c.name,
        "branch": environments.c.branch,
        "hostname": environments.c.hostname,
        "pinned": environments.c.pinned,
        "pin_reason": environments.c.pin_reason,
        "locked_by": environments.c.locked_by,
        "lock_reason": environments.c.lock_reason,
        "held": _held(),
        "release_id": releases.c.id,
        "release": releases.c.name,
        "sha": releases.c.sha,
        "message": deployments.c.message,
        "deployment_id": deployments.c.id,
        "since": deployments.c.finished_at,
    }
    query = (
        sa.select(*(column.label(name) for name, column in named.items()))
        .select_from(apps)
        .outerjoin(environments, sa.and_(environments.c.app_id == apps.c.id, _is_there()))
        .outerjoin(releases, releases.c.id == environments.c.active_release_id)
        .outerjoin(deployments, deployments.c.id == environments.c.active_deployment_id)
        .where(apps.c.deleted_at.is_(None))
        .order_by(apps.c.slug, environments.c.name != PRODUCTION, environments.c.id)
    )
    if app is not None:
        query = query.where(apps.c.id == app)
    if tenant is not None:
        query = query.where(apps.c.tenant_id == tenant)
    return [Place(**_values(row)) for row in tx.execute(query).mappings()]


def _held() -> sa.ScalarSelect[int]:
    waiting = deployments.alias("waiting")
    return (
        sa.select(sa.func.count())
        .select_from(waiting)
        .where(waiting.c.environment_id == environments.c.id, waiting.c.state == State.HELD)
        .scalar_subquery()
    )


def newest(tx: Tx, limit: int, app: AppId | None = None, *, tenant: TenantId | None = None) -> list[Listed]:
    """The newest deployments with the names of where they go, newest first."""
    origin = (
        sa.select(deployment_events.c.reason)
        .where(deployment_events.c.deployment_id == deployments.c.id)
        .order_by(deployment_events.c.id)
        .limit(1)
        .scalar_subquery()
    )
    named = {
        "origin": origin,
        "app": apps.c.slug,
        "repository": apps.c.repository,
        "clone_url": apps.c.clone_url,
        "environment": environments.c.name,
    }
    columns = [
        (named[field.name] if field.name in named else deployments.c[field.name]).label(field.name)
        for field in fields(Listed)
    ]
    query = (
        sa.select(*columns)
        .select_from(deployments)
        .join(apps, apps.c.id == deployments.c.app_id)
        .join(environments, environments.c.id == deployments.c.environment_id)
        .where(apps.c.deleted_at.is_(None))
        .order_by(deployments.c.id.desc())
        .limit(limit)
    )
    if app is not None:
        query = query.where(deployments.c.app_id == app)
    if tenant is not None:
        query = query.where(deployments.c.tenant_id == tenant)
    return [_listed(row) for row in tx.execute(query).mappings()]


def _listed(row: RowMapping) -> Listed:
    values = _values(row)
    values["state"] = State(values["state"])
    values["kind"] = Kind(values["kind"])
    values["phase"] = Phase(values["phase"]) if values["phase"] else None
    return Listed(**values)


def _values(row: RowMapping) -> dict[str, Any]:
    return {str(name): value for name, value in row.items()}
