"""Previews of pull requests: what there is, and their life."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.refusals import Code, conflict, not_found
from bot.domain.deployment import State
from bot.domain.duration import duration
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import reference
from bot.domain.protection import Protection
from bot.domain.pull import PullNumber, preview_name
from bot.domain.roles import Verb
from bot.previews import end_of, extend, protection_of, rules_of, take_down, wake
from bot.store import deployments, environments, pulls

TAG = "Previews"


def _length(value: str) -> str:
    if duration(value) is None:
        raise ValueError("Write a number and m, h, d or w, such as 3d.")
    return value


Length = Annotated[str, AfterValidator(_length), Field(max_length=10, examples=["3d"])]


class PreviewView(Model):
    """The preview of a pull request."""

    number: int = Field(examples=[12])
    """The pull request's."""
    title: str = Field(examples=["Show prices in euros"])
    environment: int = Field(examples=[3])
    """The id of its environment, for the addresses below `/environments`."""
    status: Literal["live", "asleep", "empty", "closed"] = Field(examples=["live"])
    """`asleep`: it wakes at its next visit. `empty`: nothing is shown yet. `closed`: it was taken down."""
    reason: str | None = Field(examples=[None])
    """Why it was taken down."""
    hostname: str = Field(examples=["pr-12-shop.example.org"])
    url: str = Field(examples=["https://pr-12-shop.example.org"])
    protection: Protection = Field(examples=["link"])
    deployment: str | None = Field(examples=["DEP-12"])
    """The newest deployment there."""
    deployment_status: State | None = Field(examples=["succeeded"])
    created_at: datetime | None = Field(examples=["2026-01-31T12:00:08Z"])
    """When its present life began."""
    used_at: datetime | None = Field(examples=["2026-01-31T12:00:08Z"])
    """When it was last pushed to or visited, to the hour."""
    idle: bool = Field(examples=[False])
    """Whether nobody has used it for so long that it sleeps, or is about to."""
    expires_at: datetime | None = Field(examples=["2026-03-02T12:00:08Z"])
    """When it is taken down at the latest."""


class PreviewQuery(Paging):
    """Which previews."""

    status: Literal["open", "closed", "all"] = Field(default="open", examples=["open"])
    """Default: those that were not taken down."""


class ExtendPreview(Model):
    """How long a preview is to live."""

    ttl: Length
    """From now on; 90 days at most."""


def _views(call: Call, found: list[Environment]) -> list[PreviewView]:
    app, now = call.of_app, call.services.clock()
    rules, protection = rules_of(call.tx, app), protection_of(call.tx, app)
    lives = [_Life(protection, end_of(one, rules), now - rules.idle_after) for one in found]
    return [_view(call, one, life) for one, life in zip(found, lives, strict=True)]


@dataclass(frozen=True)
class _Life:
    """What an app's rules make of a preview: idle is what nobody used since `idle_since`."""

    protection: Protection
    end: datetime | None
    idle_since: datetime


def _view(call: Call, one: Environment, life: _Life) -> PreviewView:
    pull = pulls.of_app(call.tx, call.of_app, one.pull) if one.pull else None
    newest = deployments.newest(call.tx, one.id)
    return PreviewView(
        number=one.pull or 0,
        title=pull.title if pull else "",
        environment=one.id,
        status=_status(one),
        reason=one.archive_reason,
        hostname=one.hostname,
        url=call.services.settings.site_url(one.hostname),
        protection=life.protection,
        deployment=reference(newest.id) if newest else None,
        deployment_status=newest.state if newest else None,
        created_at=one.born_at,
        used_at=one.used_at,
        idle=one.used_at is not None and one.used_at <= life.idle_since,
        expires_at=None if one.archived_at else life.end,
    )


def _status(one: Environment) -> Literal["live", "asleep", "empty", "closed"]:
    if one.archived_at is not None:
        return "closed"
    if one.active_release_id is None:
        return "empty"
    return "asleep" if one.asleep_at is not None else "live"


def _list(call: Call) -> Page:
    asked = call.asked(PreviewQuery)
    part = asked.part("")
    shown = {"open": (False,), "closed": (True,), "all": (False, True)}[asked.status]
    found = [
        one
        for one in reversed(environments.of_apps(call.tx, [call.of_app.id]))
        if one.kind is EnvironmentKind.PREVIEW and (one.archived_at is not None) in shown
    ]
    return Page(_views(call, found[part.offset : part.offset + part.limit]), len(found))


def _preview(call: Call) -> Environment:
    word = call.path["number"]
    is_number = word.isascii() and word.isdigit() and len(word) <= 15
    name = preview_name(PullNumber(int(word))) if is_number else ""
    found = environments.by_name(call.tx, call.of_app.id, name)
    if found is None:
        raise not_found("preview of pull request", word)
    return found


def _open_preview(call: Call) -> Environment:
    found = _preview(call)
    if found.archived_at is not None:
        message = (
            f"The preview of #{found.pull} was taken down: {found.archive_reason}. Push to bring it back."
        )
        raise conflict(Code.CONFLICT, message)
    return found


def _shown(call: Call, one: Environment) -> PreviewView:
    return _views(call, [environments.get(call.tx, one.id)])[0]


def _close(call: Call) -> PreviewView:
    found = _preview(call)
    call.note(f"preview {found.name}", {"status": _status(found)}, {"status": "closed"})
    take_down(call.writing, found, f"closed by {call.principal.name}")
    call.writing.reroutes = True
    return _shown(call, found)


def _wake(call: Call) -> PreviewView:
    found = _open_preview(call)
    call.note(f"preview {found.name}", {"status": _status(found)}, {"status": "live"})
    wake(call.writing, found)
    return _shown(call, found)


def _extend(call: Call) -> PreviewView:
    found, length = _open_preview(call), duration(call.given(ExtendPreview).ttl)
    assert length is not None
    before = end_of(found, rules_of(call.tx, call.of_app))
    later = extend(call.writing, found, length)
    call.note(f"preview {found.name}", {"expiresAt": _said(before)}, {"expiresAt": _said(later.expires_at)})
    return _shown(call, found)


def _said(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, answer=PreviewView, **more)


_PREVIEW = "/apps/{app}/previews/{number}"
OPERATIONS = (
    _about(
        id="listPreviews",
        method="GET",
        path="/apps/{app}/previews",
        summary="List an app's previews",
        verb=Verb.READ,
        handle=_list,
        lists=True,
        query=PreviewQuery,
        description="Newest first.",
    ),
    _about(
        id="closePreview",
        method="POST",
        path=f"{_PREVIEW}/close",
        summary="Take a preview down",
        verb=Verb.DEPLOY,
        handle=_close,
        description="What is built for it stops. Its release is kept for a week; a push brings it back.",
    ),
    _about(
        id="wakePreview",
        method="POST",
        path=f"{_PREVIEW}/wake",
        summary="Wake a sleeping preview",
        verb=Verb.DEPLOY,
        handle=_wake,
        description="Its files are laid out again; nothing is built. A visit does the same.",
        refusals={409: "It was taken down."},
    ),
    _about(
        id="extendPreview",
        method="POST",
        path=f"{_PREVIEW}/extend",
        summary="Say how long a preview lives",
        verb=Verb.DEPLOY,
        handle=_extend,
        body=ExtendPreview,
        description="Instead of what slipway.toml says (`max_age`), and counted from now.",
        refusals={409: "It was taken down."},
    ),
)
