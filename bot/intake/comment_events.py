"""GitHub's `issue_comment` events as our own: what was written on a pull request. Pure.

Shapes: https://docs.github.com/webhooks/webhook-events-and-payloads#issue_comment
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from bot.domain.pull import PullNumber
from bot.intake import fields
from bot.intake.commands import Command, commands_in
from bot.intake.fields import GitHubId, Repository, RepositoryField

CREATED = "created"
"""The one action that counts: whoever edits a comment could put words into an approval of others."""
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


@dataclass(frozen=True)
class CommentEvent:
    """Somebody wrote on a pull request. The payload tells nothing of its head.

    `is_person`: neither a bot nor an app on somebody's behalf. `author_id` is the account's number, which
    names do not outlive. `written_at` is GitHub's own, to the second.
    """

    repository: Repository
    installation_id: int | None
    pull: PullNumber
    comment: int
    author: str
    author_id: int | None
    is_person: bool
    commands: tuple[Command, ...]
    written_at: datetime


class _Issue(Struct):
    number: GitHubId
    pull_request: Any = None


class _Comment(Struct):
    id: GitHubId
    body: Any = None
    user: Any = None
    created_at: Any = None
    performed_via_github_app: Any = None


class _Payload(Struct):
    repository: RepositoryField
    issue: _Issue
    comment: _Comment
    sender: Any = None
    installation: Any = None


class _OnPull(Struct):
    pull_request: Any = None


class _Kind(Struct):
    action: Any = None
    issue: Annotated[_OnPull, Meta()] = msgspec.field(default_factory=_OnPull)


def is_used(body: bytes) -> bool:
    """Whether an event tells of a new comment on a pull request. Raises msgspec's errors."""
    found = msgspec.json.decode(body, type=_Kind)
    return found.action == CREATED and isinstance(found.issue.pull_request, dict)


def read_comment(body: bytes) -> CommentEvent:
    """Read a payload. Raises msgspec's errors."""
    payload = msgspec.json.decode(body, type=_Payload)
    comment = payload.comment
    said = comment.body if isinstance(comment.body, str) else ""
    author = fields.text(comment.user, "login")
    is_user = all(fields.text(one, "type") in ("User", "") for one in (comment.user, payload.sender))
    return CommentEvent(
        repository=fields.repository(payload.repository),
        installation_id=fields.number(payload.installation, "id"),
        pull=PullNumber(payload.issue.number),
        comment=comment.id,
        author=author,
        author_id=fields.number(comment.user, "id"),
        # A name that is none, such as `renovate[bot]`, could change the address that is asked about it.
        is_person=is_user and comment.performed_via_github_app is None and bool(_LOGIN.fullmatch(author)),
        commands=tuple(commands_in(fields.clean(said))),
        written_at=fields.moment(comment.created_at),
    )
