"""A repository's files as the planning of a build sees them: in a folder, or in a commit of a mirror."""

from pathlib import Path
from stat import S_ISREG
from typing import Protocol

from bot.domain.app import App
from bot.domain.ids import Sha
from jobs.git import Mirrors

MAX_BYTES = 1024 * 1024
"""Largest configuration file that is read."""


class Files(Protocol):
    """Paths are relative to the repository's top. Links are not followed: they are not its word."""

    def names(self, folder: str) -> frozenset[str]:
        """Names in a folder; empty when there is no such folder."""
        ...

    def has(self, path: str) -> bool:
        """Whether there is anything at a path."""
        ...

    def read(self, path: str) -> bytes | None:
        """A regular file's content; None when there is none, or it is larger than `MAX_BYTES`."""
        ...


class FolderFiles:
    """The files of a checkout."""

    def __init__(self, top: Path) -> None:
        self._top = top

    def names(self, folder: str) -> frozenset[str]:
        """Names in a folder; empty when there is no such folder."""
        try:
            return frozenset(entry.name for entry in (self._top / folder).iterdir())
        except OSError:
            return frozenset()

    def has(self, path: str) -> bool:
        """Whether there is anything at a path."""
        return (self._top / path).exists()

    def read(self, path: str) -> bytes | None:
        """A regular file's content; None when there is none, or it is larger than `MAX_BYTES`."""
        found = self._top / path
        try:
            status = found.lstat()
        except (OSError, ValueError):
            return None
        if not S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
            return None
        return found.read_bytes()


class CommitFiles:
    """The files of a commit, read from the mirror."""

    def __init__(self, mirrors: Mirrors, app: App, sha: Sha) -> None:
        self._mirrors = mirrors
        self._app = app
        self._sha = sha

    def names(self, folder: str) -> frozenset[str]:
        """Names in a folder; empty when there is no such folder."""
        return frozenset(
            entry.path.rpartition("/")[2] for entry in self._mirrors.entries(self._app, self._sha, folder)
        )

    def has(self, path: str) -> bool:
        """Whether there is anything at a path."""
        folder, _, name = path.rpartition("/")
        return name in self.names(folder)

    def read(self, path: str) -> bytes | None:
        """A regular file's content; None when there is none, or it is larger than `MAX_BYTES`."""
        return self._mirrors.file(self._app, self._sha, path, MAX_BYTES)
