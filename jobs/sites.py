"""What the edge serves under which hostname. The file system is the routing table.

`hosts/<hostname>/` holds one empty file per activation; its name sorts the newest first, and says
which release is shown and how. The edge lists the folder, and takes all further paths from the first name.
A site that is files and nothing else has a link to them in the same folder, besides, by which the edge
serves most requests without a look at the entries, unless it was switched just now (`jobs/host_folder.py`).
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from bot.domain.hostname import is_hostname
from bot.domain.ids import ReleaseId
from jobs import older_links
from jobs.host_folder import HostFolder, parsed, sync
from jobs.site_entry import LAST, Entry, Watch

_SETTLE_SECONDS = 0.1
"""How long a request may take from listing a hostname's entries to opening the first of them."""


@dataclass(frozen=True)
class Table:
    """The routing table at one look: the names in each hostname's folder, and what is no such folder."""

    hosts: Mapping[str, list[str]]
    strangers: list[str]


class Sites:
    """The routing table below `edge_home`. Any process may write it, several at once."""

    def __init__(self, edge_home: Path) -> None:
        self.releases_folder = edge_home / "releases"
        self.hosts_folder = edge_home / "hosts"
        self.older_folder = edge_home / "older"
        self.trash = edge_home / "trash"
        for folder in (self.releases_folder, self.hosts_folder, self.older_folder, self.trash):
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
        self.put_all({hostname: entry})

    def put_all(self, wanted: Mapping[str, Entry]) -> None:
        """Show what entries say under their hostnames; as `activate`."""
        for hostname, entry in wanted.items():
            self._place(hostname, entry)
        self._drop_rivals(wanted)

    def has_files(self, entry: Entry) -> bool:
        """Whether all that an entry needs is at the edge."""
        return not entry.needs_files or (self.releases_folder / str(entry.release) / "files").is_dir()

    def tell(self, hostname: str) -> None:
        """Ask no more before a hostname is served, whose visit was to be told; without it nothing is made."""
        entry = self.active(hostname)
        if entry is not None and entry.watch is Watch.TOLD:
            # The other one is left to be pruned: a request that has just listed it finds it yet.
            self.host(hostname).add(replace(entry, watch=Watch.NOTHING))

    def free(self, release: ReleaseId) -> None:
        """Take a release's files off the edge, that no hostname which is awake shows."""
        self.discard(self.releases_folder / str(release))

    def is_asleep(self, hostname: str) -> bool:
        """Whether a hostname is shown, but its files must be laid out first."""
        return is_hostname(hostname) and _sleeps(self.host(hostname).entries())

    def active(self, hostname: str) -> Entry | None:
        """What is shown under a hostname."""
        return next(iter(self.host(hostname).entries()), None)

    def host(self, hostname: str) -> HostFolder:
        """The folder of a hostname, which may not be there."""
        return HostFolder(f"{self.hosts_folder}/{hostname}")

    def retire(self, hostname: str) -> None:
        """Take a hostname down, at once and whole. Does nothing when it isn't there."""
        if not is_hostname(hostname):
            raise ValueError(f"'{hostname}' is not a hostname")
        for folder in (self.hosts_folder, self.older_folder):
            self.discard(folder / hostname)
        sync(self.hosts_folder)

    def table(self) -> Table:
        """All hostnames with the names in their folders, and all else beside them."""
        hosts: dict[str, list[str]] = {}
        strangers: list[str] = []
        with os.scandir(self.hosts_folder) as found:
            for one in sorted(found, key=lambda one: one.name):
                if is_hostname(one.name) and one.is_dir(follow_symlinks=False):
                    hosts[one.name] = self.host(one.name).names()
                else:
                    strangers.append(one.name)
        return Table(hosts, strangers)

    def hostnames(self) -> list[str]:
        """All hostnames that have a folder, sorted."""
        return sorted(one.name for one in self.hosts_folder.iterdir() if is_hostname(one.name))

    def releases(self, *, awake: bool = False) -> set[ReleaseId]:
        """Every release that is shown, or was shown shortly before; where no hostname sleeps, if `awake`."""
        there = map(parsed, self.table().hosts.values())
        return {entry.release for found in there if not (awake and _sleeps(found)) for entry in found}

    def discard(self, path: Path) -> None:
        """Move away in one step, then delete."""
        trash = self.trash / secrets.token_hex(8)
        try:
            path.rename(trash)
        except FileNotFoundError:
            return
        if trash.is_dir() and not trash.is_symlink():
            shutil.rmtree(trash, ignore_errors=True)
        else:
            trash.unlink(missing_ok=True)

    def _place(self, hostname: str, entry: Entry) -> None:
        if not is_hostname(hostname):
            raise ValueError(f"'{hostname}' is not a hostname")
        if not 0 <= entry.activation <= LAST:
            raise ValueError(f"activation {entry.activation} is out of range")
        if not self.has_files(entry):
            raise FileNotFoundError(f"release {entry.release} has no files at the edge")
        folder = self.host(hostname)
        older_links.link(self.older_folder / hostname, [entry, *folder.entries()])
        folder.place(entry)

    def _drop_rivals(self, placed: Mapping[str, Entry]) -> None:
        """Remove other entries of the same activations, which may be listed before those just placed."""
        rivals = [
            (hostname, entry, rival)
            for hostname, entry in placed.items()
            for rival in self.host(hostname).entries()
            if rival.activation == entry.activation and rival != entry
        ]
        if rivals:
            time.sleep(_SETTLE_SECONDS)
        for hostname, entry, rival in rivals:
            if (self.hosts_folder / hostname / entry.name).exists():
                self.host(hostname).remove([rival.name])


def _sleeps(found: Iterable[Entry]) -> bool:
    first = next(iter(found), None)
    return first is not None and first.watch.is_asleep
