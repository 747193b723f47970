"""Windows in which nothing is deployed to an environment."""

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AwareDatetime, Field

from bot.api.app_views import Line
from bot.api.envelope import Model
from bot.api.environment_views import environment_named
from bot.api.environments import TAG
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.refusals import Code, conflict, not_found, unfit
from bot.domain.environment import Environment, moment
from bot.domain.freeze import FARTHEST, LONGEST, MOST, Freeze
from bot.domain.roles import Verb
from bot.freezes import begin_due, give_up
from bot.store import freezes
from bot.store.freezes import NewFreeze


class FreezeView(Model):
    """A window in which nothing is deployed. It is gone when it has ended."""

    id: int = Field(examples=[5])
    reason: str = Field(examples=["Christmas"])
    starts_at: datetime = Field(examples=["2026-12-23T18:00:00Z"])
    ends_at: datetime = Field(examples=["2026-12-27T06:00:00Z"])
    active: bool = Field(examples=[False])
    """Whether it has begun."""
    created_by: str = Field(examples=["mona@example.org"])
    created_at: datetime = Field(examples=["2026-12-01T12:00:00Z"])


class CreateFreeze(Model):
    """When nothing is to be deployed."""

    reason: Annotated[Line, Field(min_length=1, max_length=200, examples=["Christmas"])]
    starts_at: AwareDatetime = Field(examples=["2026-12-23T18:00:00Z"])
    """With its offset from UTC. What is past begins at once."""
    ends_at: AwareDatetime = Field(examples=["2026-12-27T06:00:00Z"])
    """At most 90 days later."""


def _environment(call: Call) -> Environment:
    return environment_named(call, call.path["environment"])


def _view(one: Freeze) -> FreezeView:
    return FreezeView(
        id=one.id,
        reason=one.reason,
        starts_at=one.starts_at,
        ends_at=one.ends_at,
        active=one.begun_at is not None,
        created_by=one.created_by,
        created_at=one.created_at,
    )


def _list(call: Call) -> Page:
    part, found = call.asked(Paging).part(""), freezes.of_environment(call.tx, _environment(call).id)
    return Page([_view(one) for one in found[part.offset : part.offset + part.limit]], len(found))


def _create(call: Call) -> FreezeView:
    environment, given, change = _environment(call), call.given(CreateFreeze), call.writing
    starts, ends = _utc("startsAt", given.starts_at), _utc("endsAt", given.ends_at)
    if ends <= max(starts, change.now):
        raise unfit("endsAt", "It has to be later than now, and than startsAt.")
    if ends - starts > LONGEST or ends - change.now > FARTHEST:
        raise unfit("endsAt", f"A window lasts {LONGEST.days} days at most, and ends within {FARTHEST.days}.")
    if len(freezes.of_environment(call.tx, environment.id)) >= MOST:
        raise conflict(Code.CONFLICT, f"{environment.name} has {MOST} windows already. Remove one first.")
    new = NewFreeze(environment.id, given.reason, call.principal.name, starts, ends)
    made = freezes.insert(call.tx, new, change.now)
    begin_due(change)
    times = {"startsAt": moment(starts), "endsAt": moment(ends), "reason": given.reason}
    call.note(f"freeze window of {environment.name}", after=times)
    return _view(_one(call, environment, str(made.id)))


def _utc(field: str, given: datetime) -> datetime:
    try:
        return given.astimezone(UTC)
    except OverflowError as error:
        raise unfit(field, "There is no such time.") from error


def _one(call: Call, environment: Environment, word: str) -> Freeze:
    for found in freezes.of_environment(call.tx, environment.id):
        if str(found.id) == word:
            return found
    raise not_found("freeze window", word)


def _remove(call: Call) -> None:
    environment = _environment(call)
    one = _one(call, environment, call.path["window"])
    give_up(call.services.lifecycle, call.writing, one)
    times = {"startsAt": moment(one.starts_at), "endsAt": moment(one.ends_at), "reason": one.reason}
    call.note(f"freeze window of {environment.name}", before=times)


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, **more)


_WINDOWS = "/apps/{app}/environments/{environment}/freeze-windows"
OPERATIONS = (
    _about(
        id="listFreezeWindows",
        method="GET",
        path=_WINDOWS,
        summary="List windows in which nothing is deployed",
        verb=Verb.READ,
        handle=_list,
        answer=FreezeView,
        lists=True,
        query=Paging,
        description="Those that last or will come, by their begin.",
    ),
    _about(
        id="createFreezeWindow",
        method="POST",
        path=_WINDOWS,
        summary="Let nothing be deployed for a while",
        verb=Verb.CONFIGURE,
        handle=_create,
        answer=FreezeView,
        body=CreateFreeze,
        status=201,
        refusals={409: "There are too many.", 422: "It ends before it begins, or lasts too long."},
        description="While it lasts the environment is locked: every deployment waits, and goes on at its "
        "end. An admin who unlocks the environment ends it before its time.",
    ),
    _about(
        id="deleteFreezeWindow",
        method="DELETE",
        path=f"{_WINDOWS}/{{window}}",
        summary="Remove a window",
        verb=Verb.CONFIGURE,
        handle=_remove,
        description="One that has begun ends by that.",
    ),
)
