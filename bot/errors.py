"""The two families of error: what is wrong with their repository or input, and what is wrong with us.

Each error has a stable code; its text for people is the template `templates/message/<code>.md.j2`,
rendered with the error's facts. The family decides colour, retry and alert.
"""

from enum import StrEnum


class ErrorCode(StrEnum):
    """Every way to fail that a person is told about. A test holds each to its text."""

    # The repository or the input.
    API_FORBIDDEN = "api-forbidden"
    API_REFUSED = "api-refused"
    API_UNKNOWN_CALLER = "api-unknown-caller"
    BRANCH_GONE = "branch-gone"
    BUILD_FAILED = "build-failed"
    BUILD_TIMED_OUT = "build-timed-out"
    BUILD_OUT_OF_MEMORY = "build-out-of-memory"
    BUILD_TOO_LARGE = "build-too-large"
    CHECKOUT_REFUSED = "checkout-refused"
    COMMIT_AMBIGUOUS = "commit-ambiguous"
    COMMIT_GONE = "commit-gone"
    COMMIT_DIFFERS = "commit-differs"
    COMMIT_TOO_LARGE = "commit-too-large"
    COMMIT_OF_FORK = "commit-of-fork"
    ENVIRONMENT_LOCKED = "environment-locked"
    ERRAND_FAILED = "errand-failed"
    FILE_TOO_LARGE = "file-too-large"
    INSTALL_FAILED = "install-failed"
    INVALID_VALUE = "invalid-value"
    NETWORK_REFUSED = "network-refused"
    NO_RELEASE = "no-release"
    NOT_APPROVED = "not-approved"
    NOT_HELD = "not-held"
    NOTHING_DETECTED = "nothing-detected"
    OUTPUT_EMPTY = "output-empty"
    OUTPUT_MISSING = "output-missing"
    PULL_CLOSED = "pull-closed"
    RECIPE_INVALID = "recipe-invalid"
    RELEASE_OF_STRANGER = "release-of-stranger"
    REPOSITORY_UNREACHABLE = "repository-unreachable"
    RELEASE_GONE = "release-gone"
    RELEASE_LIVE = "release-live"
    ROOT_MISSING = "root-missing"
    TAG_GONE = "tag-gone"
    SECRET_PUBLISHED = "secret-published"  # noqa: S105 a code, no secret
    STILL_BUSY = "still-busy"
    TOO_MANY_FILES = "too-many-files"
    TOOL_MISSING = "tool-missing"
    UNKNOWN_NAME = "unknown-name"
    VARIABLE_REFUSED = "variable-refused"
    VARIABLES_CHANGED = "variables-changed"
    VARIABLES_MISSING = "variables-missing"
    # The platform.
    DISK_FULL = "disk-full"
    EDGE_SILENT = "edge-silent"
    ENCRYPTION_KEY_INVALID = "encryption-key-invalid"
    ENCRYPTION_KEY_LOST = "encryption-key-lost"
    FILES_EXHAUSTED = "files-exhausted"
    FORK_DOMAIN_MISSING = "fork-domain-missing"
    HOME_READ_ONLY = "home-read-only"
    LEASE_LOST = "lease-lost"
    QUEUE_SILENT = "queue-silent"
    RELEASE_DAMAGED = "release-damaged"
    REPOSITORY_SILENT = "repository-silent"
    SANDBOX_FAILED = "sandbox-failed"
    SANDBOX_MISSING = "sandbox-missing"
    START_REFUSED = "start-refused"
    STORE_REFUSED = "store-refused"
    UNEXPECTED = "unexpected"
    WEB_AWAY = "web-away"
    WORKER_AWAY = "worker-away"
    WORKER_LOST = "worker-lost"


class SlipwayError(Exception):
    """An error with a stable code and the facts that its text needs (plain strings and numbers)."""

    def __init__(self, code: ErrorCode, **facts: str | int) -> None:
        self.code = code
        self.facts = facts
        super().__init__(f"{code}: " + ", ".join(f"{name}={value}" for name, value in facts.items()))


class UserError(SlipwayError):
    """Their repository or their input: they are told what to change; it is never retried."""


class PlatformError(SlipwayError):
    """Our fault, our machine's, or that of what we depend on: the operator is told.

    Lost work is run once more; what a fault that passes stopped is tried again (`bot.troubles`).
    """
