"""Changes of variables: a whole scope, some of it, the text of a file, another environment's."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot import pending
from bot.api.operation import Call
from bot.api.refusals import FieldProblem, RefusalError, invalid, unfit
from bot.api.variable_scope import book, environment_of, named, own_place, reach_of, shown
from bot.api.variable_views import (
    ChangedVariables,
    ChangeVariables,
    CloneVariables,
    ImportVariables,
    PendingView,
    Setting,
)
from bot.domain.variable import Place, Reach, Scope
from bot.domain.variable_wish import VariablesRefusedError, Wanted
from bot.intake.dotenv_text import read_dotenv
from bot.store import variables

_SHOWN_PENDING = 5


@dataclass(frozen=True)
class _Asked:
    """What a request wants of a scope."""

    wanted: Sequence[Wanted]
    unset: Sequence[tuple[str, Reach | None]] = ()
    replaces: bool = False
    revision: int | None = None


def _change(call: Call, place: Place, asked: _Asked) -> ChangedVariables:
    try:
        changed = book(call).change(
            place,
            asked.wanted,
            by=call.principal.name,
            now=call.writing.now,
            unset=asked.unset,
            replaces=asked.replaces,
            revision=asked.revision,
        )
    except VariablesRefusedError as error:
        raise _refusal(error) from error
    return _changed(call, place, changed)


def _changed(
    call: Call, place: Place, changed: Sequence[str], left_out: Sequence[str] = ()
) -> ChangedVariables:
    call.note(f"variables of {named(call, place.scope)}", after={"changed": list(changed)})
    found = pending.after(call.tx, place, changed)
    rows = [
        PendingView(app=one.app.slug, environment=one.environment.name, names=list(one.names))
        for one in found
    ]
    return ChangedVariables(
        **shown(call, place),
        changed=list(changed),
        pending=rows,
        left_out=list(left_out),
        notice=_notice(rows),
    )


def _notice(rows: Sequence[PendingView]) -> str | None:
    if not rows:
        return None
    places = ", ".join(f"{one.app}/{one.environment}" for one in rows[:_SHOWN_PENDING])
    more = f" and {len(rows) - _SHOWN_PENDING} more" if len(rows) > _SHOWN_PENDING else ""
    return f"Deploy again to apply it: {places}{more}."


def _refusal(error: VariablesRefusedError) -> RefusalError:
    problems = [
        FieldProblem(f"variables.{one.name}.{one.about}", one.message, error.code)
        for one in error.problems[:50]
    ]
    return invalid(*problems, status=422)


def replace(scope: Scope, call: Call) -> ChangedVariables:
    """Give a scope the variables that are listed, and no others."""
    given = call.given(ChangeVariables)
    wanted: list[Wanted] = []
    for name, settings in given.variables.items():
        if settings is None or any(_unsets(one) for one in settings):
            raise unfit(
                f"variables.{name[:100]}", "Leave it out to unset it: the scope has what is listed alone."
            )
        wanted += [_wanted(scope, given, name, one) for one in settings]
    asked = _Asked(wanted, replaces=True, revision=given.revision)
    return _change(call, own_place(call, scope), asked)


def merge(scope: Scope, call: Call) -> ChangedVariables:
    """Set and unset some variables of a scope."""
    given = call.given(ChangeVariables)
    wanted: list[Wanted] = []
    unset: list[tuple[str, Reach | None]] = []
    for name, settings in given.variables.items():
        if settings is None:
            unset.append((name, None))
        for one in settings or ():
            if _unsets(one):
                unset.append((name, reach_of(scope, one.applies_to or given.applies_to)))
            else:
                wanted.append(_wanted(scope, given, name, one))
    return _change(call, own_place(call, scope), _Asked(wanted, unset, revision=given.revision))


def _unsets(one: Setting) -> bool:
    return one.value is None and "value" in one.model_fields_set


def _wanted(scope: Scope, given: ChangeVariables, name: str, one: Setting) -> Wanted:
    reach = reach_of(scope, one.applies_to or given.applies_to)
    return Wanted(name, reach, one.value, one.secret, one.build, one.runtime)


def take_text(scope: Scope, call: Call) -> ChangedVariables:
    """Set what the text of a `.env` file says."""
    given = call.given(ImportVariables)
    read = read_dotenv(given.text)
    if read.unread:
        lines = ", ".join(str(number) for number in read.unread[:20])
        raise unfit("text", f"No variable can be read from line {lines}. Write NAME=value, one a line.")
    reach = reach_of(scope, given.applies_to)
    wanted = [
        Wanted(name, reach, value, given.secret, given.build, given.runtime)
        for name, value in read.values.items()
    ]
    asked = _Asked(wanted, replaces=given.replaces, revision=given.revision)
    return _change(call, own_place(call, scope), asked)


def clone(call: Call) -> ChangedVariables:
    """Set in one environment what is set in another."""
    given, place = call.given(CloneVariables), own_place(call, Scope.ENVIRONMENT)
    source = environment_of(call, given.source)
    if source is None:
        raise unfit("from", f"{given.source} has no variables of its own.")
    if source.id == place.owner:
        raise unfit("from", "It is the same environment.")
    before = {one.name: one.fingerprint for one in variables.of_place(call.tx, place)}
    try:
        left_out = book(call).copy(
            Place(Scope.ENVIRONMENT, source.id, place.tenant),
            place,
            secrets_too=given.include_secrets,
            by=call.principal.name,
            now=call.writing.now,
        )
    except VariablesRefusedError as error:
        raise _refusal(error) from error
    after = variables.of_place(call.tx, place)
    changed = sorted(one.name for one in after if before.get(one.name) != one.fingerprint)
    return _changed(call, place, changed, left_out)
