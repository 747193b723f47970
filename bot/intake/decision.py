"""What an event can mean for one app: the kinds of decisions, and the codes of their reasons. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.deployment import Commit
from bot.domain.pull import PullNumber
from bot.intake.paths import Scope
from bot.intake.recipe_file import Policy


class Reason(StrEnum):
    """Stable codes of reasons."""

    PRODUCTION_BRANCH = "production-branch"
    MAPPED_BRANCH = "mapped-branch"
    SKIP_MARKER = "skip-marker"
    PATHS_UNTOUCHED = "paths-untouched"
    BRANCH_UNUSED = "branch-unused"
    BRANCH_DELETED = "branch-deleted"
    TAG = "tag"
    REF_UNUSED = "ref-unused"
    PULL_REQUEST = "pull-request"
    PULL_CLOSED = "pull-closed"
    PREVIEWS_OFF = "previews-off"
    BASE_UNUSED = "base-unused"
    LABEL_MISSING = "label-missing"
    LABEL_SKIPS = "label-skips"
    LABEL_UNUSED = "label-unused"
    EDIT_UNUSED = "edit-unused"
    DRAFT = "draft"
    BOT = "bot"
    FORK = "fork"
    NO_COMMAND = "no-command"
    NO_PERSON = "no-person"
    COMMAND = "command"
    COMMAND_DONE = "command-done"
    COMMAND_DENIED = "command-denied"
    PERMISSION_UNKNOWN = "permission-unknown"
    APP_DISABLED = "app-disabled"
    CHECK_REPORTED = "check-reported"
    CHECK_UNUSED = "check-unused"
    CHECKS_NOT_OURS = "checks-not-ours"
    APP_AWAY = "app-away"
    APP_BACK = "app-back"
    REPOSITORY_MOVED = "repository-moved"
    VISIBILITY_LEARNED = "visibility-learned"
    UNKNOWN_INSTALLATION = "unknown-installation"
    UNKNOWN_REPOSITORY = "unknown-repository"
    EVENT_UNUSED = "event-unused"
    PAYLOAD_UNUSABLE = "payload-unusable"


@dataclass(frozen=True)
class Target:
    """An environment, and the branch or the pull request that is brought there."""

    name: str
    branch: str
    pull: PullNumber | None = None


@dataclass(frozen=True)
class Facts:
    """What the rules ask for besides the event: None as list of changed files means unknown.

    `scope` is where the app's sources are; None: in its root directory.
    """

    policy: Policy
    changed: Sequence[str] | None
    scope: Scope | None = None


@dataclass(frozen=True)
class Deploy:
    """Bring the commit into these environments."""

    environments: tuple[Target, ...]
    commit: Commit
    code: Reason
    sentence: str


@dataclass(frozen=True)
class Skip:
    """Don't, although the branch is deployed: whoever waits for these environments' status is told."""

    environments: tuple[Target, ...]
    commit: Commit
    code: Reason
    sentence: str


@dataclass(frozen=True)
class Ignore:
    """Nothing to do."""

    code: Reason
    sentence: str


@dataclass(frozen=True)
class Note:
    """Nothing is deployed by it; something is remembered, or looked at anew."""

    code: Reason
    sentence: str


@dataclass(frozen=True)
class Hold:
    """Deploy only once somebody allows it: until then nothing of the commit is run or read."""

    environments: tuple[Target, ...]
    commit: Commit
    code: Reason
    sentence: str


@dataclass(frozen=True)
class TearDown:
    """Take the preview of a pull request down."""

    pull: PullNumber
    code: Reason
    sentence: str


@dataclass(frozen=True)
class Command:
    """Carry out what a comment asks for, or say why not."""

    code: Reason
    sentence: str


Decision = Deploy | Skip | Hold | TearDown | Command | Ignore
