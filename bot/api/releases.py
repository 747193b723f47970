"""Releases and environments: what was built, where it is live, and moving it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from bot import by_hand
from bot.api.app_views import Line
from bot.api.apps import known_environment, refuse_archived
from bot.api.deployment_views import DeploymentView, shown_again
from bot.api.envelope import Model
from bot.api.environments import TAG, locker
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.reading import is_word
from bot.api.refusals import not_found
from bot.domain.environment import PRODUCTION
from bot.domain.ids import reference
from bot.domain.release import Release
from bot.domain.roles import Verb
from bot.store import places, releases
from bot.store.places import Live


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


class ActivateRelease(Model):
    """Where a release is to be live."""

    environment: Annotated[Line, Field(min_length=1, max_length=100, examples=["production"])] = PRODUCTION


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
    app, name = call.of_app, call.given(ActivateRelease).environment
    release = _release(call, call.path["release"])
    refuse_archived(app)
    known_environment(call, name)
    lifecycle = call.services.lifecycle
    environment = lifecycle.environment(call.writing, app, name)
    made = by_hand.show(lifecycle, call.writing, environment, release, by=locker(call))
    return shown_again(call, made)


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, **more)


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
)
