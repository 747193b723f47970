"""Variables of organisations, projects, apps and environments. Values are sealed, secrets are not shown."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from bot import pending, required, trusting
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page
from bot.api.refusals import not_found, unfit
from bot.api.variable_changes import clone, merge, replace, take_text
from bot.api.variable_scope import book, environment_of, named, place_of, shown, values_for, view
from bot.api.variable_views import (
    ChangedVariables,
    ChangesQuery,
    ChangeVariables,
    CloneVariables,
    EffectiveVariable,
    EffectiveView,
    ImportVariables,
    RevealedVariable,
    RevealVariable,
    VariableChangeView,
    VariablesView,
)
from bot.domain.environment import EnvironmentKind, kind_of
from bot.domain.roles import Verb
from bot.domain.trust import Trust
from bot.domain.variable import Scope, Use, Variable, VariableChange, effective
from bot.store import variables

TAG = "Variables"


def _list(scope: Scope, call: Call) -> VariablesView:
    place = place_of(call, scope)
    if place is None:
        return VariablesView(scope=scope.value, revision=0, variables=[])
    return VariablesView(**shown(call, place))


def _reveal(scope: Scope, call: Call) -> RevealedVariable:
    given, place = call.given(RevealVariable), place_of(call, scope)
    there = variables.of_place(call.tx, place) if place is not None else []
    found = [one for one in there if one.name == given.name]
    if given.applies_to is not None:
        found = [one for one in found if one.reach.value == given.applies_to]
    if place is None or not found:
        raise not_found("variable", given.name)
    if len(found) > 1:
        kinds = ", ".join(one.reach for one in found)
        raise unfit("appliesTo", f"{given.name} is set for {kinds}: say which.")
    one = found[0]
    call.note(f"variable {one.name} of {named(call, scope)}", after={"appliesTo": one.reach.value})
    value = book(call).reveal(place, one.name, one.reach, by=call.principal.name, now=call.writing.now)
    return RevealedVariable(name=one.name, applies_to=one.reach.value, version=one.version, value=value)


def _changes(scope: Scope, call: Call) -> Page:
    asked, place = call.asked(ChangesQuery), place_of(call, scope)
    part = asked.part("")
    found = variables.changes(call.tx, place, asked.name) if place is not None else []
    return Page([_change_view(one) for one in found[part.offset : part.offset + part.limit]], len(found))


def _change_view(one: VariableChange) -> VariableChangeView:
    return VariableChangeView(
        name=one.name,
        applies_to=one.reach.value,
        version=one.version,
        action=one.action.value,
        what=one.what,
        by=one.by,
        at=one.at,
    )


def _effective(call: Call) -> EffectiveView:
    app, word = call.of_app, call.path["environment"]
    environment = environment_of(call, word)
    kind = environment.kind if environment is not None else kind_of(word)
    found = variables.of_app(call.tx, app, [environment.id] if environment is not None else [])
    counting = {use: effective(found, kind, use) for use in Use}
    rows = {one.id: one for use in Use for one in counting[use].values()}
    values = values_for(call, rows.values())
    listed: list[EffectiveVariable] = []
    for one in sorted(rows.values(), key=lambda one: (one.name, one.rank)):
        fields = view(one, values)
        fields |= {use.value: counting[use].get(one.name) == one for use in Use}
        fields |= {"scope": one.scope.value, "hides": _hidden(one, found, kind)}
        listed.append(EffectiveVariable(**fields))
    trust = trusting.of_place(call.tx, app, environment) if environment is not None else Trust.FULL
    names = pending.of_app(call.tx, app, [environment]).get(environment.id, []) if environment else []
    return EffectiveView(
        environment=environment.name if environment is not None else word,
        kind=kind.value,
        withheld=trust is Trust.STRANGER,
        pending=names,
        missing=list(required.of(call.tx, app, environment, kind).missing),
        variables=listed,
    )


def _hidden(one: Variable, found: Sequence[Variable], kind: EnvironmentKind) -> list[str]:
    others = [
        other
        for other in found
        if other.name == one.name and other.rank < one.rank and any(other.counts_in(kind, use) for use in Use)
    ]
    return list(dict.fromkeys(other.scope.value for other in sorted(others, key=lambda other: other.rank)))


_WHERE: dict[Scope, tuple[str, str, str]] = {
    Scope.TENANT: ("Org", "/orgs/{org}/variables", "an organisation"),
    Scope.PROJECT: ("Project", "/orgs/{org}/projects/{project}/variables", "a project"),
    Scope.APP: ("App", "/apps/{app}/variables", "an app"),
    Scope.ENVIRONMENT: (
        "Environment",
        "/apps/{app}/environments/{environment}/variables",
        "one environment",
    ),
}
_LOST = {409: "The scope is not at the revision that you read."}
_CHANGES: dict[str, Any] = {"verb": Verb.CONFIGURE, "answer": ChangedVariables, "refusals": _LOST}
_AGAIN = "Nothing is deployed: `pending` says what to deploy again."


@dataclass(frozen=True)
class _Deed:
    """What can be done with the variables of each scope; `{}` stands for the scope in `id` and `summary`."""

    id: str
    method: str
    path: str
    summary: str
    handle: Callable[[Scope, Call], Model | Page | None]
    more: Mapping[str, Any]

    def of(self, scope: Scope) -> Operation:
        """The operation of one scope."""
        name, path, what = _WHERE[scope]
        about = About.TENANT if scope in (Scope.TENANT, Scope.PROJECT) else About.APP
        method: Any = self.method
        return Operation(
            id=self.id.format(name),
            method=method,
            path=f"{path}{self.path}",
            summary=self.summary.format(what),
            tag=TAG,
            about=about,
            handle=partial(self.handle, scope),
            **self.more,
        )


_DEEDS = (
    _Deed(
        "list{}Variables",
        "GET",
        "",
        "List the variables of {}",
        _list,
        {
            "verb": Verb.READ,
            "answer": VariablesView,
            "description": "Values of plain ones are shown to those who may change them, secrets to nobody.",
        },
    ),
    _Deed(
        "list{}VariableChanges",
        "GET",
        "/changes",
        "List what became of the variables of {}",
        _changes,
        {
            "verb": Verb.READ,
            "answer": VariableChangeView,
            "lists": True,
            "query": ChangesQuery,
            "description": "Who set, unset or revealed what and when, newest first.",
        },
    ),
    _Deed(
        "reveal{}Variable",
        "POST",
        "/reveal",
        "Show a value of {}",
        _reveal,
        {
            "verb": Verb.MANAGE,
            "answer": RevealedVariable,
            "body": RevealVariable,
            "refusals": {422: "It is set for several kinds of environments."},
            "description": "The only way to see a secret. It stands in the audit log.",
        },
    ),
    _Deed(
        "replace{}Variables",
        "PUT",
        "",
        "Replace all variables of {}",
        replace,
        {
            **_CHANGES,
            "body": ChangeVariables,
            "description": "What is not listed is unset. `{}` keeps a value that is there, such as a "
            f"secret's. {_AGAIN}",
        },
    ),
    _Deed(
        "update{}Variables",
        "PATCH",
        "",
        "Change variables of {}",
        merge,
        {
            **_CHANGES,
            "body": ChangeVariables,
            "description": f"What is not listed stays. Null unsets. {_AGAIN}",
        },
    ),
    _Deed(
        "import{}Variables",
        "POST",
        "/import",
        "Import a .env file into {}",
        take_text,
        {**_CHANGES, "body": ImportVariables},
    ),
)
_OF_ENVIRONMENT = _WHERE[Scope.ENVIRONMENT][1]
OPERATIONS = (
    *(deed.of(scope) for scope in Scope for deed in _DEEDS),
    Operation(
        id="cloneVariables",
        method="POST",
        path=f"{_OF_ENVIRONMENT}/clone",
        summary="Clone another environment's own variables",
        tag=TAG,
        about=About.APP,
        verb=Verb.CONFIGURE,
        handle=clone,
        answer=ChangedVariables,
        body=CloneVariables,
        refusals={422: "There is nothing to clone, or too much."},
        description="Secrets are left out unless you say so, and named in `leftOut`.",
    ),
    Operation(
        id="listEffectiveVariables",
        method="GET",
        path=f"{_OF_ENVIRONMENT}/effective",
        summary="List what counts in an environment",
        tag=TAG,
        about=About.APP,
        verb=Verb.READ,
        handle=_effective,
        answer=EffectiveView,
        description="With where each comes from: environment, app, project, organisation, narrower wins.",
    ),
)
