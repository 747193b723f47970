"""What the API says no with: a stable code, what to do, and what is wrong with which field."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from bot import render
from bot.domain.deployment import ImpossibleMoveError
from bot.domain.roles import Verb
from bot.errors import ErrorCode, SlipwayError, UserError


class Code(StrEnum):
    """Every reason to refuse a request. Errors of the lifecycle keep their codes of `bot.errors`."""

    INVALID_JSON = "invalid-json"
    VALIDATION_FAILED = "validation-failed"
    UNAUTHORIZED = "unauthorized"
    TOKEN_EXPIRED = "token-expired"  # noqa: S105 a code, no secret
    TOKEN_REVOKED = "token-revoked"  # noqa: S105 the same
    FORBIDDEN = "forbidden"
    NOT_A_MEMBER = "not-a-member"
    FORGED = "cross-site"
    ISSUER_SILENT = "issuer-silent"
    NOT_FOUND = "not-found"
    METHOD_NOT_ALLOWED = "method-not-allowed"
    CONFLICT = "conflict"
    NAME_TAKEN = "name-taken"
    APP_ARCHIVED = "app-archived"
    STILL_BUSY = "still-busy"
    ALREADY_ENDED = "already-ended"
    LAST_OWNER = "last-owner"
    TOO_LARGE = "body-too-large"
    TOO_SLOW = "body-too-slow"
    NOT_JSON = "unsupported-media-type"
    KEY_REUSED = "idempotency-key-reused"
    RATE_LIMITED = "rate-limited"
    LOCKED_OUT = "too-many-attempts"
    UNEXPECTED = "unexpected"
    NOT_NOW = "not-now"
    MAIL_FAILED = "mail-failed"
    INVITATION_ENDED = "invitation-ended"


@dataclass(frozen=True)
class FieldProblem:
    """What is wrong with one field of a body (`runtime.port`) or one parameter."""

    field: str
    message: str
    code: str


@dataclass
class RefusalError(Exception):
    """An answer that says no."""

    status: int
    code: str
    message: str
    problems: Sequence[FieldProblem] = ()
    details: Mapping[str, Any] | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    is_bare: bool = False
    """Answered as `{"success": false, "error": message}` alone."""

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.message}"


def not_found(what: str, word: object) -> RefusalError:
    """There is no such thing, or it is somebody else's."""
    named = str(word)[:100]
    message = f"There is no {what} '{named}' that you can see. Ids and names can be listed one level above."
    return RefusalError(404, Code.NOT_FOUND, message)


_ASK = "Ask an owner for a role or a token with it."
_WHOSE = {
    Verb.OPERATE: "Only the operator of this instance has it, by the console's key.",
    Verb.ACCOUNT: "Only a person has it: send one's token (slp_...), or an ID token.",
}


def forbidden(verb: Verb, who: str) -> RefusalError:
    """The caller may not."""
    message = f"{who} may not do that: it needs the right '{verb}'. {_WHOSE.get(verb, _ASK)}"
    return RefusalError(403, Code.FORBIDDEN, message, details={"needs": verb})


def conflict(code: Code, message: str) -> RefusalError:
    """The thing is not in a state for that."""
    return RefusalError(409, code, message)


def invalid(*problems: FieldProblem, status: int = 400) -> RefusalError:
    """Something about the body or the parameters is wrong: 400, or 422 when it is well formed."""
    first = problems[0]
    message = f"{first.field}: {first.message}"
    if len(problems) > 1:
        message += f" ({len(problems)} problems, see validationErrors.)"
    return RefusalError(status, Code.VALIDATION_FAILED, message, problems)


def unfit(name: str, message: str) -> RefusalError:
    """A value is well formed and still can't be: 422."""
    return invalid(FieldProblem(name, message, "unfit"), status=422)


_CONFLICTS = (
    ErrorCode.COMMIT_AMBIGUOUS,
    ErrorCode.COMMIT_DIFFERS,
    ErrorCode.ENVIRONMENT_LOCKED,
    ErrorCode.NO_RELEASE,
    ErrorCode.NOT_APPROVED,
    ErrorCode.NOT_HELD,
    ErrorCode.PULL_CLOSED,
    ErrorCode.RELEASE_GONE,
    ErrorCode.RELEASE_LIVE,
    ErrorCode.STILL_BUSY,
    ErrorCode.VARIABLES_CHANGED,
)


def refusal_of(error: SlipwayError | ImpossibleMoveError) -> RefusalError:
    """What an error of the lifecycle answers."""
    if isinstance(error, ImpossibleMoveError):
        return conflict(Code.CONFLICT, "It changed in the same moment. Read it again, then decide.")
    message = " ".join(render.message_or(error.code, error.facts, str(error)).split())
    if not isinstance(error, UserError):
        return RefusalError(503, error.code, message)
    match error.code:
        case ErrorCode.INVALID_VALUE | ErrorCode.UNKNOWN_NAME:
            problem = FieldProblem(str(error.facts["field"]), message, error.code)
            return RefusalError(422, error.code, message, [problem])
        case code if code in _CONFLICTS:
            return RefusalError(409, error.code, message)
        case _:
            return RefusalError(422, error.code, message)
