"""GitHub's webhook payloads as our own frozen events. Pure.

Only the fields that we use are read, so that unknown fields and actions, nulls, and wrong types
elsewhere can't hurt. Shapes: https://docs.github.com/webhooks/webhook-events-and-payloads
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, assert_never

import msgspec
from msgspec import Meta, Struct

from bot.domain.ids import Sha, is_sha

MAX_TEXT = 255
"""Longest name of a person, a repository or a branch that is believed, in characters."""

# The store keeps ids in 64 bits.
_GitHubId = Annotated[int, Meta(ge=1, le=2**63 - 1)]
# What `git check-ref-format` refuses in a branch's name (git-check-ref-format(1)).
_NOT_IN_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[/-]|[/.]$|\.lock$|^@$")


@dataclass(frozen=True)
class Repository:
    """The repository of an event. `default_branch` is empty when the payload does not tell it."""

    id: int
    full_name: str
    default_branch: str
    private: bool


@dataclass(frozen=True)
class HeadCommit:
    """What a payload tells of the commit that a branch points at now."""

    message: str
    author: str


@dataclass(frozen=True)
class PushEvent:
    """A branch or a tag that moved: exactly one of `branch` and `tag` is set, or none for other refs.

    `before` is None when the ref was created, `after` when it was deleted. The payload's lists of
    files are cut by GitHub and say nothing after a force push, so they are not here.
    """

    repository: Repository
    installation_id: int | None
    ref: str
    branch: str | None
    tag: str | None
    before: Sha | None
    after: Sha | None
    created: bool
    deleted: bool
    forced: bool
    head: HeadCommit | None
    pusher: str


@dataclass(frozen=True)
class Unused:
    """An event that Slipway does not act on."""

    event: str


@dataclass(frozen=True)
class Unusable:
    """A payload that lacks what its event must have."""

    event: str
    reason: str


Event = PushEvent | Unused | Unusable


class _Repository(Struct):
    id: _GitHubId
    full_name: Annotated[str, Meta(min_length=3, max_length=MAX_TEXT)]
    default_branch: Any = None
    private: Any = None


class _Push(Struct):
    ref: Annotated[str, Meta(min_length=1, max_length=1024)]
    repository: _Repository
    before: Any = None
    after: Any = None
    forced: Any = None
    head_commit: Any = None
    pusher: Any = None
    sender: Any = None
    installation: Any = None


def is_branch(name: str) -> bool:
    """Whether git would take the text as a branch's name."""
    return 0 < len(name) <= MAX_TEXT and _NOT_IN_A_REF.search(name) is None


def parse(event: str, body: bytes) -> Event:
    """Read the payload of an event, by the name that GitHub's header gives. Never raises."""
    reader = _READERS.get(event)
    if reader is None:
        return Unused(event)
    try:
        return reader(body)
    except msgspec.ValidationError as error:
        return Unusable(event, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Unusable(event, f"not JSON: {error}")
    except RecursionError:
        return Unusable(event, "nested too deeply")


def repository_of(event: Event) -> Repository | None:
    """The repository that an event is about, if it tells."""
    match event:
        case PushEvent():
            return event.repository
        case Unused() | Unusable():
            return None
        case _:
            assert_never(event)


def _push(body: bytes) -> Event:
    payload = msgspec.json.decode(body, type=_Push)
    before, after = _sha(payload.before), _sha(payload.after)
    if before is None and after is None:
        return Unusable("push", "neither `before` nor `after` is a commit")
    branch = _below("refs/heads/", payload.ref)
    if branch is not None and not is_branch(branch):
        return Unusable("push", "`ref` is not a branch that git would take")
    return PushEvent(
        repository=_repository(payload.repository),
        installation_id=_installation(payload.installation),
        ref=payload.ref,
        branch=branch,
        tag=_below("refs/tags/", payload.ref),
        before=before,
        after=after,
        created=before is None,
        deleted=after is None,
        forced=payload.forced is True,
        head=_head(payload.head_commit) if after is not None else None,
        pusher=_text(payload.sender, "login") or _text(payload.pusher, "name"),
    )


def _repository(found: _Repository) -> Repository:
    default = found.default_branch if isinstance(found.default_branch, str) else ""
    branch = default if is_branch(default) else ""
    return Repository(found.id, _clean(found.full_name), branch, private=found.private is not False)


def _installation(found: Any) -> int | None:
    number: Any = found.get("id") if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(number, int) or isinstance(number, bool):
        return None
    return number if 0 < number < 2**63 else None


def _head(found: Any) -> HeadCommit | None:
    if not isinstance(found, dict):
        return None
    author: Any = found.get("author")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return HeadCommit(_text(found, "message"), _text(author, "username") or _text(author, "name"))


def _sha(found: Any) -> Sha | None:
    return Sha(found) if isinstance(found, str) and is_sha(found) else None


def _below(prefix: str, ref: str) -> str | None:
    return _clean(ref.removeprefix(prefix)) if ref.startswith(prefix) else None


def _text(found: Any, name: str) -> str:
    value: Any = found.get(name) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType]
    return _clean(value) if isinstance(value, str) else ""


def _clean(text: str) -> str:
    # PostgreSQL refuses NUL in text.
    return text.replace("\0", "")


_READERS: dict[str, Callable[[bytes], Event]] = {"push": _push}
