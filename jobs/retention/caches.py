"""Caches of builds go with their app, when nobody used them for long, or when they grew too large."""

import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.clock import Clock
from bot.settings import MIB, Settings
from bot.store import apps
from bot.store.engine import Engine, reading
from jobs import flocks
from jobs.artifacts.index import INDEXES
from jobs.copying import remove_folder
from jobs.dependencies import DOWNLOADS, ENTRIES, KEPT, LOCK, NEW, OWN
from jobs.retention.part import DAY, Freed, Part, changed_at, entries, size_of

_GONE = ".gone-"


@dataclass(frozen=True)
class _Doomed:
    """A folder that may go, under a lock that its users hold."""

    folder: Path
    lock: Path | None
    size: int


@dataclass(frozen=True)
class Caches:
    """Installed dependencies and downloads by app, and what packagings remember of environments."""

    engine: Engine
    settings: Settings
    clock: Clock
    name: str = "caches"

    def look(self) -> Part:
        """Every entry, and every cache of downloads."""
        found = self._folders()
        doomed = list(self._doomed(found, self._apps()))
        days, limit = self.settings.keep_caches_days, self.settings.keep_downloads_mib
        kept = (
            f"{days} days after the last use (KEEP_CACHES_DAYS), {KEPT} sets of dependencies per app; "
            f"downloads at most {limit} MiB (KEEP_DOWNLOADS_MIB)"
        )
        count = sum(1 for app in found for _ in (*_dependencies(app), *_downloads(app)))
        return Part(self.name, kept, count, size_of([self._home]), sum(one.size for one in doomed))

    def prune(self) -> Freed:
        """Remove what may go and nobody holds just now; the next build fetches it again."""
        # Listed before the apps are: an app is stored before anything is built for it.
        found = self._folders()
        count = size = 0
        for one in list(self._doomed(found, self._apps())):
            if self._remove(one):
                count, size = count + 1, size + one.size
        return Freed(count, size)

    def _remove(self, doomed: _Doomed) -> bool:
        trash = doomed.folder.with_name(f"{_GONE}{doomed.folder.name}")
        with _alone(doomed.lock) as is_alone:
            # Used after all, since it was looked at: whoever did so had the lock then.
            if not is_alone or (doomed.lock is not None and not self._is_doomed_yet(doomed)):
                return False
            if doomed.folder != trash and doomed.folder.exists():
                remove_folder(trash)
                doomed.folder.rename(trash)
        remove_folder(trash)
        return True

    def _doomed(self, found: list[Path], known: set[str]) -> Iterator[_Doomed]:
        # What packagings remember: one that reads it just now does without.
        for memory in entries(self._home / INDEXES):
            if self._is_idle(memory):
                yield _Doomed(memory, None, size_of([memory]))
        for app in found:
            if app.name not in known:
                yield _Doomed(app, None, size_of([app]))
                continue
            for entry in _dependencies(app):
                if self._is_idle(entry):
                    yield _Doomed(entry, app / ENTRIES / LOCK, size_of([entry]))
            for folder in _downloads(app):
                size = size_of([folder])
                lock = _lock_of(folder)
                if self._is_idle(lock) or size > self.settings.keep_downloads_mib * MIB:
                    yield _Doomed(folder, lock, size)
            for left in self._left_behind(app):
                yield _Doomed(left, None, size_of([left]))

    def _is_doomed_yet(self, doomed: _Doomed) -> bool:
        if doomed.folder.parent.name == ENTRIES:
            return self._is_idle(doomed.folder)
        return self._is_idle(_lock_of(doomed.folder)) or doomed.size > self.settings.keep_downloads_mib * MIB

    def _is_idle(self, path: Path) -> bool:
        return changed_at(path) < self.clock().timestamp() - self.settings.keep_caches_days * DAY

    def _left_behind(self, app: Path) -> Iterator[Path]:
        """What killed builds left: a day is longer than any build takes."""
        for path in (*entries(app), *entries(app / ENTRIES)):
            old = changed_at(path) < self.clock().timestamp() - DAY
            if path.name.startswith(_GONE) or (old and path.name.startswith((NEW, OWN))):
                yield path

    def _folders(self) -> list[Path]:
        return [one for one in entries(self._home) if one.name.isdigit()]

    def _apps(self) -> set[str]:
        with reading(self.engine) as tx:
            return {str(app.id) for app in apps.all_apps(tx)}

    @property
    def _home(self) -> Path:
        return self.settings.home / "caches"


def _dependencies(app: Path) -> list[Path]:
    return [one for one in entries(app / ENTRIES) if not one.name.startswith(".")]


def _downloads(app: Path) -> list[Path]:
    return [one for one in entries(app) if one.is_dir() and one.name.startswith(DOWNLOADS)]


def _lock_of(downloads: Path) -> Path:
    return downloads.with_name(f"{downloads.name}.lock")


@contextmanager
def _alone(lock: Path | None) -> Generator[bool]:
    """Hold a lock that users of a cache share; False while one of them has it."""
    if lock is None:
        yield True
        return
    try:
        held = flocks.take(lock, flocks.ALONE | flocks.AT_ONCE)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(held)
