"""Keeps this machine's disk and edge in step with the store: what should be there is, nothing else is."""

import time
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from redis import Redis

from bot.clock import Clock, utc_now
from bot.domain.deployment import State
from bot.domain.ids import DeploymentId, ReleaseId
from bot.domain.release import Release
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.logs import archive_abandoned
from bot.previews import nap, tidy
from bot.settings import Settings
from bot.sightings import Sightings
from bot.store import deployments, environments, releases, share_links
from bot.store.engine import Engine, reading
from jobs.addresses import Address, Addresses
from jobs.artifacts.disk import DiskStore
from jobs.artifacts.store import DamagedError
from jobs.copying import remove_folder
from jobs.gates import Gates
from jobs.release_folder import brings_rules, has_rules, lay_out
from jobs.sandbox.box import Sandbox, attempt_prefix
from jobs.site_entry import NO_RELEASE, Entry
from jobs.sites import Sites
from jobs.table_upkeep import GRACE, TableUpkeep
from jobs.visits import Visits

KEPT_FOR_RETURN = timedelta(days=7)
"""How long the release of a preview that was taken down is kept, should it come back."""


class Housekeeping:
    """Chores of the sweep on one machine."""

    def __init__(
        self,
        *,
        settings: Settings,
        engine: Engine,
        artifacts: DiskStore,
        sites: Sites,
        gates: Gates,
        addresses: Addresses,
        lifecycle: Lifecycle,
        sandbox: Sandbox,
        redis: Redis,
        clock: Clock = utc_now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._clock = clock
        self._gates = gates
        self._ruled: dict[ReleaseId, bool] = {}
        self._visits = Visits(settings.edge_home)
        self._redis = redis
        self._settings = settings
        self._engine = engine
        self._artifacts = artifacts
        self._sites, self._table = sites, TableUpkeep(sites, steady)
        self._asleep = Sightings[ReleaseId](steady, GRACE)
        self._addresses = addresses
        self._lifecycle = lifecycle
        self._sandbox = sandbox
        self._released = settings.edge_home / "releases"

    def agree_with_edge(self) -> None:
        """Make the edge serve what the store says is live."""
        for hostname in self._addresses.retire_archived():
            logger.warning("the edge was repaired", repaired=f"{hostname}: taken down.")
        with reading(self._engine) as tx:
            found = self._addresses.wanted(tx)
        gates = {hostname: one.gate for hostname, one in found.items() if one.gate is not None}
        # Before the entries that lead there: where a gate is missing, nobody may pass.
        self._gates.reconcile(gates)
        there = {one.name for one in self._released.iterdir()} if self._released.exists() else set[str]()
        wanted = {hostname: self._entry(address, there) for hostname, address in found.items()}
        shown = {address.release.id for address in found.values()}
        self._ruled = {release: has for release, has in self._ruled.items() if release in shown}
        for repaired in self._table.reconcile(wanted):
            logger.warning("the edge was repaired", repaired=repaired)
        self._free(found.values())

    def wake_visited(self) -> None:
        """Wake what sleeps and is visited now; looks at files alone while nobody waits."""
        heard = self._visits.seen()
        awaited = {name: moment for name, moment in heard.items() if self._sites.is_asleep(name)}
        if awaited:
            self._hear(awaited, self._clock())
            # Whoever is killed here leaves the visit to be heard again.
            self.agree_with_edge()
            self._visits.forget(awaited)

    def hear_visits(self) -> None:
        """Remember which previews were visited."""
        if heard := self._visits.seen():
            last = datetime.fromtimestamp(max(heard.values()), UTC)
            self._hear(heard, min(last, self._clock()))
            self._visits.forget(heard)

    def _hear(self, heard: Collection[str], at: datetime) -> None:
        visited = self._addresses.visited(heard)
        with self._lifecycle.change() as change:
            environments.visit(change.tx, visited, at)

    def _free(self, shown: Iterable[Address]) -> None:
        """Take files off the edge that only hostnames show which sleep, and have for a while."""
        asleep = self._asleep.lasting(one.release.id for one in shown if one.watch.is_asleep)
        if not asleep:
            return
        with reading(self._engine) as tx:
            needed = releases.needed_ids(tx)
        for release in asleep - needed - self._sites.releases(awake=True):
            if (self._released / str(release)).exists():
                self._sites.free(release)
                logger.info("the files of a sleeping release were taken off the edge", release=release)

    def tidy_previews(self) -> None:
        """Take down previews that nobody wants any more, or that are too many or too old."""
        with self._lifecycle.change() as change:
            gone, asleep = tidy(change), nap(change)
            environments.forget_release(change.tx, change.now - KEPT_FOR_RETURN)
            share_links.drop_ended(change.tx, change.now - KEPT_FOR_RETURN)
        for environment in gone:
            self._addresses.take_down(environment)
            logger.info("a preview was taken down", preview=environment.name, why=environment.archive_reason)
        for environment in asleep:
            logger.info("a preview sleeps", preview=environment.name, hostname=environment.hostname)

    def clear_leftovers(self) -> None:
        """Remove what attempts left that ended without cleaning up: processes, work trees, open logs."""
        for folder in self._folders(self._settings.home / "work"):
            deployment, _, attempt = folder.name.partition("-")
            if not (deployment.isdigit() and attempt.isdigit()) or self._runs(int(deployment), int(attempt)):
                continue
            prefix = attempt_prefix(self._settings.instance, int(deployment), int(attempt))
            self._sandbox.sweep(prefix)
            remove_folder(folder)
            logger.warning("an attempt's leftovers were removed", attempt=folder.name)
        archive_abandoned(self._settings.home, self._is_final, self._redis)

    def _entry(self, address: Address, there: Collection[str]) -> Entry:
        release, watch = address.release, address.watch
        if address.moved_to is not None:
            return Entry(address.activation, NO_RELEASE, spa=False, rules=False, moved_to=address.moved_to)
        if str(release.id) not in there and not watch.is_asleep:
            # Artifacts that are gone leave one site dark, and may not keep the others from being repaired.
            with suppress(FileNotFoundError, DamagedError):
                lay_out(self._artifacts, release.manifest, self._released / str(release.id))
        return Entry(
            address.activation,
            release.id,
            spa=release.spa,
            rules=self._has_rules(release),
            unlisted=address.unlisted,
            watch=watch,
        )

    def _has_rules(self, release: Release) -> bool:
        # A release never changes; one that is not laid out yet is asked again.
        if release.id not in self._ruled:
            folder = self._released / str(release.id)
            with suppress(FileNotFoundError, DamagedError):
                self._ruled[release.id] = (
                    has_rules(folder) if folder.exists() else brings_rules(self._artifacts, release.manifest)
                )
        return self._ruled.get(release.id, False)

    def _runs(self, deployment: int, attempt: int) -> bool:
        with reading(self._engine) as tx:
            found = deployments.find(tx, DeploymentId(deployment))
        return (
            found is not None
            and found.attempt == attempt
            and found.state in (State.RUNNING, State.CANCELLING)
        )

    def _is_final(self, deployment: DeploymentId) -> bool:
        with reading(self._engine) as tx:
            found = deployments.find(tx, deployment)
        return found is None or found.state.is_final

    def _folders(self, parent: Path) -> list[Path]:
        return [entry for entry in parent.iterdir() if entry.is_dir()] if parent.exists() else []
