"""The scope that a request about variables is about, and what is shown of it."""

from collections.abc import Iterable
from typing import Any

from bot.api.apps import known_environment
from bot.api.operation import Call
from bot.api.reading import is_word
from bot.api.refusals import RefusalError, not_found
from bot.api.variable_views import VariableView
from bot.domain.environment import Environment
from bot.domain.roles import Verb
from bot.domain.variable import Place, Reach, Scope, Variable
from bot.store import environments, variables
from bot.variables import Book


def place_of(call: Call, scope: Scope) -> Place | None:
    """The scope that a request is about; None for an environment that is known and not made yet."""
    if scope is Scope.TENANT:
        return Place(scope, call.of_tenant.id, call.of_tenant.id)
    if scope is Scope.PROJECT:
        assert call.project is not None
        return Place(scope, call.project.id, call.project.tenant_id)
    app = call.of_app
    if scope is Scope.APP:
        return Place(scope, app.id, app.tenant_id)
    found = environment_of(call, call.path["environment"])
    return Place(scope, found.id, app.tenant_id) if found is not None else None


def environment_of(call: Call, word: str) -> Environment | None:
    """An environment by name or id; None for one that the app may have and has not yet."""
    app = call.of_app
    found = environments.by_word(call.tx, app.id, word) if is_word(word) else None
    if found is not None:
        return found
    try:
        known_environment(call, word)
    except RefusalError as error:
        raise not_found("environment", word) from error
    return None


def own_place(call: Call, scope: Scope) -> Place:
    """The scope of a change; its environment is made where it is known and not there yet."""
    found = place_of(call, scope)
    if found is not None:
        return found
    made = call.services.lifecycle.environment(call.writing, call.of_app, call.path["environment"])
    return Place(scope, made.id, call.of_app.tenant_id)


def book(call: Call) -> Book:
    """The variables, in the transaction of a request."""
    return Book(call.tx, call.services.vault)


def values_for(call: Call, found: Iterable[Variable]) -> dict[int, str]:
    """The values that the caller may see."""
    return book(call).plain_values(found) if Verb.CONFIGURE in call.principal.verbs else {}


def view(one: Variable, values: dict[int, str]) -> dict[str, Any]:
    """The fields of a variable, as models take them; `values` are those that may be shown, by id."""
    copied = {name: getattr(one, name) for name in "name secret build runtime version".split()}
    said = {"changed_by": one.changed_by, "changed_at": one.changed_at, "applies_to": one.reach.value}
    return {**copied, **said, "value": values.get(one.id)}


def shown(call: Call, place: Place) -> dict[str, Any]:
    """The fields of a scope, as models take them."""
    found = variables.of_place(call.tx, place)
    values = values_for(call, found)
    listed = [VariableView(**view(one, values)) for one in found]
    revision = variables.revision(call.tx, place)
    return {"scope": place.scope.value, "revision": revision, "variables": listed}


def named(call: Call, scope: Scope) -> str:
    """A scope as the audit log names it."""
    if scope is Scope.TENANT:
        return f"organisation {call.of_tenant.slug}"
    if scope is Scope.PROJECT:
        assert call.project is not None
        return f"project {call.project.slug}"
    own = call.of_app.slug
    return f"app {own}" if scope is Scope.APP else f"{own} in {call.path['environment'][:100]}"


def reach_of(scope: Scope, given: str | None) -> Reach:
    """Where a variable counts; unless it is said, in production alone, or in the one environment."""
    if given is None:
        return Reach.ALL if scope is Scope.ENVIRONMENT else Reach.PRODUCTION
    return Reach(given)
