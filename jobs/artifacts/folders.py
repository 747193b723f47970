"""Folders that releases share: one that is the same in several releases is there once, named by its content.

Below `shared` each folder has the name of a digest of all that is in it: names, blobs, variants, and the
folders below it, which are links to their neighbours. They never change. A release's own folder holds its
files at the top, and links to these: what a release costs grows with what is new in it. Who makes and finds
them holds a lock with others; the sweep has it alone for each folder that it takes away.
"""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count
from pathlib import Path

import msgspec

from bot.domain.contents import SUFFIXES, File, Manifest
from bot.domain.ids import Digest
from jobs import flocks
from jobs.artifacts.disk import KEPT_FOR
from jobs.artifacts.store import ArtifactStore, DamagedError

_FORMAT = 1
"""Raised when the same content would make another folder than before."""
_REFRESHED_AFTER = KEPT_FOR / 2
_LONGEST_NAME = 255
_LOCK = "lock"
_DRAFT, _GONE = ".making-", ".gone-"
_THERE = (errno.EEXIST, errno.ENOTEMPTY)


@dataclass
class Folder:
    """A folder of a release: its files by name, and the folders in it."""

    files: dict[str, File] = field(default_factory=dict[str, File])
    folders: dict[str, "Folder"] = field(default_factory=dict[str, "Folder"])

    def blobs(self) -> Iterator[tuple[str, Digest]]:
        """Every name in it with its blob: variants stand beside their file, unless that name is taken."""
        for name, file in self.files.items():
            yield name, file.digest
            for encoding, digest in file.encodings.items():
                beside = name + SUFFIXES[encoding]
                is_free = beside not in self.files and beside not in self.folders
                if is_free and len(beside.encode()) <= _LONGEST_NAME:
                    yield beside, digest


def folder_of(manifest: Manifest) -> Folder:
    """The top folder of a release."""
    top = Folder()
    known = {"": top}
    for path, file in manifest.files.items():
        place, _, name = path.rpartition("/")
        _at(known, place).files[name] = file
    return top


def _at(known: dict[str, Folder], place: str) -> Folder:
    if place not in known:
        above, _, name = place.rpartition("/")
        known[place] = _at(known, above).folders[name] = Folder()
    return known[place]


def fill(store: ArtifactStore, folder: Folder, path: str) -> None:
    """Put the files of a folder where it is: hard links to blobs.

    Raises `FileNotFoundError` when the store lacks one, `DamagedError` when one is not what it was.
    """
    for name, digest in folder.blobs():
        store.link(digest, f"{path}/{name}")
    _check(folder, path)


def make_folder(path: str) -> None:
    """Make a folder that the edge can read, whoever runs it and whatever the umask is."""
    os.mkdir(path)  # noqa: PTH102
    os.chmod(path, 0o755)  # noqa: PTH101, S103


def _check(folder: Folder, path: str) -> None:
    for name, file in folder.files.items():
        if os.stat(f"{path}/{name}").st_size != file.size:  # noqa: PTH116  asked thousands of times
            raise DamagedError(file.digest)


class SharedFolders:
    """The shared folders below one folder, for any number of processes of one machine."""

    def __init__(self, shared: Path) -> None:
        self.shared = shared

    @contextmanager
    def in_use(self) -> Generator[None]:
        """Until its end nothing is taken away that was made or found meanwhile, or is an hour young."""
        if not self.shared.is_dir():
            self.shared.mkdir(parents=True, exist_ok=True)
            self.shared.chmod(0o755)
        with self._lock(flocks.SHARED):
            yield

    def make(self, store: ArtifactStore, folder: Folder) -> str:
        """The name of a folder's shared one, which is made where there is none. Raises what `fill` does."""
        below = {name: self.make(store, one) for name, one in folder.folders.items()}
        digest = _digest(folder, below)
        for number in count():
            # One that is damaged stays, for those who show it; another takes its place.
            name = f"{digest}-{number}" if number else digest
            if not os.path.isdir(f"{self.shared}/{name}"):  # noqa: PTH112
                self._make(store, folder, below, name)
                return name
            if self._is_whole(folder, below, name):
                self._refresh(name)
                return name
        raise AssertionError

    def sweep(self, releases: Path, *, older_than: float = KEPT_FOR) -> int:
        """Delete folders that no release below `releases` leads to, and that are not young; how many."""
        if not self.shared.is_dir():
            return 0
        deadline = time.time() - older_than
        # Whatever is found, or made, after this was read is young, or refreshed.
        needed = self._needed(releases)
        gone = 0
        for entry in list(os.scandir(self.shared)):
            if entry.name not in needed and entry.name != _LOCK:
                gone += self._remove(entry.name, deadline)
        return gone

    def _make(self, store: ArtifactStore, folder: Folder, below: Mapping[str, str], name: str) -> None:
        draft = tempfile.mkdtemp(prefix=_DRAFT, dir=self.shared)
        try:
            os.chmod(draft, 0o755)  # noqa: PTH101, S103
            fill(store, folder, draft)
            for link, target in below.items():
                os.symlink(f"../{target}", f"{draft}/{link}")  # noqa: PTH211
            os.rename(draft, f"{self.shared}/{name}")  # noqa: PTH104
        except OSError as error:
            shutil.rmtree(draft, ignore_errors=True)
            # Another made the same in the meantime.
            if error.errno not in _THERE:
                raise
        except DamagedError:
            shutil.rmtree(draft, ignore_errors=True)
            raise

    def _is_whole(self, folder: Folder, below: Mapping[str, str], name: str) -> bool:
        path = f"{self.shared}/{name}"
        try:
            _check(folder, path)
            return all(os.readlink(f"{path}/{link}") == f"../{target}" for link, target in below.items())  # noqa: PTH115
        except (OSError, DamagedError):
            return False

    def _refresh(self, name: str) -> None:
        path = f"{self.shared}/{name}"
        if not 0 <= time.time() - os.stat(path).st_ctime < _REFRESHED_AFTER:  # noqa: PTH116
            os.utime(path)

    def _needed(self, releases: Path) -> set[str]:
        needed: set[str] = set()
        waiting = [f"{one.path}/files" for one in os.scandir(releases)] if releases.is_dir() else []
        while waiting:
            for name in _links_in(waiting.pop()):
                if name not in needed:
                    needed.add(name)
                    waiting.append(f"{self.shared}/{name}")
        return needed

    def _remove(self, name: str, deadline: float) -> bool:
        path = f"{self.shared}/{name}"
        with suppress(FileNotFoundError), self._lock(flocks.ALONE):
            if os.stat(path).st_ctime > deadline:  # noqa: PTH116
                return False
            if not name.startswith(_GONE):
                doomed = f"{self.shared}/{_GONE}{name}-{time.time_ns()}"
                os.rename(path, doomed)  # noqa: PTH104
                path = doomed
        shutil.rmtree(path, ignore_errors=True)
        return True

    def _lock(self, how: int) -> AbstractContextManager[None]:
        return flocks.held(self.shared / _LOCK, how)


def _digest(folder: Folder, below: Mapping[str, str]) -> str:
    # Which variants there are follows from these names.
    parts = (_FORMAT, folder.files, below)
    return sha256(msgspec.json.encode(parts, order="deterministic")).hexdigest()


def _links_in(folder: str) -> Iterator[str]:
    with suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink():
                yield os.readlink(entry.path).rpartition("/")[2]  # noqa: PTH115
