"""Keeps the edge's routing table as the store says, and small.

What does not agree was perhaps written after the store was read, and what is of no use any more was perhaps
just read by a request. So both go only when one process found them so for a minute, in each of its looks, by
its own steady time: times of files are of no help when clocks are set.
"""

import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from bot.sightings import Sightings
from jobs import older_links
from jobs.host_folder import LINK, link_of, parsed
from jobs.older_links import KEPT
from jobs.site_entry import Entry
from jobs.sites import Sites, Table

GRACE = timedelta(seconds=60)
_ANSWERED = timedelta(seconds=1)
"""How long a request may take from its look at a file to opening it, and far more."""

_Name = tuple[str, str]
"""A hostname, and a name in its folder."""


class TableUpkeep:
    """The upkeep of one routing table by one process."""

    def __init__(self, sites: Sites, steady: Callable[[], float] = time.monotonic) -> None:
        self._sites = sites
        self._unwanted = Sightings[_Name](steady, GRACE)
        self._replaced = Sightings[_Name](steady, GRACE)
        self._missing = Sightings[_Name](steady, _ANSWERED)
        self._retired = Sightings[str](steady, GRACE)

    def reconcile(self, wanted: Mapping[str, Entry]) -> list[str]:
        """Make the table agree with the store; what was repaired, one sentence each."""
        table = self._sites.table()
        return [
            *self._remove_strangers(table),
            *self._remove_unwanted(table, wanted),
            *self._add_missing(table, wanted),
            *self._lead(table),
        ]

    def prune(self) -> None:
        """Remove entries that no request can be reading any more, beyond the newest five."""
        hosts = {hostname: parsed(names) for hostname, names in self._sites.table().hosts.items()}
        old = {
            (hostname, one.name)
            for hostname, entries in hosts.items()
            for one in self._old(hostname, entries)
        }
        settled = self._replaced.lasting(old)
        for hostname in sorted({hostname for hostname, _ in settled}):
            self._sites.host(hostname).remove(name for one, name in settled if one == hostname)
        for hostname, entries in hosts.items():
            older_links.link(self._sites.older_folder / hostname, entries)
        for leftover in self._sites.trash.iterdir():
            shutil.rmtree(leftover, ignore_errors=True)

    def forget_retired(self) -> int:
        """Remove the links to older releases of hostnames that are not shown any more; how many hostnames."""
        former = {one.name for one in self._sites.older_folder.iterdir()}
        # Asked afterwards: a hostname gets its entry just after its links.
        gone = self._retired.lasting(former - set(self._sites.hostnames()))
        for hostname in sorted(gone):
            self._sites.discard(self._sites.older_folder / hostname)
        return len(gone)

    def _old(self, hostname: str, entries: list[Entry]) -> Iterator[Entry]:
        yield from entries[KEPT:]
        for newer, one in pairwise(entries[:KEPT]):
            # Of one switch, an older one is outdone; a younger one is about to take the place.
            if newer.activation == one.activation and self._is_older(hostname, one, newer):
                yield one

    def _is_older(self, hostname: str, one: Entry, other: Entry) -> bool:
        folder = self._sites.hosts_folder / hostname
        with suppress(FileNotFoundError):
            return (folder / one.name).lstat().st_mtime_ns < (folder / other.name).lstat().st_mtime_ns
        return False

    def _remove_strangers(self, table: Table) -> Iterator[str]:
        for name in table.strangers:
            self._sites.discard(self._sites.hosts_folder / name)
            yield f"Removed {name!r}, which is not a hostname's folder."
        for hostname, names in table.hosts.items():
            for name in names:
                if name != LINK and Entry.parse(name) is None:
                    self._sites.discard(self._sites.hosts_folder / hostname / name)
                    yield f"{hostname}: removed {name!r}, which is not an entry."

    def _remove_unwanted(self, table: Table, wanted: Mapping[str, Entry]) -> Iterator[str]:
        # A hostname with a new first entry is another finding: its minute begins anew.
        down = {(one, names[0] if names else "") for one, names in table.hosts.items() if one not in wanted}
        ahead = {
            (hostname, one.name)
            for hostname, entry in wanted.items()
            for one in parsed(table.hosts.get(hostname, []))
            if one.activation > entry.activation
        }
        for hostname, name in sorted(self._unwanted.lasting(down | ahead)):
            if hostname not in wanted:
                self._sites.retire(hostname)
                yield f"{hostname}: taken down, since nothing is to be shown there."
            else:
                self._sites.host(hostname).remove([name])
                yield f"{hostname}: removed '{name}', which the store does not know."

    def _add_missing(self, table: Table, wanted: Mapping[str, Entry]) -> Iterator[str]:
        placed: dict[str, Entry] = {}
        for hostname, entry in sorted(wanted.items()):
            if table.hosts.get(hostname, [""])[0] == entry.name:
                continue
            active = self._sites.active(hostname)
            if active == entry or (active is not None and active.activation > entry.activation):
                continue
            if not self._sites.has_files(entry):
                yield f"{hostname}: release {entry.release} is to be shown, but its files are missing."
                continue
            placed[hostname] = entry
            # To sleep, to wake and to be watched is life, and no repair.
            if active is None or replace(active, watch=entry.watch) != entry:
                yield f"{hostname}: shows {entry.moved_to or f'release {entry.release}'} again."
        self._sites.put_all(placed)

    def _lead(self, table: Table) -> Iterator[str]:
        """Make the links of what has been shown for a while; links that lead elsewhere go at once."""
        missing: set[_Name] = set()
        for hostname, names in table.hosts.items():
            folder, target = self._sites.host(hostname), link_of(parsed(names))
            found = folder.leads_to() if LINK in names else None
            if found is not None and found != target:
                folder.take_away()
                yield f"{hostname}: removed a link that led to {found}."
            elif target is not None and found is None:
                missing.add((hostname, target))
        for hostname, _ in self._missing.lasting(missing):
            self._sites.host(hostname).lead()
