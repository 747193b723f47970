"""Releases and environments: what was built, where it is live, and moving it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from bot import pending
from bot.api.app_views import Line
from bot.api.apps import known_environment, refuse_archived
from bot.api.deployment_views import DeploymentView, shown_again
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.orders import Reason
from bot.api.reading import is_word
from bot.api.refusals import Code, conflict, not_found
from bot.domain.environment import PRODUCTION, EnvironmentKind
from bot.domain.ids import reference
from bot.domain.release import Release
from bot.domain.roles import Verb
from bot.promotion import promote
from bot.store import places, releases
from bot.store.places import Live

TAG = "Releases and environments"


class ReleaseView(Model):
    """The immutable result of a build."""

    number: int = Field(examples=[42])
    name: str = Field(examples=["amber-otter-42"])
    commit: str = Field(examples=["5c1f0a3e9d7b2c4e6f8a0b1d3c5e7f9a1b3c5d7e"])
    files: int = Field(examples=[128])
    size: int = Field(examples=[1234567])
    """Bytes."""
    deployment: str = Field(examples=["DEP-12"])
    """The deployment that built it."""
    live_in: list[str] = Field(examples=[["production"]])
    """Environments that show it now."""
    created_at: datetime = Field(examples=["2026-01-31T12:00:08Z"])


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
    held: int = Field(examples=[0])
    """How many deployments wait for `resume`."""
    is_busy: bool = Field(examples=[False])
    pending_variables: list[str] = Field(examples=[["API_URL"]])
    """Variables that changed since the live release was built: deploy again to apply them."""


class ActivateRelease(Model):
    """Where a release is to be live."""

    environment: Annotated[Line, Field(min_length=1, max_length=100, examples=["production"])] = PRODUCTION


class Rollback(Model):
    """What to bring back."""

    release: Annotated[Line, Field(min_length=1, max_length=100, examples=["amber-otter-42"])] | None = None
    """Name, number or commit; default: what was live before."""
    reason: Reason | None = None


def _release_view(release: Release, live: list[Live]) -> ReleaseView:
    return ReleaseView(
        number=release.number,
        name=release.name,
        commit=release.sha,
        files=release.files,
        size=release.size,
        deployment=reference(release.deployment_id),
        live_in=[one.environment.name for one in live if one.environment.active_release_id == release.id],
        created_at=release.created_at,
    )


def _environment_views(call: Call, found: Sequence[Live]) -> list[EnvironmentView]:
    changed = pending.of_app(call.tx, call.of_app, [one.environment for one in found])
    return [_environment_view(call, one, changed.get(one.environment.id, [])) for one in found]


def _environment_view(call: Call, live: Live, changed: list[str]) -> EnvironmentView:
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
        held=live.held,
        is_busy=one.lease_until is not None and one.lease_until > now,
        pending_variables=changed,
    )


def _list_releases(call: Call) -> Page:
    part = call.asked(Paging).part("")
    kept, live = releases.of_app(call.tx, call.of_app.id), places.live_in(call.tx, [call.of_app.id])
    cut = kept[part.offset : part.offset + part.limit]
    return Page([_release_view(one, live) for one in cut], len(kept))


def _release(call: Call, word: str) -> Release:
    found = releases.by_word(call.tx, call.of_app.id, word) if is_word(word) else None
    if found is None:
        raise not_found("release", word)
    return found


def _read_release(call: Call) -> ReleaseView:
    found = _release(call, call.path["release"])
    return _release_view(found, places.live_in(call.tx, [call.of_app.id]))


def _activate(call: Call) -> DeploymentView:
    app, name, by = call.of_app, call.given(ActivateRelease).environment, call.principal.name
    release = _release(call, call.path["release"])
    refuse_archived(app)
    known_environment(call, name)
    lifecycle = call.services.lifecycle
    environment = lifecycle.environment(call.writing, app, name)
    active = environment.active_release_id
    if active == release.id:
        raise conflict(Code.CONFLICT, f"{release.name} is live in {name} already.")
    if active is not None and releases.get(call.tx, active).number > release.number:
        made = lifecycle.rollback(call.writing, app, name, word=release.name, by=by)
    else:
        made = promote(call.writing, environment, release, by=by)
    return shown_again(call, made)


def _list_environments(call: Call) -> Page:
    part = call.asked(Paging).part("")
    found = places.live_in(call.tx, [call.of_app.id])
    return Page(_environment_views(call, found[part.offset : part.offset + part.limit]), len(found))


def _place(call: Call) -> Live:
    word = call.path["environment"]
    there = places.live_in(call.tx, [call.of_app.id])
    by_name = [one for one in there if one.environment.name == word]
    found = by_name or [one for one in there if str(one.environment.id) == word]
    if not found:
        raise not_found("environment", word)
    return found[0]


def _read_environment(call: Call) -> EnvironmentView:
    return _environment_views(call, [_place(call)])[0]


def _roll_back(call: Call) -> DeploymentView:
    given, environment = call.given(Rollback), _place(call).environment
    refuse_archived(call.of_app)
    by = call.principal.name + (f": {given.reason}" if given.reason else "")
    lifecycle = call.services.lifecycle
    made = lifecycle.rollback(call.writing, call.of_app, environment.name, word=given.release, by=by)
    return shown_again(call, made)


def _resume(call: Call) -> EnvironmentView:
    call.services.lifecycle.resume(call.writing, _place(call).environment)
    return _environment_views(call, [_place(call)])[0]


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, **more)


_ENVIRONMENT = "/apps/{app}/environments/{environment}"
OPERATIONS = (
    _about(
        id="listReleases",
        method="GET",
        path="/apps/{app}/releases",
        summary="List an app's releases",
        verb=Verb.READ,
        handle=_list_releases,
        answer=ReleaseView,
        lists=True,
        query=Paging,
        description="Those whose files are kept, newest first: any of them can be made live without a build.",
    ),
    _about(
        id="getRelease",
        method="GET",
        path="/apps/{app}/releases/{release}",
        summary="Read a release",
        verb=Verb.READ,
        handle=_read_release,
        answer=ReleaseView,
        description="By number, name, or the first seven digits of its commit.",
    ),
    _about(
        id="activateRelease",
        method="POST",
        path="/apps/{app}/releases/{release}/activate",
        summary="Make a release live",
        verb=Verb.ROLLBACK,
        handle=_activate,
        answer=DeploymentView,
        body=ActivateRelease,
        status=201,
        refusals={
            409: "It is live there already, or the app is archived.",
            422: "There is no such environment.",
        },
        description="Nothing is built. An older release than the live one is a **rollback**: automatic "
        "deploys wait until `resume`. A newer one is a **promotion**, after which they go on.",
    ),
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
            409: "There is nothing to bring back, or the app is archived.",
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
)
