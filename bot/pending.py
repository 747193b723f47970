"""Which environments do not have yet what their variables say: they must be deployed again to apply it."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot import trusting
from bot.domain.app import App
from bot.domain.environment import Environment
from bot.domain.ids import AppId, EnvironmentId, ProjectId, ReleaseId
from bot.domain.trust import Trust
from bot.domain.variable import Place, Scope, Use, Variable, differing, effective, prints
from bot.store import apps, environments, releases, variables
from bot.store.engine import Tx

LOOKED_AT = 200
"""Environments that are looked at after a change of a tenant's or a project's variables."""


@dataclass(frozen=True)
class Pending:
    """An environment, and the names of variables whose values its live release was not built with."""

    app: App
    environment: Environment
    names: Sequence[str]


def of_app(tx: Tx, app: App, there: Sequence[Environment]) -> dict[EnvironmentId, list[str]]:
    """Names of pending variables of an app's environments; those that have none are left out."""
    found = variables.of_app(tx, app, [one.id for one in there])
    built = _built(tx, there)
    pending = {one.id: _names(tx, app, one, found=found, built=built) for one in there}
    return {number: names for number, names in pending.items() if names}


def after(tx: Tx, place: Place, changed: Collection[str]) -> list[Pending]:
    """Where a change of some of a scope's variables is pending."""
    if not changed:
        return []
    there = _below(tx, place)
    found = variables.named(tx, place.tenant, changed)
    built = _built(tx, there)
    of: dict[AppId, App] = {one.app_id: apps.get(tx, one.app_id) for one in there}
    pending: list[Pending] = []
    for one in there:
        app = of[one.app_id]
        counting = [variable for variable in found if _is_above(variable, app, one)]
        names = [name for name in _names(tx, app, one, found=counting, built=built) if name in changed]
        pending += [Pending(app, one, names)] if names else []
    return pending


def _below(tx: Tx, place: Place) -> list[Environment]:
    match place.scope:
        case Scope.TENANT:
            return environments.showing(tx, place.tenant, limit=LOOKED_AT)
        case Scope.PROJECT:
            return environments.showing(tx, place.tenant, project=ProjectId(place.owner), limit=LOOKED_AT)
        case Scope.APP:
            return environments.showing(tx, place.tenant, app=AppId(place.owner), limit=LOOKED_AT)
        case Scope.ENVIRONMENT:
            one = environments.get(tx, EnvironmentId(place.owner))
            return [one] if one.active_release_id is not None and one.archived_at is None else []


def _is_above(variable: Variable, app: App, environment: Environment) -> bool:
    owners = {
        Scope.TENANT: app.tenant_id,
        Scope.PROJECT: app.project_id,
        Scope.APP: app.id,
        Scope.ENVIRONMENT: environment.id,
    }
    return owners[variable.scope] == variable.owner_id


def _built(tx: Tx, there: Iterable[Environment]) -> Mapping[ReleaseId, Mapping[str, str]]:
    return releases.variables_of(tx, [one.active_release_id for one in there if one.active_release_id])


def _names(
    tx: Tx,
    app: App,
    environment: Environment,
    *,
    found: Sequence[Variable],
    built: Mapping[ReleaseId, Mapping[str, str]],
) -> list[str]:
    live = environment.active_release_id
    then = built.get(live) if live is not None else None
    if then is None:
        return []
    above = [one for one in found if _is_above(one, app, environment)]
    names = differing(prints(effective(above, environment.kind, Use.BUILD)), then)
    # To deploy again would give a stranger's code nothing.
    return names if names and trusting.of_place(tx, app, environment) is Trust.FULL else []
