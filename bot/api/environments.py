"""Environments: where an app lives, what is live there, going back, and locks."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from bot import locks
from bot.api.app_views import Line
from bot.api.apps import refuse_archived
from bot.api.deployment_views import DeploymentView, shown_again
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.orders import Reason
from bot.api.refusals import not_found
from bot.domain.duration import duration
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import reference
from bot.domain.roles import Principal, Verb
from bot.locks import Locker
from bot.store import places
from bot.store.places import Live

TAG = "Releases and environments"


class LockView(Model):
    """Who locked an environment, why, and until when."""

    by: str = Field(examples=["mona"])
    reason: str = Field(examples=["we are moving the database"])
    until: datetime | None = Field(examples=["2026-02-01T12:00:00Z"])


class EnvironmentView(Model):
    """A named place where an app lives."""

    id: int = Field(examples=[3])
    name: str = Field(examples=["production"])
    kind: EnvironmentKind = Field(examples=["production"])
    branch: str | None = Field(examples=["main"])
    url: str = Field(examples=["https://shop.example.org"])
    release: str | None = Field(examples=["amber-otter-42"])
    release_number: int | None = Field(examples=[42])
    commit: str | None = Field(examples=["5c1f0a3e9d7b2c4e6f8a0b1d3c5e7f9a1b3c5d7e"])
    deployment: str | None = Field(examples=["DEP-12"])
    live_since: datetime | None = Field(examples=["2026-01-31T12:00:09Z"])
    pinned: bool = Field(examples=[False])
    """Automatic deploys wait, after a rollback, until `resume`."""
    pin_reason: str | None = Field(examples=[None])
    lock: LockView | None
    """While there is one, every deployment waits."""
    kept_until: datetime | None = Field(examples=[None])
    """When a preview is taken down, if somebody said so."""
    held: int = Field(examples=[0])
    """How many deployments wait: for `resume`, an unlocking or an approval."""
    is_busy: bool = Field(examples=[False])


class Rollback(Model):
    """What to bring back."""

    release: Annotated[Line, Field(min_length=1, max_length=100, examples=["amber-otter-42"])] | None = None
    """Name, number or commit; default: what was live before."""
    reason: Reason | None = None


class Lock(Model):
    """Why an environment is locked, and for how long."""

    reason: Reason | None = None
    length: Annotated[str, Field(pattern="^[1-9][0-9]{0,3}[mhdw]$", examples=["2h"])] | None = None
    """Such as `30m`, `2h`, `3d`; default: until it is unlocked."""


def locker(call: Call) -> Locker:
    """The caller, as locks know people."""
    one = call.principal
    return Locker(one.name, _key(one), is_admin=Verb.CONFIGURE in one.verbs)


def _key(one: Principal) -> str:
    # A person's lock is theirs whichever token they hold.
    return f"user:{one.user_id}" if one.user_id is not None else one.key


def _lock_view(one: Environment) -> LockView | None:
    if one.locked_by is None:
        return None
    return LockView(by=one.locked_by, reason=one.lock_reason or "", until=one.lock_until)


def _environment_view(call: Call, live: Live) -> EnvironmentView:
    one, now = live.environment, call.services.clock()
    return EnvironmentView(
        id=one.id,
        name=one.name,
        kind=one.kind,
        branch=one.branch,
        url=call.services.settings.site_url(one.hostname),
        release=live.release,
        release_number=live.release_number,
        commit=live.sha,
        deployment=reference(one.active_deployment_id) if one.active_deployment_id else None,
        live_since=live.since,
        pinned=one.pinned,
        pin_reason=one.pin_reason,
        lock=_lock_view(one),
        kept_until=one.kept_until,
        held=live.held,
        is_busy=one.lease_until is not None and one.lease_until > now,
    )


def _list_environments(call: Call) -> Page:
    part = call.asked(Paging).part("")
    found = [_environment_view(call, one) for one in places.live_in(call.tx, [call.of_app.id])]
    return Page(found[part.offset : part.offset + part.limit], len(found))


def _place(call: Call) -> Live:
    word = call.path["environment"]
    there = places.live_in(call.tx, [call.of_app.id])
    by_name = [one for one in there if one.environment.name == word]
    found = by_name or [one for one in there if str(one.environment.id) == word]
    if not found:
        raise not_found("environment", word)
    return found[0]


def _read_environment(call: Call) -> EnvironmentView:
    return _environment_view(call, _place(call))


def _roll_back(call: Call) -> DeploymentView:
    given, environment = call.given(Rollback), _place(call).environment
    refuse_archived(call.of_app)
    by = call.principal.name + (f": {given.reason}" if given.reason else "")
    lifecycle = call.services.lifecycle
    made = lifecycle.rollback(
        call.writing,
        call.of_app,
        environment.name,
        word=given.release,
        by=by,
        heeds_lock=not locker(call).may_open(environment),
    )
    return shown_again(call, made)


def _resume(call: Call) -> EnvironmentView:
    call.services.lifecycle.resume(call.writing, _place(call).environment)
    return _environment_view(call, _place(call))


def _lock(call: Call) -> EnvironmentView:
    given, place = call.given(Lock), _place(call).environment
    length = duration(given.length) if given.length else None
    until = call.writing.now + length if length else None
    locked = locks.lock(call.writing, place, locker(call), reason=given.reason or "", until=until)
    call.note(f"environment {place.name}", {"lock": place.lock}, {"lock": locked.lock})
    return _environment_view(call, _place(call))


def _unlock(call: Call) -> EnvironmentView:
    place = _place(call).environment
    locks.unlock(call.services.lifecycle, call.writing, place, locker(call))
    call.note(f"environment {place.name}", {"lock": place.lock}, {"lock": None})
    return _environment_view(call, _place(call))


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, **more)


_ENVIRONMENT = "/apps/{app}/environments/{environment}"
OPERATIONS = (
    _about(
        id="listEnvironments",
        method="GET",
        path="/apps/{app}/environments",
        summary="List an app's environments",
        verb=Verb.READ,
        handle=_list_environments,
        answer=EnvironmentView,
        lists=True,
        query=Paging,
    ),
    _about(
        id="getEnvironment",
        method="GET",
        path=_ENVIRONMENT,
        summary="Read an environment",
        verb=Verb.READ,
        handle=_read_environment,
        answer=EnvironmentView,
        description="By name or id.",
    ),
    _about(
        id="rollBack",
        method="POST",
        path=f"{_ENVIRONMENT}/rollback",
        summary="Bring back what was live before",
        verb=Verb.ROLLBACK,
        handle=_roll_back,
        answer=DeploymentView,
        body=Rollback,
        status=201,
        refusals={
            409: "There is nothing to bring back, the app is archived, or somebody else has locked it.",
            422: "There is no such release.",
        },
        description="Stops a running build, and pins the environment: automatic deploys wait until `resume`.",
    ),
    _about(
        id="resume",
        method="POST",
        path=f"{_ENVIRONMENT}/resume",
        summary="Let automatic deploys go on",
        verb=Verb.ROLLBACK,
        handle=_resume,
        answer=EnvironmentView,
    ),
    _about(
        id="lockEnvironment",
        method="POST",
        path=f"{_ENVIRONMENT}/lock",
        summary="Lock an environment",
        verb=Verb.DEPLOY,
        handle=_lock,
        answer=EnvironmentView,
        body=Lock,
        refusals={409: "Somebody else has locked it."},
        description="Every deployment to it waits then, automatic or not, and says why; what runs may end. "
        "One's own lock is replaced.",
    ),
    _about(
        id="unlockEnvironment",
        method="DELETE",
        path=f"{_ENVIRONMENT}/lock",
        summary="Unlock an environment",
        verb=Verb.DEPLOY,
        handle=_unlock,
        answer=EnvironmentView,
        refusals={409: "Somebody else has locked it."},
        description="What waited for that goes on. Others' locks take the right `configure`.",
    ),
)
