"""The audit log by page: what one may see, by who, what, where and when."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from bot.domain.audit import Row
from bot.domain.ids import AppId, ProjectId, TenantId
from bot.store.audit import row_of
from bot.store.engine import Tx
from bot.store.pages import COUNTED, Found, Slice
from bot.store.schema import apps, audit


@dataclass(frozen=True)
class AuditFilter:
    """Which rows. Without a tenant, those of all, and those that belong to none."""

    tenant_id: TenantId | None = None
    project_id: ProjectId | None = None
    app_id: AppId | None = None
    actor: str | None = None
    action: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    besides: tuple[str, ...] = ()
    """Actions that are left out."""


def page(tx: Tx, wanted: AuditFilter, part: Slice) -> Found[Row]:
    """A page of the log, newest first."""
    where = _where(wanted)
    query = sa.select(audit).where(*where).order_by(audit.c.id.desc())
    rows = tx.execute(query.offset(part.offset).limit(part.limit)).mappings()
    some = sa.select(audit.c.id).where(*where).limit(COUNTED).subquery()
    total = tx.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    return Found([row_of(row) for row in rows], total)


def newest(tx: Tx, wanted: AuditFilter, *, below: int | None, limit: int) -> list[Row]:
    """The newest rows, below a number where there is one."""
    query = sa.select(audit).where(*_where(wanted)).order_by(audit.c.id.desc()).limit(limit)
    if below is not None:
        query = query.where(audit.c.id < below)
    return [row_of(row) for row in tx.execute(query).mappings()]


def portion(tx: Tx, wanted: AuditFilter, *, after: int, limit: int) -> list[Row]:
    """The oldest rows behind a number."""
    query = sa.select(audit).where(*_where(wanted), audit.c.id > after).order_by(audit.c.id).limit(limit)
    return [row_of(row) for row in tx.execute(query).mappings()]


def _where(wanted: AuditFilter) -> list[sa.ColumnElement[bool]]:
    pairs = (
        (audit.c.tenant_id, wanted.tenant_id),
        (audit.c.app_id, wanted.app_id),
        (audit.c.action, wanted.action),
        (audit.c.subject, wanted.subject),
    )
    where = [column == value for column, value in pairs if value is not None]
    if wanted.project_id is not None:
        own = sa.select(apps.c.id).where(apps.c.project_id == wanted.project_id)
        where.append(audit.c.app_id.in_(own))
    if wanted.actor is not None:
        where.append(sa.or_(audit.c.actor == wanted.actor, audit.c.actor_key == wanted.actor))
    if wanted.since is not None:
        where.append(audit.c.at >= wanted.since)
    if wanted.until is not None:
        where.append(audit.c.at < wanted.until)
    if wanted.search:
        columns = (audit.c.subject, audit.c.actor, audit.c.action)
        where.append(sa.or_(*(one.icontains(wanted.search, autoescape=True) for one in columns)))
    if wanted.besides:
        where.append(audit.c.action.not_in(wanted.besides))
    return where
