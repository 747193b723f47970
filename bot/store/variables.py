"""Variables and their changes in the store. Values go in and out sealed."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.app import App
from bot.domain.ids import AppId, EnvironmentId, TenantId, VariableId
from bot.domain.variable import Action, Place, Reach, Scope, Variable, VariableChange
from bot.store.engine import Tx
from bot.store.schema import environments
from bot.store.variable_schema import variable_changes, variables

KEPT_CHANGES = 2000
"""Changes remembered of one scope; the audit log has them all."""
_FIELDS = [variables.c[field.name] for field in fields(Variable)]
_OF_APP = sa.select(*_FIELDS).where(
    sa.or_(
        sa.and_(variables.c.scope == Scope.TENANT, variables.c.owner_id == sa.bindparam("tenant")),
        sa.and_(variables.c.scope == Scope.PROJECT, variables.c.owner_id == sa.bindparam("project")),
        sa.and_(variables.c.scope == Scope.APP, variables.c.owner_id == sa.bindparam("app")),
        sa.and_(
            variables.c.scope == Scope.ENVIRONMENT,
            variables.c.owner_id.in_(sa.bindparam("within", expanding=True)),
        ),
    )
)


@dataclass(frozen=True)
class Content:
    """What of a variable can be changed, its value sealed."""

    secret: bool
    build: bool
    runtime: bool
    fingerprint: str
    size: int
    value: bytes


def of_place(tx: Tx, place: Place) -> list[Variable]:
    """The variables of one scope, by name."""
    order = (variables.c.name, variables.c.reach)
    rows = tx.execute(sa.select(*_FIELDS).where(*_at(place)).order_by(*order)).mappings()
    return [_variable(row) for row in rows]


def of_app(tx: Tx, app: App, within: Sequence[EnvironmentId]) -> list[Variable]:
    """All that may count in some environments of an app, of every scope."""
    owners = {"tenant": app.tenant_id, "project": app.project_id, "app": app.id, "within": list(within)}
    return [_variable(row) for row in tx.execute(_OF_APP, owners).mappings()]


def named(tx: Tx, tenant: TenantId, names: Collection[str]) -> list[Variable]:
    """Every variable of a tenant that has one of some names, in whatever scope."""
    where = (variables.c.tenant_id == tenant, variables.c.name.in_(names))
    return [_variable(row) for row in tx.execute(sa.select(*_FIELDS).where(*where)).mappings()]


def find(tx: Tx, place: Place, name: str, reach: Reach) -> Variable | None:
    """One variable of a scope."""
    where = (*_at(place), variables.c.name == name, variables.c.reach == reach)
    row = tx.execute(sa.select(*_FIELDS).where(*where)).mappings().one_or_none()
    return _variable(row) if row else None


def values(tx: Tx, ids: Collection[VariableId]) -> dict[VariableId, bytes]:
    """The sealed values of some variables."""
    rows = tx.execute(sa.select(variables.c.id, variables.c.value).where(variables.c.id.in_(ids)))
    return {VariableId(row[0]): row[1] for row in rows}


def insert(
    tx: Tx, place: Place, key: tuple[str, Reach], content: Content, *, version: int, by: str, now: datetime
) -> None:
    """Set a variable that is not set."""
    owner = {"tenant_id": place.tenant, "scope": place.scope, "owner_id": place.owner}
    new = {"name": key[0], "reach": key[1], "version": version, "created_at": now}
    tx.execute(variables.insert().values(**owner, **new, **_given(content, by, now)))


def update(tx: Tx, old: Variable, content: Content, *, version: int, by: str, now: datetime) -> None:
    """Set a variable that is set."""
    changed = {"version": version, **_given(content, by, now)}
    tx.execute(variables.update().where(variables.c.id == old.id).values(changed))


def _given(content: Content, by: str, now: datetime) -> dict[str, Any]:
    given = {field.name: getattr(content, field.name) for field in fields(content)}
    return {**given, "changed_by": by, "changed_at": now}


def drop(tx: Tx, variable: VariableId) -> None:
    """Unset a variable; its value is gone."""
    tx.execute(variables.delete().where(variables.c.id == variable))


def drop_of_app(tx: Tx, app: AppId) -> None:
    """Unset all variables of an app and of its environments."""
    within = sa.select(environments.c.id).where(environments.c.app_id == app)
    tx.execute(variables.delete().where(variables.c.scope == Scope.APP, variables.c.owner_id == app))
    own = (variables.c.scope == Scope.ENVIRONMENT, variables.c.owner_id.in_(within))
    tx.execute(variables.delete().where(*own))


def append_changes(tx: Tx, place: Place, new: Sequence[VariableChange]) -> None:
    """Remember what became of some variables; the oldest changes of their scope are forgotten."""
    if not new:
        return
    owner = {"scope": place.scope, "owner_id": place.owner}
    names = [field.name for field in fields(VariableChange) if field.name != "by"]
    rows = [{**owner, **{name: getattr(one, name) for name in names}, "changed_by": one.by} for one in new]
    tx.execute(variable_changes.insert(), rows)
    table = variable_changes.c
    of_place = (table.scope == place.scope, table.owner_id == place.owner)
    last = sa.select(table.id).where(*of_place).order_by(table.id.desc()).offset(KEPT_CHANGES).limit(1)
    tx.execute(variable_changes.delete().where(*of_place, table.id <= last.scalar_subquery()))


def changes(tx: Tx, place: Place, name: str | None = None) -> list[VariableChange]:
    """What became of the variables of a scope, or of one name, newest first."""
    table = variable_changes.c
    columns = (table.name, table.reach, table.version, table.action, table.what, table.changed_by, table.at)
    where = [table.scope == place.scope, table.owner_id == place.owner]
    if name is not None:
        where.append(table.name == name)
    rows = tx.execute(sa.select(*columns).where(*where).order_by(table.id.desc()))
    return [
        VariableChange(row[0], Reach(row[1]), row[2], Action(row[3]), row[4], row[5], row[6]) for row in rows
    ]


def revision(tx: Tx, place: Place) -> int:
    """A number that grows with each change of a scope's variables; 0 before the first."""
    table = variable_changes.c
    where = (table.scope == place.scope, table.owner_id == place.owner, table.action != Action.REVEALED)
    return tx.scalar(sa.select(sa.func.max(table.id)).where(*where)) or 0


def last_versions(tx: Tx, place: Place) -> dict[tuple[str, Reach], int]:
    """The number of the last version of each variable of a scope, also of those that were unset."""
    table = variable_changes.c
    where = (table.scope == place.scope, table.owner_id == place.owner)
    query = sa.select(table.name, table.reach, sa.func.max(table.version)).where(*where)
    rows = tx.execute(query.group_by(table.name, table.reach))
    return {(row[0], Reach(row[1])): row[2] for row in rows}


def _at(place: Place) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    return variables.c.scope == place.scope, variables.c.owner_id == place.owner


def _variable(row: RowMapping) -> Variable:
    found: dict[str, Any] = {str(name): value for name, value in row.items()}
    found["scope"], found["reach"] = Scope(found["scope"]), Reach(found["reach"])
    return Variable(**found)
