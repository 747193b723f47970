"""What the edge serves under which hostname. The file system is the routing table.

`hosts/<hostname>/` holds one empty file per activation; its name sorts the newest first, and says
which release is shown and how. The edge lists that folder once per request and takes all further paths
from the first name, so an answer never mixes two releases. Creating a file is the whole switch.

`older/<hostname>/1` to `4` link to the files of releases shown before, for pages loaded just before a switch
that ask for their scripts after it; the empty file `1.r<release>` beside a link tells whose file it was.
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from bot.clock import Clock, utc_now
from bot.domain.hostname import is_hostname
from bot.domain.ids import ReleaseId
from jobs.site_entry import LAST, Entry, Watch, has_settled

KEPT = 5
OLDER = KEPT - 1
_SETTLE_SECONDS = 0.1
"""How long a request may take from listing a hostname's entries to opening the first of them."""


class Sites:
    """The routing table below `edge_home`. Any process may write it, several at once."""

    def __init__(self, edge_home: Path, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._releases = edge_home / "releases"
        self._hosts = edge_home / "hosts"
        self._older = edge_home / "older"
        self._trash = edge_home / "trash"
        for folder in (self._releases, self._hosts, self._older, self._trash):
            folder.mkdir(parents=True, exist_ok=True)

    def activate(
        self,
        hostname: str,
        *,
        activation: int,
        release: ReleaseId,
        spa: bool,
        rules: bool,
        unlisted: bool = False,
        watch: Watch = Watch.NOTHING,
    ) -> None:
        """Show a release under a hostname from the next request on; durable when this returns.

        Does nothing when it is done already. A late writer with a lower activation changes nothing that
        visitors see. Raises `ValueError` for a bad hostname or number, `FileNotFoundError` for a release
        whose files are not below `releases/`.
        """
        self.put(hostname, Entry(activation, release, spa=spa, rules=rules, unlisted=unlisted, watch=watch))

    def put(self, hostname: str, entry: Entry) -> None:
        """Show what an entry says under a hostname; as `activate`."""
        self._place(hostname, entry)
        self._drop_rivals({hostname: entry})

    def tell(self, hostname: str) -> None:
        """Ask no more before a hostname is served, whose visit was to be told; without it nothing is made."""
        entry = self.active(hostname)
        if entry is not None and entry.watch is Watch.TOLD:
            path = self._hosts / hostname / replace(entry, watch=Watch.NOTHING).name
            # The other one is left to `prune`: a request that has just listed it finds it yet.
            with suppress(FileNotFoundError):
                _touch(path)

    def free(self, release: ReleaseId) -> None:
        """Take a release's files off the edge, that no hostname which is awake shows."""
        self._discard(self._releases / str(release))

    def is_asleep(self, hostname: str) -> bool:
        """Whether a hostname is shown, but its files must be laid out first."""
        return is_hostname(hostname) and _sleeps(self._entries(hostname))

    def _place(self, hostname: str, entry: Entry) -> None:
        if not is_hostname(hostname):
            raise ValueError(f"'{hostname}' is not a hostname")
        if not 0 <= entry.activation <= LAST:
            raise ValueError(f"activation {entry.activation} is out of range")
        if entry.needs_files and not (self._releases / str(entry.release) / "files").is_dir():
            raise FileNotFoundError(f"release {entry.release} has no files at the edge")
        self._link_older(hostname, [entry, *self._entries(hostname)])
        self._create(hostname, entry)

    def _drop_rivals(self, placed: Mapping[str, Entry]) -> None:
        """Remove other entries of the same activations, which may be listed before those just placed."""
        rivals = [
            (hostname, entry, rival)
            for hostname, entry in placed.items()
            for rival in self._entries(hostname)
            if rival.activation == entry.activation and rival != entry
        ]
        if rivals:
            time.sleep(_SETTLE_SECONDS)
        for hostname, entry, rival in rivals:
            folder = self._hosts / hostname
            if (folder / entry.name).exists():
                (folder / rival.name).unlink(missing_ok=True)

    def active(self, hostname: str) -> Entry | None:
        """What is shown under a hostname."""
        return next(iter(self._entries(hostname)), None)

    def retire(self, hostname: str) -> None:
        """Take a hostname down, at once and whole. Does nothing when it isn't there."""
        if not is_hostname(hostname):
            raise ValueError(f"'{hostname}' is not a hostname")
        for folder in (self._hosts, self._older):
            self._discard(folder / hostname)
        _sync(self._hosts)

    def prune(self, now: datetime) -> None:
        """Remove entries that no request can be reading any more, beyond the newest five."""
        for hostname in self.hostnames():
            entries = self._entries(hostname)
            replaced = now
            for index, entry in enumerate(entries):
                path = self._hosts / hostname / entry.name
                created = _changed(path) or now
                # Of one switch, an older one is outdone; a younger one is about to take the place.
                is_rival = index > 0 and entries[index - 1].activation == entry.activation
                is_outdone = is_rival and created < replaced
                if (index >= KEPT or is_outdone) and has_settled(max(created, replaced), now):
                    path.unlink(missing_ok=True)
                replaced = created
            self._link_older(hostname, entries)
        for leftover in self._trash.iterdir():
            shutil.rmtree(leftover, ignore_errors=True)

    def forget_retired(self) -> int:
        """Remove the links to older releases of hostnames that are not shown any more; how many hostnames."""
        former = sorted(path for path in self._older.iterdir())
        # Asked afterwards: a hostname gets its entry just after its links.
        shown = set(self.hostnames())
        now = self._clock()
        gone = [one for one in former if one.name not in shown and has_settled(_changed(one) or now, now)]
        for folder in gone:
            self._discard(folder)
        return len(gone)

    def hostnames(self) -> list[str]:
        """All hostnames that have a folder, sorted."""
        return sorted(path.name for path in self._hosts.iterdir() if is_hostname(path.name))

    def releases(self, *, awake: bool = False) -> set[ReleaseId]:
        """Every release that is shown, or was shown shortly before; where no hostname sleeps, if `awake`."""
        there = (self._entries(hostname) for hostname in self.hostnames())
        return {entry.release for found in there if not (awake and _sleeps(found)) for entry in found}

    def reconcile(self, wanted: Mapping[str, Entry]) -> list[str]:
        """Make the table agree with the store; what was repaired, one sentence each.

        What is newer than the store's word is left alone for a minute: the store may have been read before.
        """
        return [*self._remove_strangers(), *self._remove_unwanted(wanted), *self._add_missing(wanted)]

    def _remove_strangers(self) -> Iterator[str]:
        for path in sorted(self._hosts.iterdir()):
            if not is_hostname(path.name) or not path.is_dir() or path.is_symlink():
                self._discard(path)
                yield f"Removed {path.name!r}, which is not a hostname's folder."
                continue
            for stranger in sorted(path.iterdir()):
                if Entry.parse(stranger.name) is None:
                    self._discard(stranger)
                    yield f"{path.name}: removed {stranger.name!r}, which is not an entry."

    def _remove_unwanted(self, wanted: Mapping[str, Entry]) -> Iterator[str]:
        now = self._clock()
        for hostname in self.hostnames():
            entries = self._entries(hostname)
            changed = [_changed(self._hosts / hostname / entry.name) or now for entry in entries]
            if not all(has_settled(one, now) for one in changed):
                continue
            if hostname not in wanted:
                self.retire(hostname)
                yield f"{hostname}: taken down, since nothing is to be shown there."
                continue
            for entry in entries:
                if entry.activation > wanted[hostname].activation:
                    (self._hosts / hostname / entry.name).unlink(missing_ok=True)
                    yield f"{hostname}: removed activation {entry.activation}, which the store does not know."

    def _add_missing(self, wanted: Mapping[str, Entry]) -> Iterator[str]:
        placed: dict[str, Entry] = {}
        for hostname, entry in sorted(wanted.items()):
            active = self.active(hostname)
            if active == entry or (active is not None and active.activation > entry.activation):
                continue
            try:
                self._place(hostname, entry)
            except FileNotFoundError:
                yield f"{hostname}: release {entry.release} is to be shown, but its files are missing."
                continue
            placed[hostname] = entry
            # To sleep, to wake and to be watched is life, and no repair.
            if active is None or replace(active, watch=entry.watch) != entry:
                yield f"{hostname}: shows {entry.moved_to or f'release {entry.release}'} again."
        self._drop_rivals(placed)

    def _entries(self, hostname: str) -> list[Entry]:
        try:
            names = sorted(path.name for path in (self._hosts / hostname).iterdir())
        except FileNotFoundError:
            return []
        return [entry for name in names if (entry := Entry.parse(name)) is not None]

    def _create(self, hostname: str, entry: Entry) -> None:
        folder = self._hosts / hostname
        while True:
            if not folder.exists():
                folder.mkdir(exist_ok=True)
                _sync(self._hosts)
            try:
                _touch(folder / entry.name)
                _sync(folder)
            except FileNotFoundError:
                continue  # the hostname was retired in between
            return

    def _link_older(self, hostname: str, entries: list[Entry]) -> None:
        """Link the releases behind the first entry, each once, newest first."""
        entries = [entry for entry in entries if entry.moved_to is None]
        newest = max(entries, key=lambda entry: entry.activation, default=None)
        if newest is None:
            return
        earlier = sorted(entries, key=lambda entry: -entry.activation)
        releases = [r for r in dict.fromkeys(entry.release for entry in earlier) if r != newest.release]
        folder = self._older / hostname
        for number in range(1, OLDER + 1):
            link = folder / str(number)
            target = f"../../releases/{releases[number - 1]}/files" if number <= len(releases) else None
            if target is None:
                link.unlink(missing_ok=True)
            elif not link.is_symlink() or str(link.readlink()) != target:
                folder.mkdir(exist_ok=True)
                fresh = folder / f".{number}.{secrets.token_hex(4)}"
                fresh.symlink_to(target)
                fresh.replace(link)
        if folder.exists():
            _mark(
                folder, {f"{number}.r{release}" for number, release in enumerate(releases[:OLDER], start=1)}
            )

    def _discard(self, path: Path) -> None:
        """Move away in one step, then delete."""
        trash = self._trash / secrets.token_hex(8)
        try:
            path.rename(trash)
        except FileNotFoundError:
            return
        if trash.is_dir() and not trash.is_symlink():
            shutil.rmtree(trash, ignore_errors=True)
        else:
            trash.unlink(missing_ok=True)


def _sleeps(found: Iterable[Entry]) -> bool:
    first = next(iter(found), None)
    return first is not None and first.watch.is_asleep


def _touch(path: Path) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


def _mark(folder: Path, wanted: set[str]) -> None:
    present = {path.name for path in folder.glob("[0-9].r*")}
    for name in wanted - present:
        (folder / name).touch()
    for name in present - wanted:
        (folder / name).unlink(missing_ok=True)


def _changed(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.lstat().st_mtime, tz=utc_now().tzinfo)
    except FileNotFoundError:
        return None


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
