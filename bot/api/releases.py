"""Releases and environments: what was built, where it is live, and moving it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from bot.api.app_views import Line
from bot.api.apps import known_environment, refuse_archived
from bot.api.archive import ArchiveQuery
from bot.api.deployment_views import DeploymentView, note_made, shown_again
from bot.api.envelope import Model
from bot.api.environment_views import environment_named
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.orders import Reason, bring
from bot.api.reading import is_word
from bot.api.refusals import not_found
from bot.domain.environment import PRODUCTION
from bot.domain.ids import ReleaseId, reference
from bot.domain.release import Release, release_hostname, releases_to_keep
from bot.domain.roles import Verb
from bot.domain.trust import Trust
from bot.store import environments, releases

TAG = "Releases"
DOWNLOAD = "downloadRelease"


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
    url: str | None = Field(examples=["https://2f33949ba754-shop.example.org"])
    """Where it alone is shown, whatever is live: while an environment that has shown it is there."""
    kept: bool = Field(examples=[True])
    """Whether its files are kept: only then it can be made live, compared or downloaded."""
    kept_because: str | None = Field(examples=["live in production"])
    created_at: datetime = Field(examples=["2026-01-31T12:00:08Z"])


class ActivateRelease(Model):
    """Where a release is to be live."""

    environment: Annotated[Line, Field(min_length=1, max_length=100, examples=["production"])] = PRODUCTION
    reason: Reason | None = None
    """Why, for whoever looks at it later."""


class ReleaseQuery(Paging):
    """Which releases."""

    kept: bool = Field(default=True, examples=[True])
    """False: those whose files are gone."""
    environment: Annotated[Line, Field(min_length=1, max_length=100, examples=["production"])] | None = None
    """Only what this environment has shown, by name or id: what it can be rolled back to."""


@dataclass(frozen=True)
class _Keeping:
    """What retention goes by: see `releases_to_keep`. `resting` are environments that were taken down."""

    live: Mapping[ReleaseId, Sequence[str]]
    resting: Mapping[ReleaseId, Sequence[str]]
    needed: Collection[int]
    spare: Collection[int]
    count: int

    def why(self, one: Release) -> str:
        """Why a release is kept yet."""
        if names := self.live.get(one.id):
            return f"live in {', '.join(names[:10])}"
        if names := self.resting.get(one.id):
            return f"{', '.join(names[:10])} may come back within a week"
        if one.id in self.needed:
            return "a deployment is about to show it"
        if one.id in self.spare:
            return f"one of the newest {self.count} besides those that are live (KEEP_RELEASES)"
        return "nothing: it goes within the hour"


def _views(call: Call, found: list[Release], *, is_kept: bool = True) -> list[ReleaseView]:
    app, count = call.of_app.id, call.services.settings.keep_releases
    live: dict[ReleaseId, list[str]] = {}
    resting: dict[ReleaseId, list[str]] = {}
    for one in environments.of_apps(call.tx, [app]):
        if one.active_release_id is not None:
            shown = live if one.archived_at is None else resting
            shown.setdefault(one.active_release_id, []).append(one.name)
    needed = releases.needed_ids(call.tx) if is_kept else set[ReleaseId]()
    whole = releases.of_app(call.tx, app) if is_kept else []
    spare = releases_to_keep(whole, {*live, *resting, *needed}, count)
    exposed = (
        {one.id for one in releases.exposed(call.tx, [one.id for one in found])} if is_kept else set[int]()
    )
    keeping = _Keeping(live, resting, needed, spare, count)
    return [
        ReleaseView(
            number=one.number,
            name=one.name,
            commit=one.sha,
            files=one.files,
            size=one.size,
            deployment=reference(one.deployment_id),
            live_in=live.get(one.id, []),
            url=_url(call, one) if one.id in exposed else None,
            kept=is_kept,
            kept_because=keeping.why(one) if is_kept else None,
            created_at=one.created_at,
        )
        for one in found
    ]


def _url(call: Call, one: Release) -> str:
    settings = call.services.settings
    forks = settings.domain_of_forks or settings.preview_domain
    domain = settings.preview_domain if one.trust is Trust.FULL else forks
    return settings.site_url(release_hostname(one, call.of_app.slug, domain))


def _list_releases(call: Call) -> Page:
    asked = call.asked(ReleaseQuery)
    shown_in = environment_named(call, asked.environment).id if asked.environment else None
    found = releases.page(call.tx, call.of_app.id, asked.part(""), is_kept=asked.kept, shown_in=shown_in)
    return Page(_views(call, found.rows, is_kept=asked.kept), found.total)


def _release(call: Call, word: str) -> Release:
    found = releases.by_word(call.tx, call.of_app.id, word) if is_word(word) else None
    if found is None:
        raise not_found("release", word)
    return found


def _read_release(call: Call) -> ReleaseView:
    return _views(call, [_release(call, call.path["release"])])[0]


def _nothing(_call: Call) -> None:
    """What streams is answered elsewhere."""


def _activate(call: Call) -> DeploymentView:
    release = _release(call, call.path["release"])
    refuse_archived(call.of_app)
    given = call.given(ActivateRelease)
    name = known_environment(call, given.environment)
    made = bring(call, release, name, given.reason)
    note_made(call, made, {"release": release.name, "environment": name, "reason": given.reason})
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
        query=ReleaseQuery,
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
        id=DOWNLOAD,
        method="GET",
        path="/apps/{app}/releases/{release}/archive",
        summary="Download a release",
        verb=Verb.READ,
        handle=_nothing,
        query=ArchiveQuery,
        streams=True,
        media={"application/zip": "A ZIP archive.", "application/zstd": "A tar archive, compressed."},
        refusals={400: "There is no such format.", 409: "Its files are gone."},
        description="All that is published, below a folder of the release's name, with its `_redirects` and "
        "`_headers`.",
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
