"""A deployment: one attempt to bring one commit into one environment; its states and their moves."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.domain.ids import AppId, DeliveryId, DeploymentId, EnvironmentId, ReleaseId, Sha
from bot.domain.pull import PullNumber


class State(StrEnum):
    """Where a deployment stands."""

    HELD = "held"
    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    SUPERSEDED = "superseded"
    SKIPPED = "skipped"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        """Whether nothing follows this state."""
        return not NEXT[self]

    @property
    def is_waiting(self) -> bool:
        """Whether the deployment has not been worked on yet, or not since it was handed back."""
        return self in (State.HELD, State.QUEUED)


NEXT: dict[State, frozenset[State]] = {
    State.HELD: frozenset({State.QUEUED, State.CANCELLED, State.SUPERSEDED, State.SKIPPED, State.REJECTED}),
    State.QUEUED: frozenset({State.RUNNING, State.HELD, State.CANCELLED, State.SUPERSEDED, State.SKIPPED}),
    # Back to queued: handed back by a stopping worker, or run once more after the worker was lost.
    State.RUNNING: frozenset(
        {
            State.QUEUED,
            State.CANCELLING,
            State.SUCCEEDED,
            State.FAILED,
            State.CANCELLED,
            State.SUPERSEDED,
            State.SKIPPED,
        }
    ),
    # A wish to cancel that comes after the switch is too late: then it succeeds or fails after all.
    State.CANCELLING: frozenset({State.CANCELLED, State.SUPERSEDED, State.SUCCEEDED, State.FAILED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
    State.SUPERSEDED: frozenset(),
    State.SKIPPED: frozenset(),
    State.REJECTED: frozenset(),
}
"""Every allowed move. `bot.lifecycle` alone applies them."""


UNKNOWN_COMMIT = Sha("0" * 40)
"""Stands for the head of a branch until the executor has asked git for it."""


class Phase(StrEnum):
    """The step that a running deployment is in."""

    CHECKOUT = "checkout"
    PLAN = "plan"
    BUILD = "build"
    PACKAGE = "package"
    RELEASE = "release"
    VERIFY = "verify"


class Kind(StrEnum):
    """What a deployment does: build a commit, or bring back or onwards a release that exists."""

    BUILD = "build"
    ROLLBACK = "rollback"


class Trigger(StrEnum):
    """What asked for a deployment. Automatic ones wait while their environment is pinned."""

    PUSH = "push"
    PULL = "pull"
    RECONCILE = "reconcile"
    MANUAL = "manual"

    @property
    def is_automatic(self) -> bool:
        """Whether no person asked for this very deployment."""
        return self is not Trigger.MANUAL


class Hold(StrEnum):
    """What a held deployment waits for."""

    PINNED = "pinned"
    APPROVAL = "approval"
    CHECKS = "checks"
    LOCKED = "locked"


class Blame(StrEnum):
    """Whose fault a failure is: it decides colour, retry and alert."""

    USER = "user"
    PLATFORM = "platform"


class ImpossibleMoveError(Exception):
    """A move that the table does not allow."""

    def __init__(self, old: State, new: State) -> None:
        super().__init__(f"a deployment can't go from {old} to {new}")


@dataclass(frozen=True)
class Commit:
    """The commit that a deployment is about, as far as the event told."""

    sha: Sha
    message: str = ""
    author: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a deployment failed: a code of `bot.errors` and the facts of its text."""

    code: str
    facts: dict[str, str | int]
    blame: Blame


@dataclass(frozen=True)
class Deployment:
    """One attempt, as stored. `version` grows with each change that people should see.

    `pull` is the pull request whose head `sha` is, `tag` what names the commit while `sha` is unknown;
    `hold` is None unless the state is `held`. `from_fork`:
    the commit is a stranger's, or nobody knows whose. `approved_by` is who let exactly this commit of a
    fork go, `with_secrets` whether with variables and secrets; `bot.domain.trust` says what that means.
    `note` is what whoever asked for it wrote down; with `rebuild` a release of the same content is no answer,
    with `clean` nothing is used that earlier builds left.
    """

    id: DeploymentId
    app_id: AppId
    environment_id: EnvironmentId
    kind: Kind
    trigger: Trigger
    state: State
    phase: Phase | None
    sha: Sha
    branch: str | None
    message: str
    author: str
    reason: str
    requested_by: str
    delivery_id: DeliveryId | None
    release_id: ReleaseId | None
    superseded_by: DeploymentId | None
    failure: Failure | None
    attempt: int
    losses: int
    version: int
    announced: int
    cancel_requested: bool
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    pull: PullNumber | None = None
    hold: Hold | None = None
    tag: str | None = None
    from_fork: bool = False
    approved_by: str | None = None
    with_secrets: bool = False
    note: str | None = None
    rebuild: bool = False
    clean: bool = False


def check_move(old: State, new: State) -> None:
    """Raise `ImpossibleMoveError` unless the table allows the move."""
    if new not in NEXT[old]:
        raise ImpossibleMoveError(old, new)
