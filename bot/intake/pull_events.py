"""GitHub's `pull_request` events as our own. Pure.

Shapes: https://docs.github.com/webhooks/webhook-events-and-payloads#pull_request
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from bot.domain.pull import PullNumber, PullRequest, PullState
from bot.intake import fields
from bot.intake.fields import MAX_TEXT, GitHubId, Repository, RepositoryField, is_branch

MAX_LABELS = 200
MAX_TITLE = 1000
"""Characters of a title that are kept."""


class PullAction(StrEnum):
    """What happened to a pull request, of all that GitHub tells, that matters here."""

    OPENED = "opened"
    SYNCHRONIZE = "synchronize"
    REOPENED = "reopened"
    CLOSED = "closed"
    LABELED = "labeled"
    UNLABELED = "unlabeled"
    READY = "ready_for_review"
    DRAFTED = "converted_to_draft"
    EDITED = "edited"


ACTIONS = frozenset(action.value for action in PullAction)


@dataclass(frozen=True)
class PullEvent:
    """Something happened to a pull request.

    `label` is the one that came or went. `new_base`: it wants to change another branch than before.
    `old_title` is None unless the title was changed.
    """

    repository: Repository
    installation_id: int | None
    action: PullAction
    pull: PullRequest
    label: str
    new_base: bool
    old_title: str | None
    sender: str


class UnusableError(ValueError):
    """A payload that lacks what it must have; the text says what."""


class _End(Struct):
    ref: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]
    sha: Annotated[str, Meta(max_length=64)]
    repo: Any = None


class _Pull(Struct):
    number: GitHubId
    state: Annotated[str, Meta(max_length=20)]
    head: _End
    base: _End
    title: Any = None
    draft: Any = None
    merged: Any = None
    merged_at: Any = None
    labels: Any = None
    user: Any = None
    updated_at: Any = None


class _Payload(Struct):
    repository: RepositoryField
    pull_request: _Pull
    label: Any = None
    changes: Any = None
    sender: Any = None
    installation: Any = None


class _Action(Struct):
    action: Any = None


def action_of(body: bytes) -> str:
    """What a payload says has happened; empty when it does not."""
    found = msgspec.json.decode(body, type=_Action).action
    return fields.clean(found)[:MAX_TEXT] if isinstance(found, str) else ""


def read_event(body: bytes, action: PullAction) -> PullEvent:
    """Read a payload. Raises `UnusableError` and msgspec's errors."""
    payload = msgspec.json.decode(body, type=_Payload)
    repository = fields.repository(payload.repository)
    changed: Any = payload.changes if isinstance(payload.changes, dict) else {}  # pyright: ignore[reportUnknownVariableType]
    title: Any = changed.get("title")
    return PullEvent(
        repository=repository,
        installation_id=fields.number(payload.installation, "id"),
        action=action,
        pull=_pull(payload.pull_request, repository.id, reopened=action is PullAction.REOPENED),
        label=fields.text(payload.label, "name"),
        new_base=action is PullAction.EDITED and "base" in changed,
        old_title=fields.text(title, "from") if isinstance(title, dict) else None,
        sender=fields.text(payload.sender, "login"),
    )


def read_pull(content: bytes) -> PullRequest:
    """Read a pull request as GitHub's API gives it. Raises `UnusableError` and msgspec's errors."""
    found = msgspec.json.decode(content, type=_Pull)
    repository = fields.number(found.base.repo, "id")
    if repository is None:
        raise UnusableError("`base.repo.id` is missing")
    return _pull(found, repository, reopened=False)


def _pull(found: _Pull, repository_id: int, *, reopened: bool) -> PullRequest:
    if found.state not in ("open", "closed"):
        raise UnusableError(f"`state` is {found.state!r}")
    head = fields.sha(found.head.sha)
    if head is None:
        raise UnusableError("`head.sha` is not a commit")
    base_branch = fields.clean(found.base.ref)
    if not is_branch(base_branch):
        raise UnusableError("`base.ref` is not a branch that git would take")
    head_branch = fields.clean(found.head.ref)
    return PullRequest(
        repository_id=repository_id,
        number=PullNumber(found.number),
        state=PullState(found.state),
        merged=found.merged is True or isinstance(found.merged_at, str),
        draft=found.draft is True,
        title=fields.clean(found.title)[:MAX_TITLE] if isinstance(found.title, str) else "",
        author=fields.text(found.user, "login"),
        by_bot=fields.text(found.user, "type") == "Bot",
        labels=_labels(found.labels),
        head_sha=head,
        head_branch=head_branch if is_branch(head_branch) else "",
        head_repository_id=fields.number(found.head.repo, "id"),
        head_repository=fields.text(found.head.repo, "full_name") or None,
        base_branch=base_branch,
        base_sha=fields.sha(found.base.sha),
        updated_at=fields.moment(found.updated_at),
        reopened=reopened,
    )


def _labels(found: Any) -> tuple[str, ...]:
    listed: Any = found if isinstance(found, list) else []  # pyright: ignore[reportUnknownVariableType]
    names = (fields.text(label, "name")[:MAX_TEXT] for label in listed[:MAX_LABELS])
    return tuple(name for name in names if name)
