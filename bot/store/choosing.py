"""Which deployments a list is about, so that looking for them costs what the page costs.

Each filter that selects by an index does so whatever the store holds. What no index answers, such as
words of a message or a second filter beside the first, is looked for among the newest `LOOKED_AT` of what
the index gave: a filter that nothing fits would else read all there ever was.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from bot.domain.deployment import Kind, State
from bot.domain.ids import AppId, ProjectId, TenantId
from bot.store.schema import apps, deployments, environments

COUNTED = 10_000
"""Counting goes no further: nobody turns so many pages, and counting all would cost what the store holds."""
LOOKED_AT = 2_000
"""How many of the newest are looked at for what no index answers."""

Where = list[sa.ColumnElement[bool]]


@dataclass(frozen=True)
class DeploymentFilter:
    """Which deployments. Without a tenant, those of all."""

    tenant_id: TenantId | None = None
    project_id: ProjectId | None = None
    app_id: AppId | None = None
    environment: str | None = None
    states: Sequence[State] = ()
    branch: str | None = None
    sha: str | None = None
    search: str | None = None
    kind: Kind | None = None


@dataclass(frozen=True, eq=False)
class Chosen:
    """The numbers of the deployments that are wanted, in no order; `few`: at most `LOOKED_AT`.

    Made once for each kind of filter: `values` of a filter are given when it is asked.
    """

    numbers: sa.Select[int]
    few: bool


def choose(wanted: DeploymentFilter) -> tuple[Chosen, Mapping[str, Any]]:
    """What asks for the deployments that are wanted, and the values to ask with."""
    given = {field.name: getattr(wanted, field.name) for field in fields(wanted)}
    states = given.pop("states")
    values = {name: value for name, value in given.items() if value is not None}
    made = _made(frozenset(values), len(states))
    values |= {f"state{place}": state for place, state in enumerate(states)}
    if wanted.sha is not None:
        # A range, which an index answers as LIKE would not: digits of a commit come before the letter g.
        values["sha_end"] = f"{wanted.sha}g"
    if wanted.search is not None:
        values["search"] = pattern(wanted.search)
    return made, values


@lru_cache(maxsize=1024)
def _made(given: frozenset[str], states: int) -> Chosen:
    """A filter by values that are not known yet."""
    named: dict[str, Any] = {name: sa.bindparam(name) for name in given}
    named["states"] = [sa.bindparam(f"state{place}") for place in range(states)]
    return _chosen(DeploymentFilter(**named))


def _chosen(wanted: DeploymentFilter) -> Chosen:
    scope = _scope(wanted)
    best, rest = _split(wanted, scope)
    by_index = sa.select(deployments.c.id).where(*scope) if best is None else best
    if not rest:
        return Chosen(by_index, few=False)
    near = by_index.order_by(by_index.selected_columns.id.desc()).limit(LOOKED_AT).subquery("near")
    if best is None:
        # Along the scope's index from the oldest of them on: half the price of a look for each by its number.
        oldest = sa.select(sa.func.min(near.c.id)).scalar_subquery()
        found = by_index.where(deployments.c.id >= oldest)
    else:
        found = sa.select(deployments.c.id).join(near, near.c.id == deployments.c.id)
    if wanted.environment is not None and wanted.app_id is None:
        found = found.join(environments, environments.c.id == deployments.c.environment_id)
    if wanted.project_id is not None:
        found = found.join(apps, apps.c.id == deployments.c.app_id)
    return Chosen(found.where(*rest), few=True)


def pattern(text: str) -> str:
    """What `mentions` finds a text by."""
    escaped = text.translate({ord(letter): f"/{letter}" for letter in "/%_"})
    return f"%{escaped}%"


def mentions(text: sa.ColumnElement[str], *columns: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether some column fits a `pattern`, in any case."""
    return sa.or_(*(_Fits(column, text) for column in columns))


class _Fits(FunctionElement[bool]):
    name = "fits"
    inherit_cache = True
    type = sa.Boolean()


