"""Releases beyond those that are kept lose their bytes: artifacts, and folders of the edge."""

from dataclasses import dataclass

from bot.clock import Clock
from bot.domain.ids import Digest, ReleaseId
from bot.domain.release import releases_to_keep
from bot.settings import Settings
from bot.store import releases
from bot.store.engine import Engine, Tx, reading, writing
from jobs.artifacts import retention
from jobs.artifacts.disk import KEPT_FOR, DiskStore
from jobs.release_folder import shared_by
from jobs.retention.part import Freed, Part, entries, size_of
from jobs.sites import Sites
from jobs.table_upkeep import TableUpkeep


@dataclass(frozen=True)
class _Known:
    """Releases whose bytes are there yet: those to keep, by their manifests, and those that may go."""

    kept: dict[ReleaseId, Digest]
    gone: set[ReleaseId]


@dataclass(frozen=True)
class Releases:
    """The bytes of releases. What is younger than `older_than` seconds stays, as `sweep` says."""

    engine: Engine
    settings: Settings
    artifacts: DiskStore
    sites: Sites
    clock: Clock
    older_than: float = KEPT_FOR
    name: str = "releases"

    def look(self) -> Part:
        """Artifacts and the edge's folders, which are links to them."""
        with reading(self.engine) as tx:
            known = self._known(tx)
        size = size_of([self.settings.artifacts, self.settings.edge_home])
        free = retention.dispensable(self.artifacts, set(known.kept.values()), older_than=self.older_than)
        count = self.settings.keep_releases
        kept = f"live ones, and {count} per app (KEEP_RELEASES); an hour's artifacts"
        return Part(self.name, kept, len(known.kept) + len(known.gone), size, free)

    def prune(self) -> Freed:
        """Take away releases beyond the number that is kept, and all bytes that no release needs."""
        with writing(self.engine) as tx:
            known = self._known(tx)
            releases.expire(tx, known.gone, self.clock())
        young = self.older_than
        swept = retention.sweep(self.artifacts, set(known.kept.values()), older_than=young)
        names = {str(one) for one in known.kept} | {str(one) for one in self.sites.releases()}
        place = self.settings.edge_home / "releases"
        folders = retention.sweep_folders(place, names, older_than=young)
        shared_by(place).sweep(place, older_than=young)
        return Freed(swept.blobs + folders, swept.size)

    def _known(self, tx: Tx) -> _Known:
        found = releases.kept(tx)
        needed = releases.live_ids(tx) | releases.needed_ids(tx)
        keep = releases_to_keep(found, needed, self.settings.keep_releases)
        return _Known(
            {one.id: one.manifest for one in found if one.id in keep},
            {one.id for one in found if one.id not in keep},
        )


@dataclass(frozen=True)
class Routes:
    """The edge's entries and its links to older releases, which the edge itself prunes twice a minute."""

    sites: Sites
    table: TableUpkeep
    settings: Settings
    name: str = "edge"

    def look(self) -> Part:
        """Hostnames with their entries."""
        home = self.settings.edge_home
        size = size_of([home / "hosts", home / "older", home / "trash"])
        kept = "five entries per hostname, and those of the last minute"
        return Part(self.name, kept, len(self.sites.hostnames()), size, size_of(entries(home / "trash")))

    def prune(self) -> Freed:
        """Remove links of hostnames that are not shown any more."""
        return Freed(self.table.forget_retired())
