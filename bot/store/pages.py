"""Pages of long lists, each in one query that costs what the page costs, not what the store holds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Generic, TypeVar

import sqlalchemy as sa

from bot.domain.app import App
from bot.domain.deployment import Deployment
from bot.domain.ids import AppId, DeploymentId, ProjectId, TenantId
from bot.store.apps import app_from
from bot.store.choosing import COUNTED, Chosen, DeploymentFilter, choose, mentions, pattern
from bot.store.counts import counts_of
from bot.store.deployment_rows import deployment_of
from bot.store.engine import Tx
from bot.store.schema import apps, deployment_events, deployments, environments, releases

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


_OWN = [field.name for field in fields(Deployment)]
_DEPLOYMENT = [deployments.c[field.name] for field in fields(Deployment)]
_APP_NAMES = [field.name for field in fields(App)]
_APP = [apps.c[name] for name in _APP_NAMES]
_NAMES = (
    apps.c.slug.label("shown_app"),
    environments.c.name.label("shown_environment"),
    environments.c.hostname.label("shown_hostname"),
    releases.c.name.label("shown_release"),
    releases.c.number.label("shown_number"),
)
_SHOWN = (
    sa.select(*_DEPLOYMENT, *_NAMES)
    .select_from(deployments)
    .join(apps, apps.c.id == deployments.c.app_id)
    .join(environments, environments.c.id == deployments.c.environment_id)
    .outerjoin(releases, releases.c.id == deployments.c.release_id)
)
_ONE = _SHOWN.where(deployments.c.id == sa.bindparam("number"), apps.c.deleted_at.is_(None))
_SOME = _SHOWN.where(deployments.c.id.in_(sa.bindparam("numbers", expanding=True)))
# Whatever is added, or changes its state, leaves an event.
_MARK = sa.select(sa.func.max(deployment_events.c.id)).scalar_subquery()
_PLACE = ("offset", "limit")
_SORTED = {"createdAt": deployments.c.id, "slug": apps.c.slug, "appCreatedAt": apps.c.id}


def apps_page(tx: Tx, wanted: AppFilter, part: Slice) -> Found[App]:
    """A page of apps; `sort` is `slug` or `appCreatedAt`."""
    values = {"tenant": wanted.tenant_id, "project": wanted.project_id, "enabled": wanted.enabled}
    values |= {"search": pattern(wanted.search) if wanted.search else None}
    given = frozenset(name for name, value in values.items() if value is not None)
    page, count = _apps_listed(given, wanted.archived, part.sort)
    values |= {"offset": part.offset, "limit": part.limit}
    found = [tuple(row) for row in tx.execute(page, values).all()]
    if not found and part.offset:
        return Found([], tx.scalar(count, values) or 0)
    rows = [app_from(dict(zip(_APP_NAMES, row, strict=False))) for row in found]
    return Found(rows, found[0][-1] if found else 0)


@lru_cache(maxsize=256)
def _apps_listed(
    given: frozenset[str],
    archived: bool | None,
    sort: str,
) -> tuple[sa.Select[Any], sa.Select[int]]:
    """What asks for a page of apps, beside each how many there are; and for how many there are."""
    some = sa.select(apps.c.id).where(*_apps_where(given, archived)).limit(COUNTED).subquery()
    count = sa.select(sa.func.count()).select_from(some)
    ordered = _SORTED[sort.removeprefix("-")]
    page = sa.select(*_APP, count.scalar_subquery()).where(*_apps_where(given, archived))
    page = page.order_by(ordered.desc() if sort.startswith("-") else ordered.asc())
    return page.offset(_bound("offset")).limit(_bound("limit")), count


def _bound(name: str) -> sa.BindParameter[int]:
    return sa.bindparam(name, type_=sa.Integer)


def deployments_page(tx: Tx, wanted: DeploymentFilter, part: Slice) -> Found[Shown]:
    """A page of deployments; `sort` is `createdAt`, whose order is that of the numbers."""
    chosen, values = choose(wanted)
    values = {**values, "offset": part.offset, "limit": part.limit}
    listed = _listed(chosen, part.sort.startswith("-"))
    numbers, total = (_few if chosen.few else _many)(tx, listed, values)
    return Found(_all_shown(tx, numbers), total)


def newest_deployments(tx: Tx, wanted: DeploymentFilter, *, below: int | None, limit: int) -> list[Shown]:
    """The newest deployments, below a number where there is one."""
    made, values = choose(wanted)
    chosen = made.numbers
    number = chosen.selected_columns.id
    if below is not None:
        chosen = chosen.where(number < below)
    return _all_shown(tx, [row[0] for row in tx.execute(chosen.order_by(number.desc()).limit(limit), values)])


@dataclass(frozen=True)
class _Listed:
    """What asks for the numbers on a page, each with a second value, and for how many there are."""

    page: sa.Select[Any]
    count: sa.Select[int]


@lru_cache(maxsize=1024)
def _listed(chosen: Chosen, descending: bool) -> _Listed:
    number = chosen.numbers.selected_columns.id
    # Beside each of few stands how many there are; beside others the mark by which a count is known again.
    second = sa.func.count().over() if chosen.few else _MARK
    page = chosen.numbers.add_columns(second).order_by(number.desc() if descending else number.asc())
    page = page.offset(_bound("offset")).limit(_bound("limit"))
    some = chosen.numbers.limit(COUNTED).subquery()
    return _Listed(page, sa.select(sa.func.count()).select_from(some))


def _few(tx: Tx, listed: _Listed, values: Mapping[str, Any]) -> tuple[Sequence[int], int]:
    """The numbers on a page, and how many there are in all; asked together: each row has to be looked at."""
    found = [tuple(row) for row in tx.execute(listed.page, values).all()]
    if not found and values["offset"]:
        return [], tx.scalar(listed.count, values) or 0
    return [row[0] for row in found], found[0][-1] if found else 0


def _many(tx: Tx, listed: _Listed, values: Mapping[str, Any]) -> tuple[Sequence[int], int]:
    """The numbers on a page, and how many there are; counted only where the page does not show it."""
    found = [tuple(row) for row in tx.execute(listed.page, values).all()]
    offset = values["offset"]
    if len(found) < values["limit"] and (found or not offset):
        return [row[0] for row in found], offset + len(found)
    mark = found[0][-1] if found else None
    known = counts_of(tx)
    key = (listed.count, *sorted((name, value) for name, value in values.items() if name not in _PLACE))
    total = known.find(key, mark)
    if total is None:
        total = tx.scalar(listed.count, values) or 0
        known.keep(key, mark, total)
    return [row[0] for row in found], total


def _all_shown(tx: Tx, numbers: Sequence[int]) -> list[Shown]:
    """Deployments by their numbers, in that order."""
    rows = tx.execute(_SOME, {"numbers": numbers}).all() if numbers else ()
    found = {row[0]: _named(row) for row in rows}
    return [found[number] for number in numbers if number in found]


def slugs(tx: Tx, ids: Sequence[AppId]) -> dict[AppId, str]:
    """What apps are called."""
    found = tx.execute(sa.select(apps.c.id, apps.c.slug).where(apps.c.id.in_(ids))) if ids else ()
    return {AppId(row[0]): row[1] for row in found}


def shown(tx: Tx, deployment: DeploymentId) -> Shown | None:
    """One deployment with the names of what it belongs to, unless its app was deleted."""
    row = tx.execute(_ONE, {"number": deployment}).one_or_none()
    return _named(row) if row else None


def _apps_where(given: frozenset[str], archived: bool | None) -> list[sa.ColumnElement[bool]]:
    where: list[sa.ColumnElement[bool]] = [apps.c.deleted_at.is_(None)]
    columns = {"tenant": apps.c.tenant_id, "project": apps.c.project_id, "enabled": apps.c.enabled}
    where += [column == sa.bindparam(name) for name, column in columns.items() if name in given]
    if archived is not None:
        where.append(apps.c.archived_at.is_not(None) if archived else apps.c.archived_at.is_(None))
    if "search" in given:
        where.append(mentions(sa.bindparam("search", type_=sa.Text), apps.c.slug, apps.c.repository))
    return where


def _named(row: Sequence[Any]) -> Shown:
    own = dict(zip(_OWN, row, strict=False))
    return Shown(deployment_of(own), *row[len(_OWN) :])
