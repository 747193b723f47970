"""Webhooks and channels in the store."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import AppId, ProjectId, TenantId
from bot.domain.outgoing import Event, Receiver, ReceiverKind
from bot.store.engine import Tx
from bot.store.outgoing_schema import message_attempts, messages, receivers
from bot.store.pages import COUNTED, Found, Slice
from bot.store.schema import apps, projects, tenants

_FIELDS = [receivers.c[field.name] for field in fields(Receiver)]
# Made once: each step of each deployment asks it.
_OF_APP = (
    sa.select(*_FIELDS)
    .select_from(apps.join(receivers, receivers.c.tenant_id == apps.c.tenant_id))
    .where(
        apps.c.id == sa.bindparam("app"),
        receivers.c.enabled,
        sa.or_(receivers.c.app_id.is_(None), receivers.c.app_id == apps.c.id),
        sa.or_(receivers.c.project_id.is_(None), receivers.c.project_id == apps.c.project_id),
    )
    .order_by(receivers.c.id)
)


@dataclass(frozen=True)
class NewReceiver:
    """What is needed to store a receiver."""

    tenant_id: TenantId
    project_id: ProjectId | None
    app_id: AppId | None
    kind: ReceiverKind
    name: str
    address: str
    sealed: bytes
    events: frozenset[Event]
    created_by: str


def insert(tx: Tx, new: NewReceiver, now: datetime) -> Receiver:
    """Store a receiver."""
    values: dict[str, Any] = {field.name: getattr(new, field.name) for field in fields(new)}
    values |= {"events": sorted(new.events), "created_at": now}
    return receiver_of(tx.execute(receivers.insert().values(values).returning(*_FIELDS)).mappings().one())


def find(tx: Tx, number: int) -> Receiver | None:
    """One receiver by its id."""
    row = tx.execute(sa.select(*_FIELDS).where(receivers.c.id == number)).mappings().one_or_none()
    return receiver_of(row) if row else None


def of_tenant(
    tx: Tx, tenant: TenantId, kind: ReceiverKind, part: Slice, *, app: AppId | None = None
) -> Found[Receiver]:
    """A page of a tenant's receivers of a kind, oldest first; with an app, those that are for it alone."""
    where = [receivers.c.tenant_id == tenant, receivers.c.kind == kind]
    if app is not None:
        where.append(receivers.c.app_id == app)
    query = sa.select(*_FIELDS).where(*where).order_by(receivers.c.id)
    rows = tx.execute(query.offset(part.offset).limit(part.limit)).mappings()
    some = sa.select(receivers.c.id).where(*where).limit(COUNTED).subquery()
    total = tx.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    return Found([receiver_of(row) for row in rows], total)


def count(tx: Tx, tenant: TenantId) -> int:
    """How many a tenant has."""
    query = sa.select(sa.func.count()).select_from(receivers).where(receivers.c.tenant_id == tenant)
    return tx.scalar(query) or 0


def listening_to_app(tx: Tx, app: AppId) -> list[Receiver]:
    """Receivers that are switched on and are for an app, its project, or its tenant."""
    return [receiver_of(row) for row in tx.execute(_OF_APP, {"app": app}).mappings()]


def listening_to_tenant(tx: Tx, tenant: TenantId) -> list[Receiver]:
    """Receivers that are switched on and are for a tenant as a whole."""
    whole = (receivers.c.app_id.is_(None), receivers.c.project_id.is_(None))
    query = sa.select(*_FIELDS).where(receivers.c.tenant_id == tenant, receivers.c.enabled, *whole)
    return [receiver_of(row) for row in tx.execute(query.order_by(receivers.c.id)).mappings()]


def names_of(tx: Tx, app: AppId) -> tuple[str, str, str]:
    """The slugs of an app's tenant, of its project, and its own."""
    query = sa.select(tenants.c.slug, projects.c.slug, apps.c.slug).select_from(apps)
    query = query.join(tenants, tenants.c.id == apps.c.tenant_id)
    query = query.join(projects, projects.c.id == apps.c.project_id).where(apps.c.id == app)
    tenant, project, own = tx.execute(query).one()
    return tenant, project, own


def change(tx: Tx, number: int, changes: Mapping[str, Any]) -> Receiver:
    """Change a receiver."""
    values = dict(changes)
    if "events" in values:
        values["events"] = sorted(values["events"])
    if values:
        tx.execute(receivers.update().where(receivers.c.id == number).values(values))
    found = find(tx, number)
    assert found is not None
    return found


def delete(tx: Tx, number: int) -> None:
    """Delete a receiver with its messages."""
    own = sa.select(messages.c.id).where(messages.c.receiver_id == number)
    tx.execute(message_attempts.delete().where(message_attempts.c.message_id.in_(own)))
    tx.execute(messages.delete().where(messages.c.receiver_id == number))
    tx.execute(receivers.delete().where(receivers.c.id == number))


def receiver_of(row: RowMapping) -> Receiver:
    """A receiver from a row that has its columns."""
    values: dict[str, Any] = {field.name: row[field.name] for field in fields(Receiver)}
    values["kind"] = ReceiverKind(values["kind"])
    values["events"] = frozenset(Event(one) for one in values["events"] if one in set(Event))
    return Receiver(**values)
