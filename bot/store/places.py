"""Environments with what is live there, in one query; and what was decided about deliveries, by page."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from bot.domain.deployment import State
from bot.domain.environment import PRODUCTION, Environment, EnvironmentKind
from bot.domain.ids import AppId, DeliveryId, TenantId
from bot.store.engine import Tx
from bot.store.pages import COUNTED, Found, Slice
from bot.store.schema import apps, decisions, deliveries, deployments, environments, releases


@dataclass(frozen=True)
class Live:
    """An environment, the release that is live there, since when, and how many deployments are held."""

    environment: Environment
    release: str | None
    release_number: int | None
    sha: str | None
    since: datetime | None
    held: int


@dataclass(frozen=True)
class Production:
    """Where an app's production is, and what is live there."""

    hostname: str
    release: str | None
    release_number: int | None
    sha: str | None
    since: datetime | None


@dataclass(frozen=True)
class Received:
    """A delivery without its body."""

    id: DeliveryId
    guid: str
    event: str
    source: str
    state: str
    note: str
    attempts: int
    received_at: datetime
    decided_at: datetime | None


@dataclass(frozen=True)
class Decided:
    """What a delivery meant for one app, named by its slug; or, without one, as a whole."""

    delivery_id: DeliveryId
    app: str | None
    kind: str
    code: str
    sentence: str
    facts: dict[str, Any]
    created_at: datetime


_NAMES = [field.name for field in fields(Environment)]
_ENVIRONMENT = [environments.c[field.name] for field in fields(Environment)]
_RECEIVED = [deliveries.c[field.name] for field in fields(Received)]


_waiting = deployments.alias("waiting")
_HELD = (
    sa.select(sa.func.count())
    .select_from(_waiting)
    .where(_waiting.c.environment_id == environments.c.id, _waiting.c.state == State.HELD)
    .scalar_subquery()
)
_LIVE_IN = (
    sa.select(
        *_ENVIRONMENT, releases.c.name, releases.c.number, releases.c.sha, deployments.c.finished_at, _HELD
    )
    .select_from(environments)
    .outerjoin(releases, releases.c.id == environments.c.active_release_id)
    .outerjoin(deployments, deployments.c.id == environments.c.active_deployment_id)
    .where(environments.c.app_id.in_(sa.bindparam("apps", expanding=True)))
    .order_by(environments.c.app_id, environments.c.name != PRODUCTION, environments.c.id)
)


_PRODUCTIONS = (
    sa.select(
        environments.c.app_id,
        environments.c.hostname,
        releases.c.name,
        releases.c.number,
        releases.c.sha,
        deployments.c.finished_at,
    )
    .select_from(environments)
    .outerjoin(releases, releases.c.id == environments.c.active_release_id)
    .outerjoin(deployments, deployments.c.id == environments.c.active_deployment_id)
    .where(environments.c.app_id.in_(sa.bindparam("apps", expanding=True)), environments.c.name == PRODUCTION)
)


def productions(tx: Tx, app_ids: Sequence[AppId]) -> dict[AppId, Production]:
    """The production of each of some apps; those that have none yet are left out."""
    rows = tx.execute(_PRODUCTIONS, {"apps": app_ids}).all()
    return {AppId(row[0]): Production(*row[1:]) for row in rows}


def live_in(tx: Tx, app_ids: Sequence[AppId]) -> list[Live]:
    """The environments of some apps, production first."""
    return [_live(row) for row in tx.execute(_LIVE_IN, {"apps": app_ids})]


def received(
    tx: Tx, tenant: TenantId | None, part: Slice, *, event: str | None, state: str | None
) -> Found[Received]:
    """A page of deliveries, newest first: all, or those that concern a tenant's apps."""
    where: list[sa.ColumnElement[bool]] = []
    if tenant is not None:
        where.append(deliveries.c.id.in_(_of_tenant(tenant)))
    if event is not None:
        where.append(deliveries.c.event == event)
    if state is not None:
        where.append(deliveries.c.state == state)
    query = sa.select(*_RECEIVED).where(*where).order_by(deliveries.c.id.desc())
    rows = tx.execute(query.offset(part.offset).limit(part.limit)).mappings()
    found = [Received(**{str(name): value for name, value in row.items()}) for row in rows]
    some = sa.select(deliveries.c.id).where(*where).limit(COUNTED).subquery()
    return Found(found, tx.scalar(sa.select(sa.func.count()).select_from(some)) or 0)


def received_as(tx: Tx, tenant: TenantId | None, guid: str) -> list[Received]:
    """Deliveries of a GUID, one per webhook: all, or those that concern a tenant's apps."""
    query = sa.select(*_RECEIVED).where(deliveries.c.guid == guid).order_by(deliveries.c.id)
    if tenant is not None:
        query = query.where(deliveries.c.id.in_(_of_tenant(tenant)))
    rows = tx.execute(query).mappings()
    return [Received(**{str(name): value for name, value in row.items()}) for row in rows]


def decided(tx: Tx, tenant: TenantId | None, ids: Sequence[DeliveryId]) -> list[Decided]:
    """What was decided about some deliveries; with a tenant, only about its apps."""
    columns = (decisions.c.delivery_id, apps.c.slug, decisions.c.kind, decisions.c.code, decisions.c.sentence)
    query = (
        sa.select(*columns, decisions.c.facts, decisions.c.created_at)
        .select_from(decisions)
        .outerjoin(apps, apps.c.id == decisions.c.app_id)
        .where(decisions.c.delivery_id.in_(ids))
        .order_by(decisions.c.id)
    )
    if tenant is not None:
        query = query.where(apps.c.tenant_id == tenant)
    return [Decided(*row) for row in tx.execute(query)]


def _of_tenant(tenant: TenantId) -> sa.Select[tuple[int]]:
    query = sa.select(decisions.c.delivery_id).join(apps, apps.c.id == decisions.c.app_id)
    return query.where(apps.c.tenant_id == tenant)


def _live(row: Sequence[Any]) -> Live:
    values = dict(zip(_NAMES, row, strict=False))
    values["kind"] = EnvironmentKind(values["kind"])
    return Live(Environment(**values), *row[len(_NAMES) :])
