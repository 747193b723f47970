"""Which deployments a list is about, so that looking for them costs what the page costs.

Each filter that selects by an index does so whatever the store holds. What no index answers, such as
words of a message or a second filter beside the first, is looked for among the newest `LOOKED_AT` of what
the index gave: a filter that nothing fits would else read all there ever was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

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


@dataclass(frozen=True)
class Chosen:
    """The numbers of the deployments that are wanted, in no order; `few`: at most `LOOKED_AT`."""

    numbers: sa.Select[int]
    few: bool


def choose(wanted: DeploymentFilter) -> Chosen:
    """What asks for the deployments that are wanted."""
    scope = _scope(wanted)
    by_index, rest = _split(wanted, scope)
    if not rest:
        return Chosen(by_index, few=False)
    near = by_index.order_by(by_index.selected_columns.id.desc()).limit(LOOKED_AT).subquery("near")
    found = sa.select(deployments.c.id).join(near, near.c.id == deployments.c.id)
    if wanted.environment is not None and wanted.app_id is None:
        found = found.join(environments, environments.c.id == deployments.c.environment_id)
    if wanted.project_id is not None:
        found = found.join(apps, apps.c.id == deployments.c.app_id)
    return Chosen(found.where(*rest), few=True)


def mentions(text: str, *columns: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    """Whether some column has a text in it, in any case."""
    return sa.or_(*(column.icontains(text, autoescape=True) for column in columns))


def _scope(wanted: DeploymentFilter) -> Where:
    if wanted.app_id is not None:
        return [deployments.c.app_id == wanted.app_id]
    return [deployments.c.tenant_id == wanted.tenant_id] if wanted.tenant_id is not None else []


def _split(wanted: DeploymentFilter, scope: Where) -> tuple[sa.Select[int], Where]:
    """What the best index answers, and what is left to be looked at row by row."""
    by_environment, by_states = _by_environment(wanted), _by_states(wanted, scope)
    filters: list[tuple[sa.Select[int] | None, sa.ColumnElement[bool] | None]] = [
        (_by_sha(wanted), _sha(wanted)),
        (by_environment, _environment(wanted)),
        (_by_branch(wanted, scope), deployments.c.branch == wanted.branch if wanted.branch else None),
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
    if wanted.search:
        rest.append(
            mentions(wanted.search, deployments.c.message, deployments.c.branch, deployments.c.author)
        )
    return (sa.select(deployments.c.id).where(*scope) if best is None else best), rest


def _sha(wanted: DeploymentFilter) -> sa.ColumnElement[bool] | None:
    if wanted.sha is None:
        return None
    # A range, which an index answers as LIKE would not: digits of a commit come before the letter g.
    return sa.and_(deployments.c.sha >= wanted.sha, deployments.c.sha < f"{wanted.sha}g")


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
