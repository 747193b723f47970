"""Caches of builds, one folder per app: installed dependencies, downloads, and compiled scripts.

An entry is an immutable copy of the `node_modules` folders that one install made. A build gets a
copy of its own, never hard links: tools write into `node_modules` in place (esbuild's and Prisma's
binaries, `.vite`, `.cache`), and through a shared inode a build could change what every later build
runs. Copying 2,000 files costs 70 ms where links cost 20 ms, and nothing where blocks can be shared.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path

from bot.domain.environment import EnvironmentKind
from bot.domain.ids import AppId, Digest
from jobs import flocks
from jobs.copying import copy_folder, remove_folder

KEPT = 3
"""Entries kept per app, the newest used first."""
ENTRIES = "deps"
"""The folder of the entries, below that of the app; its file `.lock` is held while one is copied out."""
LOCK = ".lock"
NEW = ".new-"
"""How the name of an entry begins that is being made."""
DOWNLOADS = "downloads"
"""How the names of the folders begin that builds leave to later ones of their kind."""
COMPILED = f"{DOWNLOADS}-compiled"
OWN = "own-"
"""How the name of a folder of downloads begins that one build has for itself."""
# Files besides the lock files that decide what an install makes; `patches` is patch-package's and pnpm's.
_DECIDING = ("package.json", ".npmrc", ".yarnrc", ".yarnrc.yml", "pnpm-workspace.yaml", "bunfig.toml")
_DECIDING_FOLDERS = ("patches", ".yarn/patches")


class Dependencies:
    """The caches of one app, in `caches/<app id>` of the home."""

    def __init__(self, home: Path, app: AppId) -> None:
        self._folder = home / "caches" / str(app)
        self._entries = self._folder / ENTRIES

    def restore(self, key: Digest, root: Path, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Copy an entry's folders to where they were below the root; False when there is no such entry.

        Raises `PlatformError` DISK_FULL and `StoppedError`.
        """
        entry = self._entries / key
        with flocks.held(self._lock(), flocks.SHARED):
            if not entry.is_dir():
                return False
            os.utime(entry)
            try:
                copy_folder(entry, root, stopped)
            except OSError:
                # The commit has something else in the way: the package manager decides about it.
                return False
            return True

    def save(self, key: Digest, root: Path, stopped: Callable[[], bool] = lambda: False) -> bool:
        """Keep a copy of the root's `node_modules` folders; False when there are none or it is kept already.

        An entry appears whole, by a rename, and is never changed: of two builds the first wins.
        Raises `PlatformError` DISK_FULL and `StoppedError`.
        """
        folders = list(_installed(root))
        if not folders or (self._entries / key).exists():
            return False
        self._entries.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=NEW, dir=self._entries, ignore_cleanup_errors=True) as new:
            for folder in folders:
                copy_folder(folder, Path(new, "entry", folder.relative_to(root)), stopped)
            try:
                Path(new, "entry").rename(self._entries / key)
            except OSError:
                return False
        self._prune()
        return True

    def forget(self, key: Digest) -> None:
        """Remove an entry, once nobody copies out of it."""
        entry = self._entries / key
        if entry.exists():
            with flocks.held(self._lock(), flocks.ALONE):
                remove_folder(entry)

    def downloads(self, kind: EnvironmentKind) -> AbstractContextManager[Path]:
        """The package manager's own cache, for one build at a time; a second one gets an empty folder."""
        return self._kept(DOWNLOADS, kind)

    def compiled(self, kind: EnvironmentKind) -> AbstractContextManager[Path]:
        """What Node.js has compiled of the scripts that builds run; likewise."""
        return self._kept(COMPILED, kind)

    @contextmanager
    def _kept(self, name: str, kind: EnvironmentKind) -> Generator[Path]:
        # What previews leave, production does not read.
        name = name if kind is EnvironmentKind.PRODUCTION else f"{name}-{kind}"
        shared = self._folder / name
        shared.mkdir(parents=True, exist_ok=True)
        try:
            lock = flocks.take(self._folder / f"{name}.lock", flocks.ALONE | flocks.AT_ONCE)
        except BlockingIOError:
            with tempfile.TemporaryDirectory(prefix=OWN, dir=self._folder, ignore_cleanup_errors=True) as own:
                yield Path(own)
            return
        try:
            # Retention may have taken it away just before; from here on it waits for us.
            shared.mkdir(exist_ok=True)
            os.utime(lock)
            yield shared
        finally:
            os.close(lock)

    def _lock(self) -> Path:
        return self._entries / LOCK

    def _prune(self) -> None:
        # While somebody copies out of an entry, pruning is left to the next save.
        with suppress(BlockingIOError), flocks.held(self._lock(), flocks.ALONE | flocks.AT_ONCE):
            entries = [path for path in self._entries.iterdir() if not path.name.startswith(".")]
            for old in sorted(entries, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT:]:
                remove_folder(old)


def key_of(root: Path, lock_files: Sequence[Path], tools: Sequence[str]) -> Digest | None:
    """Digest of all that decides what an install makes; None without a lock file.

    `tools` are the package manager, its version, the runtime's, the platform: whatever changes the result.
    """
    if not lock_files:
        return None
    digest = hashlib.sha256(json.dumps(list(tools)).encode())
    deciding = [root / name for name in _DECIDING]
    for folder in _DECIDING_FOLDERS:
        deciding += _below(root / folder)
    for path in (*lock_files, *deciding):
        if _is_own_file(path):
            content = path.read_bytes()
            digest.update(f"\0{os.path.relpath(path, root)}\0{len(content)}\0".encode())
            digest.update(content)
    return Digest(digest.hexdigest())


def _is_own_file(path: Path) -> bool:
    """Whether it is a file of the commit's, rather than a link to any of the machine's."""
    return path.is_file() and not path.is_symlink()


def _below(folder: Path) -> list[Path]:
    if folder.is_symlink():
        return []
    return sorted(Path(place, name) for place, _, names in os.walk(folder) for name in names)


def _installed(root: Path) -> Iterator[Path]:
    """Every `node_modules` folder below a root that does not lie in another."""
    for folder, names, _ in os.walk(root):
        if "node_modules" in names:
            found = Path(folder, "node_modules")
            if not found.is_symlink():
                yield found
        names[:] = [name for name in names if name not in ("node_modules", ".git")]
