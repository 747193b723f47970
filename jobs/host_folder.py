"""One hostname's folder at the edge: its entries, and the link by which most visitors are served.

The link `files` leads to the files of what the first entry shows, where they are all there is to it. It never
leads from one release to another: whoever changes what is shown takes it away, and it comes back when each
request is answered that may have found it (`jobs/table_upkeep.py`). For the edge looks at a file and then
opens it, and both must be of one release. Without the link a request is answered by the entries.
"""

import fcntl
import os
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

from jobs.site_entry import Entry

LINK = "files"


class HostFolder:
    """The folder `path`. Any process may change it, several at once.

    Texts instead of paths: thousands are compared every few seconds, and each part of a path is kept apart.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def names(self) -> list[str]:
        """All names in it, sorted: entries with the newest first. None when it is not there."""
        try:
            with os.scandir(self._path) as found:
                return sorted(one.name for one in found)
        except FileNotFoundError:
            return []

    def entries(self) -> list[Entry]:
        """Its entries, the newest first."""
        return parsed(self.names())

    def leads_to(self) -> str | None:
        """Where the link leads."""
        try:
            return os.readlink(f"{self._path}/{LINK}")  # noqa: PTH115
        except FileNotFoundError:
            return None

    def place(self, entry: Entry) -> None:
        """Add an entry; durable when this returns. The folder is made when it isn't there."""
        while True:
            path = Path(self._path)
            if not path.exists():
                path.mkdir(exist_ok=True)
                sync(path.parent)
            # Otherwise the hostname was retired in between.
            with suppress(FileNotFoundError):
                with self._alone() as folder:
                    _add(folder, entry)
                    os.fsync(folder)
                    is_there = path.stat().st_ino == os.fstat(folder).st_ino
                if is_there:
                    return

    def add(self, entry: Entry) -> None:
        """Add an entry where the folder is; not durable."""
        with suppress(FileNotFoundError), self._alone() as folder:
            _add(folder, entry)

    def remove(self, names: Iterable[str]) -> None:
        """Remove some entries."""
        with suppress(FileNotFoundError), self._alone() as folder:
            for name in names:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
            _take_away(folder)

    def take_away(self) -> None:
        """Remove a link that does not lead where the entries say."""
        with suppress(FileNotFoundError), self._alone() as folder:
            _take_away(folder)

    def lead(self) -> None:
        """Make the link that the entries ask for, where there is none."""
        with suppress(FileNotFoundError, FileExistsError), self._alone() as folder:
            if (target := _wanted(folder)) is not None:
                os.symlink(target, LINK, dir_fd=folder)

    @contextmanager
    def _alone(self) -> Generator[int]:
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield folder
        finally:
            os.close(folder)


def parsed(names: Iterable[str]) -> list[Entry]:
    """Those of some names that are entries."""
    return [entry for name in names if (entry := Entry.parse(name)) is not None]


def link_of(entries: Iterable[Entry]) -> str | None:
    """Where the link must lead for entries, the newest first; None when each request must ask for them."""
    first = next(iter(entries), None)
    return f"../../releases/{first.release}/files" if first is not None and first.is_plain else None


def sync(folder: Path) -> None:
    """Make a folder's names durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _add(folder: int, entry: Entry) -> None:
    os.close(os.open(entry.name, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644, dir_fd=folder))
    _take_away(folder)


def _take_away(folder: int) -> None:
    with suppress(FileNotFoundError):
        if os.readlink(LINK, dir_fd=folder) != _wanted(folder):
            os.unlink(LINK, dir_fd=folder)


def _wanted(folder: int) -> str | None:
    return link_of(parsed(sorted(os.listdir(folder))))
