"""GitHub's `check_run`, `check_suite` and `status` events as our own. Pure.

Shapes: https://docs.github.com/webhooks/webhook-events-and-payloads#check_run
"""

from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from bot.domain.checks import Check, CheckKind, state_of_run, state_of_status
from bot.domain.ids import Sha
from bot.intake import fields
from bot.intake.fields import MAX_TEXT, GitHubId, Repository, RepositoryField

COMPLETED = "completed"


@dataclass(frozen=True)
class CheckEvent:
    """Something was reported of a commit. `check` is None where the event tells of no single one.

    `action` is GitHub's; that of a status is always `completed`.
    """

    repository: Repository
    installation_id: int | None
    event: str
    action: str
    sha: Sha
    check: Check | None

    @property
    def is_news(self) -> bool:
        """Whether it says what came of a check."""
        return self.action == COMPLETED


class UnusableCheckError(ValueError):
    """A payload that lacks what it must have; the text says what."""


Name = Annotated[str, Meta(min_length=1, max_length=MAX_TEXT)]


class _Run(Struct):
    id: GitHubId
    name: Name
    head_sha: str
    status: Any = None
    conclusion: Any = None


class _Suite(Struct):
    head_sha: str


class _RunPayload(Struct):
    repository: RepositoryField
    check_run: _Run
    action: Any = None
    installation: Any = None


class _SuitePayload(Struct):
    repository: RepositoryField
    check_suite: _Suite
    action: Any = None
    installation: Any = None


class _StatusPayload(Struct):
    repository: RepositoryField
    id: GitHubId
    sha: str
    context: Name
    state: str
    installation: Any = None


def read_run(body: bytes) -> CheckEvent:
    """Read a `check_run`. Raises `UnusableCheckError` and msgspec's errors."""
    payload = msgspec.json.decode(body, type=_RunPayload)
    run = payload.check_run
    status = run.status if isinstance(run.status, str) else ""
    conclusion = run.conclusion if isinstance(run.conclusion, str) else None
    check = Check(CheckKind.RUN, fields.clean(run.name), state_of_run(status, conclusion), run.id)
    return _event("check_run", payload, run.head_sha, check)


def read_suite(body: bytes) -> CheckEvent:
    """Read a `check_suite`. Raises as `read_run`."""
    payload = msgspec.json.decode(body, type=_SuitePayload)
    return _event("check_suite", payload, payload.check_suite.head_sha, None)


def read_status(body: bytes) -> CheckEvent:
    """Read a `status`. Raises as `read_run`."""
    payload = msgspec.json.decode(body, type=_StatusPayload)
    check = Check(CheckKind.STATUS, fields.clean(payload.context), state_of_status(payload.state), payload.id)
    return _event("status", payload, payload.sha, check)


def _event(
    event: str, payload: _RunPayload | _SuitePayload | _StatusPayload, told: str, check: Check | None
) -> CheckEvent:
    sha = fields.sha(told)
    if sha is None:
        raise UnusableCheckError("it names no commit")
    action = COMPLETED if isinstance(payload, _StatusPayload) else payload.action
    return CheckEvent(
        repository=fields.repository(payload.repository),
        installation_id=fields.number(payload.installation, "id"),
        event=event,
        action=fields.clean(action)[:MAX_TEXT] if isinstance(action, str) else "",
        sha=sha,
        check=check,
    )
