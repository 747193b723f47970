"""A request to GitHub, what it may do, and its answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from bot.github.errors import UnreachableError

T = TypeVar("T")


@dataclass(frozen=True)
class Grant:
    """What an installation token may do: the fewest permissions, in one repository or, with none, in all."""

    installation: int
    repository: str | None
    repository_id: int | None
    permissions: tuple[tuple[str, str], ...]

    @property
    def body(self) -> dict[str, Any]:
        """The request for such a token. A repository's id survives renames, its name does not."""
        if self.repository_id is not None:
            scope: dict[str, Any] = {"repository_ids": [self.repository_id]}
        elif self.repository is not None:
            scope = {"repositories": [self.repository.partition("/")[2]]}
        else:
            scope = {}
        return {**scope, "permissions": dict(self.permissions)}


@dataclass(frozen=True)
class Answer:
    """A successful answer. `is_unchanged`: it is still what had the `etag` that was asked with."""

    status: int
    content: bytes
    link: str
    etag: str = ""

    @property
    def is_unchanged(self) -> bool:
        """Whether there is nothing new; such an answer costs nothing of GitHub's limits."""
        return self.status == 304

    def read(self, shape: type[T]) -> T:
        """The answer's JSON as one of our structs. Raises `UnreachableError` when it is something else."""
        try:
            return msgspec.json.decode(self.content, type=shape)
        except msgspec.DecodeError as error:
            raise UnreachableError(f"GitHub's answer could not be read: {error}") from None


@dataclass(frozen=True)
class Call:
    """One request. `path` is below the API's base; only a GET or a call that says so may be repeated.

    `etag`: that of an answer that is known already.
    """

    method: str
    path: str
    body: Mapping[str, Any] | None = None
    params: Mapping[str, str] | None = None
    repeatable: bool = False
    etag: str = ""