@compiles(_Fits)
def _fits(element: _Fits, compiler: SQLCompiler, **more: Any) -> str:
    # SQLite's LIKE goes by no case, and lower() on both sides would cost as much again.
    like = "LIKE" if compiler.dialect.name == "sqlite" else "ILIKE"
    column, text = (compiler.process(one, **more) for one in element.clauses)
    return f"{column} {like} {text} ESCAPE '/'"


def _scope(wanted: DeploymentFilter) -> Where:
    if wanted.app_id is not None:
        return [deployments.c.app_id == wanted.app_id]
    return [deployments.c.tenant_id == wanted.tenant_id] if wanted.tenant_id is not None else []


def _split(wanted: DeploymentFilter, scope: Where) -> tuple[sa.Select[int] | None, Where]:
    """What the best of the indices answers, if one does, and what is left to be looked at row by row."""
    by_environment, by_states = _by_environment(wanted), _by_states(wanted, scope)
    branch = None if wanted.branch is None else deployments.c.branch == wanted.branch
    filters: list[tuple[sa.Select[int] | None, sa.ColumnElement[bool] | None]] = [
        (_by_sha(wanted), _sha(wanted)),
        (by_environment, _environment(wanted)),
        (_by_branch(wanted, scope), branch),
        (by_states, deployments.c.state.in_(wanted.states) if wanted.states else None),
    ]
    best: sa.Select[int] | None = None
    # A commit's few rows are held to the scope one by one, lest the scope's index be taken for them.
    rest: Where = list(scope) if wanted.sha is not None else []
    for query, condition in filters:
        if best is None and query is not None:
            best = query
        elif condition is not None:
            rest.append(condition)
    if wanted.project_id is not None:
        rest.append(apps.c.project_id == wanted.project_id)
    if wanted.kind is not None:
        rest.append(deployments.c.kind == wanted.kind)
    if wanted.search is not None:
        text = sa.bindparam("search", type_=sa.Text)
        rest.append(mentions(text, deployments.c.message, deployments.c.branch, deployments.c.author))
    return best, rest


def _sha(wanted: DeploymentFilter) -> sa.ColumnElement[bool] | None:
    if wanted.sha is None:
        return None
    return sa.and_(deployments.c.sha >= wanted.sha, deployments.c.sha < sa.bindparam("sha_end"))


def _by_sha(wanted: DeploymentFilter) -> sa.Select[int] | None:
    condition = _sha(wanted)
    return None if condition is None else sa.select(deployments.c.id).where(condition)


def _environment(wanted: DeploymentFilter) -> sa.ColumnElement[bool] | None:
    if wanted.environment is None:
        return None
    if wanted.app_id is None:
        return environments.c.name == wanted.environment
    return deployments.c.environment_id == _place(wanted)


def _by_environment(wanted: DeploymentFilter) -> sa.Select[int] | None:
    """Of one app alone: an environment's name means one in each app."""
    if wanted.environment is None or wanted.app_id is None:
        return None
    return sa.select(deployments.c.id).where(deployments.c.environment_id == _place(wanted))


def _place(wanted: DeploymentFilter) -> sa.ScalarSelect[int]:
    where = (environments.c.app_id == wanted.app_id, environments.c.name == wanted.environment)
    return sa.select(environments.c.id).where(*where).scalar_subquery()


def _by_branch(wanted: DeploymentFilter, scope: Where) -> sa.Select[int] | None:
    if wanted.branch is None or not scope:
        return None
    return sa.select(deployments.c.id).where(*scope, deployments.c.branch == wanted.branch)


def _by_states(wanted: DeploymentFilter, scope: Where) -> sa.Select[int] | None:
    parts = [
        sa.select(deployments.c.id).where(*scope, deployments.c.state == state) for state in wanted.states
    ]
    if len(parts) < 2:
        return parts[0] if parts else None
    # Each read along its index, and no further than anybody looks.
    newest = [part.order_by(deployments.c.id.desc()).limit(LOOKED_AT).subquery() for part in parts]
    united = sa.union_all(*(sa.select(one.c.id) for one in newest)).subquery()
    return sa.select(united.c.id)
