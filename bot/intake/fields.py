"""Single fields of GitHub's payloads, read so that a wrong type or a missing field can't hurt. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from bot.domain.ids import Sha, is_sha
from bot.domain.pull import UNDATED

MAX_TEXT = 255
"""Longest name of a person, a repository or a branch that is believed, in characters."""

# The store keeps ids in 64 bits.
GitHubId = Annotated[int, Meta(ge=1, le=2**63 - 1)]
# What `git check-ref-format` refuses in a branch's name (git-check-ref-format(1)).
_NOT_IN_A_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|^[/-]|[/.]$|\.lock$|^@$")


@dataclass(frozen=True)
class Repository:
    """The repository of an event.

    `default_branch` is empty when the payload does not tell it; `private` is None then.
    """

    id: int
    full_name: str
    default_branch: str
    private: bool | None


class RepositoryField(Struct):
    """What of a payload's `repository` must be there."""

    id: GitHubId
    full_name: Annotated[str, Meta(min_length=3, max_length=MAX_TEXT)]
    default_branch: Any = None
    private: Any = None


def is_branch(name: str) -> bool:
    """Whether git would take the text as a branch's name."""
    return 0 < len(name) <= MAX_TEXT and _NOT_IN_A_REF.search(name) is None


def repository(found: RepositoryField) -> Repository:
    """The repository that a payload names."""
    default = found.default_branch if isinstance(found.default_branch, str) else ""
    branch = default if is_branch(default) else ""
    return Repository(
        found.id, clean(found.full_name), branch, found.private if isinstance(found.private, bool) else None
    )


def number(found: Any, name: str) -> int | None:
    """An id in a payload's object; None when there is none."""
    value: Any = found.get(name) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType]
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if 0 < value < 2**63 else None


def sha(found: Any) -> Sha | None:
    """A commit's full id; None for anything else, and for all zeros."""
    return Sha(found) if isinstance(found, str) and is_sha(found) else None


def text(found: Any, name: str) -> str:
    """A text in a payload's object; empty when there is none."""
    value: Any = found.get(name) if isinstance(found, dict) else None  # pyright: ignore[reportUnknownVariableType]
    return clean(value) if isinstance(value, str) else ""


def moment(found: Any) -> datetime:
    """A date as GitHub writes it; `UNDATED` for anything else."""
    try:
        value = datetime.fromisoformat(found) if isinstance(found, str) else UNDATED
    except ValueError:
        return UNDATED
    return max(value, UNDATED) if value.tzinfo is not None else UNDATED


def clean(value: str) -> str:
    """A text without NUL, which PostgreSQL refuses."""
    return value.replace("\0", "")
