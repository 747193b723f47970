"""Pages of long lists, each in one query that costs what the page costs, not what the store holds."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.app import App
from bot.domain.deployment import Deployment
from bot.domain.ids import AppId, DeploymentId, ProjectId, TenantId
from bot.store.apps import app_of
from bot.store.choosing import COUNTED, DeploymentFilter, choose, mentions
from bot.store.deployments import deployment_of
from bot.store.engine import Tx
from bot.store.schema import apps, deployments, environments, releases

T = TypeVar("T")
__all__ = ["COUNTED", "DeploymentFilter"]


@dataclass(frozen=True)
class Slice:
    """Which part of a list, and by what it is sorted: a column's name, with `-` before it descending."""

    offset: int
    limit: int
    sort: str


@dataclass(frozen=True)
class Found(Generic[T]):
    """A part of a list, and how long the whole is, up to `COUNTED`."""

    rows: list[T]
    total: int


@dataclass(frozen=True)
class AppFilter:
    """Which apps. Without a tenant, those of all."""

    tenant_id: TenantId | None = None
    project_id: ProjectId | None = None
    archived: bool | None = None
    enabled: bool | None = None
    search: str | None = None


@dataclass(frozen=True)
class Shown:
    """A deployment with the names of what it belongs to."""

    deployment: Deployment
    app: str
    environment: str
    hostname: str
    release: str | None
    release_number: int | None


_DEPLOYMENT = [deployments.c[field.name] for field in fields(Deployment)]
_APP = [apps.c[field.name] for field in fields(App)]
_NAMES = (
    apps.c.slug.label("shown_app"),
    environments.c.name.label("shown_environment"),
    environments.c.hostname.label("shown_hostname"),
    releases.c.name.label("shown_release"),
    releases.c.number.label("shown_number"),
)
_SORTED = {"createdAt": deployments.c.id, "slug": apps.c.slug, "appCreatedAt": apps.c.id}


def apps_page(tx: Tx, wanted: AppFilter, part: Slice) -> Found[App]:
    """A page of apps; `sort` is `slug` or `appCreatedAt`."""
    query = sa.select(*_APP).where(*_apps_where(wanted))
    rows = [app_of(row) for row in tx.execute(_cut(query, part)).mappings()]
    return Found(rows, _count(tx, sa.select(apps.c.id).where(*_apps_where(wanted))))


def deployments_page(tx: Tx, wanted: DeploymentFilter, part: Slice) -> Found[Shown]:
    """A page of deployments; `sort` is `createdAt`, whose order is that of the numbers."""
    chosen = choose(wanted)
    page = _cut(chosen, part, chosen.selected_columns.id).subquery()
    query = _shown().join(page, page.c.id == deployments.c.id).order_by(_order(part.sort))
    return Found([_named(row) for row in tx.execute(query).mappings()], _count(tx, chosen))


def newest_deployments(tx: Tx, wanted: DeploymentFilter, *, below: int | None, limit: int) -> list[Shown]:
    """The newest deployments, below a number where there is one."""
    chosen = choose(wanted)
    number = chosen.selected_columns.id
    if below is not None:
        chosen = chosen.where(number < below)
    page = chosen.order_by(number.desc()).limit(limit).subquery()
    query = _shown().join(page, page.c.id == deployments.c.id).order_by(deployments.c.id.desc())
    return [_named(row) for row in tx.execute(query).mappings()]


def slugs(tx: Tx, ids: Sequence[AppId]) -> dict[AppId, str]:
    """What apps are called."""
    found = tx.execute(sa.select(apps.c.id, apps.c.slug).where(apps.c.id.in_(ids))) if ids else ()
    return {AppId(row[0]): row[1] for row in found}


def shown(tx: Tx, deployment: DeploymentId) -> Shown | None:
    """One deployment with the names of what it belongs to, unless its app was deleted."""
    query = _shown().where(deployments.c.id == deployment, apps.c.deleted_at.is_(None))
    row = tx.execute(query).mappings().one_or_none()
    return _named(row) if row else None


def _shown() -> sa.Select[*tuple[Any, ...]]:
    return (
        sa.select(*_DEPLOYMENT, *_NAMES)
        .select_from(deployments)
        .join(apps, apps.c.id == deployments.c.app_id)
        .join(environments, environments.c.id == deployments.c.environment_id)
        .outerjoin(releases, releases.c.id == deployments.c.release_id)
    )


def _apps_where(wanted: AppFilter) -> list[sa.ColumnElement[bool]]:
    where: list[sa.ColumnElement[bool]] = [apps.c.deleted_at.is_(None)]
    if wanted.tenant_id is not None:
        where.append(apps.c.tenant_id == wanted.tenant_id)
    if wanted.project_id is not None:
        where.append(apps.c.project_id == wanted.project_id)
    if wanted.archived is not None:
        where.append(apps.c.archived_at.is_not(None) if wanted.archived else apps.c.archived_at.is_(None))
    if wanted.enabled is not None:
        where.append(apps.c.enabled == wanted.enabled)
    if wanted.search:
        where.append(mentions(wanted.search, apps.c.slug, apps.c.repository))
    return where


def _cut(
    query: sa.Select[*tuple[Any, ...]], part: Slice, column: sa.ColumnElement[Any] | None = None
) -> sa.Select[*tuple[Any, ...]]:
    ordered = _SORTED[part.sort.removeprefix("-")] if column is None else column
    order = ordered.desc() if part.sort.startswith("-") else ordered.asc()
    return query.order_by(order).offset(part.offset).limit(part.limit)


def _order(sort: str) -> sa.ColumnElement[Any]:
    column = _SORTED[sort.removeprefix("-")]
    return column.desc() if sort.startswith("-") else column.asc()


def _count(tx: Tx, ids: sa.Select[*tuple[Any, ...]]) -> int:
    some = ids.limit(COUNTED).subquery()
    return tx.scalar(sa.select(sa.func.count()).select_from(some)) or 0


def _named(row: RowMapping) -> Shown:
    names = {column.name: row[column.name] for column in _NAMES}
    own = {str(name): value for name, value in row.items() if name not in names}
    return Shown(deployment_of(own), *names.values())
