"""Walks a build's output and decides, by name and kind alone, what of it may be published.

The build was a stranger's: nothing here follows a link, and whatever is opened later is held to the
identity (device, inode) that was seen here, so that no trick with links shows a file of the host's.
Hard links need no such care: a build can't make one across the mounts of its box, and within a mount
it could as well have copied the bytes; packaging copies them too and never keeps the inode.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import msgspec

_LONGEST = 1024
_ENTRIES_PER_FILE = 10
_SWAPPED = (errno.ELOOP, errno.ENOENT, errno.ENOTDIR, errno.ENXIO)


class Seen(msgspec.Struct, frozen=True, array_like=True):
    """What `stat` told of a regular file. Times in nanoseconds since 1970, the size in bytes."""

    device: int
    inode: int
    size: int
    mtime: int
    ctime: int


@dataclass
class Tree:
    """What was found. `links` are links to published files: their path, and that of the file."""

    files: dict[str, Seen] = field(default_factory=dict[str, Seen])
    links: dict[str, str] = field(default_factory=dict[str, str])
    left_out: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])


class TooManyEntriesError(Exception):
    """There is so much that walking on is pointless; `count` entries were seen."""

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(f"more than {count} entries")


def seen(status: os.stat_result) -> Seen:
    """The part of a `stat` that tells whether a file is still the one that it was."""
    return Seen(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def scan(root: str, *, max_files: int, check: Callable[[], None]) -> Tree:
    """Walk a folder (a real path); `check` is called once per folder and may raise.

    Raises `TooManyEntriesError` at ten times `max_files`, and `OSError` when the root can't be read.
    """
    walk = _Walk(root, max_files * _ENTRIES_PER_FILE)
    pending = [("", seen(os.lstat(root)))]
    while pending:
        check()
        pending += walk.folder(*pending.pop())
    walk.resolve_links()
    return walk.tree


def open_seen(path: str, expected: Seen, *, directory: bool = False) -> int:
    """Open what a scan saw, for reading, and nothing else. Raises `ChangedError`, `PermissionError`.

    Folders on the way may have been swapped for links: the inode that came out tells.
    """
    kind = os.O_DIRECTORY if directory else os.O_NONBLOCK
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | kind)
    except OSError as error:
        if error.errno in _SWAPPED:
            raise ChangedError(path) from error
        raise
    found = os.fstat(descriptor)
    if (found.st_dev, found.st_ino) != (expected.device, expected.inode):
        os.close(descriptor)
        raise ChangedError(path)
    return descriptor


class ChangedError(OSError):
    """A file is not the one that was seen a moment ago."""


class _Walk:
    def __init__(self, root: str, max_entries: int) -> None:
        self.tree = Tree()
        self._root = root
        self._max_entries = max_entries
        self._entries = 0
        self._symlinks: list[str] = []

    def folder(self, path: str, expected: Seen) -> Iterator[tuple[str, Seen]]:
        """Take a folder's entries; the folders among them are walked later."""
        try:
            descriptor = open_seen(f"{self._root}/{path}", expected, directory=True)
        except PermissionError:
            self._leave_out(path, "it can't be read")
            return
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    yield from self._entry(f"{path}/{entry.name}" if path else entry.name, entry)
        finally:
            os.close(descriptor)

    def _entry(self, path: str, entry: "os.DirEntry[str]") -> Iterator[tuple[str, Seen]]:
        self._entries += 1
        if self._entries > self._max_entries:
            raise TooManyEntriesError(self._max_entries)
        if reason := _refusal(entry.name, path):
            self._leave_out(path, reason)
            return
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            self.tree.files[path] = seen(status)
        elif stat.S_ISDIR(status.st_mode):
            yield path, seen(status)
        elif stat.S_ISLNK(status.st_mode):
            self._symlinks.append(path)
        else:
            self._leave_out(path, f"it is a {_kind(status.st_mode)}")

    def resolve_links(self) -> None:
        """Tell links to files that are published anyway from all others. None is ever opened."""
        for path in self._symlinks:
            target = self._target(path)
            if target in self.tree.files:
                self.tree.links[path] = target
            else:
                self._leave_out(path, self._why_not(target))

    def _target(self, path: str) -> str | None:
        try:
            real = os.path.realpath(f"{self._root}/{path}", strict=True)
        except OSError:
            return None
        inside = self._root.rstrip("/") + "/"
        return real.removeprefix(inside) if real.startswith(inside) else ""

    def _why_not(self, target: str | None) -> str:
        if target is None:
            return "it is a link to nothing"
        if not target:
            return "it is a link that leaves the output directory"
        if os.path.isdir(f"{self._root}/{target}"):  # noqa: PTH112
            return "it is a link to a folder"
        return "it is a link to something that is left out"

    def _leave_out(self, path: str, reason: str) -> None:
        self.tree.left_out.append((path, reason))


def _refusal(name: str, path: str) -> str | None:
    lower = name.lower()
    if lower == ".git":
        return "git's own files are never published"
    if lower.startswith(".env"):
        return "files of environment variables are never published"
    if "\\" in name or not _is_text(name):
        return "its name has a backslash, a control character or bytes that are not UTF-8"
    if len(path.encode()) > _LONGEST:
        return f"its path is longer than {_LONGEST:,} bytes"
    return None


def _is_text(name: str) -> bool:
    if name.isascii() and name.isprintable():
        return True
    # Surrogates stand for bytes that are not UTF-8; below 32 and from 127 to 159 are controls.
    return not any(code < 32 or 127 <= code < 160 or 0xD800 <= code < 0xE000 for code in map(ord, name))


def _kind(mode: int) -> str:
    if stat.S_ISFIFO(mode):
        return "named pipe"
    return "socket" if stat.S_ISSOCK(mode) else "device"
