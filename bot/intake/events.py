"""GitHub's webhook payloads as our own frozen events. Pure.

Only the fields that we use are read, so that unknown fields and actions, nulls, and wrong types
elsewhere can't hurt. Shapes: https://docs.github.com/webhooks/webhook-events-and-payloads
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from bot.domain.ids import Sha
from bot.intake import check_events, fields, place_events
from bot.intake.check_events import CheckEvent, UnusableCheckError
from bot.intake.comment_events import CommentEvent, is_used, read_comment
from bot.intake.fields import Repository, RepositoryField, is_branch
from bot.intake.place_events import InstallationEvent, RepositoryEvent
from bot.intake.pull_events import ACTIONS, PullAction, PullEvent, UnusableError, action_of, read_event


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


Event = (
    PushEvent
    | PullEvent
    | CommentEvent
    | CheckEvent
    | InstallationEvent
    | RepositoryEvent
    | Unused
    | Unusable
)


class _Push(Struct):
    ref: Annotated[str, Meta(min_length=1, max_length=1024)]
    repository: RepositoryField
    before: Any = None
    after: Any = None
    forced: Any = None
    head_commit: Any = None
    pusher: Any = None
    sender: Any = None
    installation: Any = None


def parse(event: str, body: bytes) -> Event:
    """Read the payload of an event, by the name that GitHub's header gives. Never raises."""
    reader = _READERS.get(event)
    if reader is None:
        return Unused(event)
    try:
        return reader(body)
    except (msgspec.ValidationError, UnusableCheckError) as error:
        return Unusable(event, str(error))
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return Unusable(event, f"not JSON: {error}")
    except RecursionError:
        return Unusable(event, "nested too deeply")


def _push(body: bytes) -> Event:
    payload = msgspec.json.decode(body, type=_Push)
    before, after = fields.sha(payload.before), fields.sha(payload.after)
    if before is None and after is None:
        return Unusable("push", "neither `before` nor `after` is a commit")
    branch = _below("refs/heads/", payload.ref)
    if branch is not None and not is_branch(branch):
        return Unusable("push", "`ref` is not a branch that git would take")
    return PushEvent(
        repository=fields.repository(payload.repository),
        installation_id=fields.number(payload.installation, "id"),
        ref=payload.ref,
        branch=branch,
        tag=_below("refs/tags/", payload.ref),
        before=before,
        after=after,
        created=before is None,
        deleted=after is None,
        forced=payload.forced is True,
        head=_head(payload.head_commit) if after is not None else None,
        pusher=fields.text(payload.sender, "login") or fields.text(payload.pusher, "name"),
    )


def _head(found: Any) -> HeadCommit | None:
    if not isinstance(found, dict):
        return None
    author: Any = found.get("author")  # pyright: ignore[reportUnknownVariableType, reportUnknownMemberType]
    return HeadCommit(
        fields.text(found, "message"), fields.text(author, "username") or fields.text(author, "name")
    )


def _below(prefix: str, ref: str) -> str | None:
    return fields.clean(ref.removeprefix(prefix)) if ref.startswith(prefix) else None


def _pull_request(body: bytes) -> Event:
    action = action_of(body)
    if action not in ACTIONS:
        return Unused(f"pull_request.{action}" if action else "pull_request")
    try:
        return read_event(body, PullAction(action))
    except UnusableError as error:
        return Unusable("pull_request", str(error))


def _issue_comment(body: bytes) -> Event:
    return read_comment(body) if is_used(body) else Unused("issue_comment")


def _repository(body: bytes) -> Event:
    found = place_events.read_repository(body)
    return Unused(f"repository.{found}") if isinstance(found, str) else found


def _installation(body: bytes) -> Event:
    found = place_events.read_installation(body)
    return Unused(f"installation.{found}") if isinstance(found, str) else found


_READERS: dict[str, Callable[[bytes], Event]] = {
    "push": _push,
    "pull_request": _pull_request,
    "issue_comment": _issue_comment,
    "check_run": check_events.read_run,
    "check_suite": check_events.read_suite,
    "status": check_events.read_status,
    "repository": _repository,
    "installation": _installation,
    "installation_repositories": _installation,
}
