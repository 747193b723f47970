"""Keeps this machine's disk and edge in step with the store: what should be there is, nothing else is."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from redis import Redis

from bot.domain.deployment import State
from bot.domain.ids import DeploymentId
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.logs import archive_abandoned
from bot.previews import tidy
from bot.settings import Settings
from bot.store import deployments, environments
from bot.store.engine import Engine, reading
from jobs.addresses import Address, Addresses
from jobs.artifacts.disk import DiskStore
from jobs.artifacts.store import DamagedError
from jobs.copying import remove_folder
from jobs.entry import NO_RELEASE, Entry
from jobs.release_folder import has_rules, lay_out
from jobs.sandbox.box import Sandbox, attempt_prefix
from jobs.sites import Sites

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
        addresses: Addresses,
        lifecycle: Lifecycle,
        sandbox: Sandbox,
        redis: Redis,
    ) -> None:
        self._redis = redis
        self._settings = settings
        self._engine = engine
        self._artifacts = artifacts
        self._sites = sites
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
        wanted = {hostname: self._entry(address) for hostname, address in found.items()}
        for repaired in self._sites.reconcile(wanted):
            logger.warning("the edge was repaired", repaired=repaired)

    def tidy_previews(self) -> None:
        """Take down previews that nobody wants any more, or that are too many or too old."""
        with self._lifecycle.change() as change:
            gone = tidy(change)
            environments.forget_release(change.tx, change.now - KEPT_FOR_RETURN)
        for environment in gone:
            self._addresses.take_down(environment)
            logger.info("a preview was taken down", preview=environment.name, why=environment.archive_reason)

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

    def _entry(self, address: Address) -> Entry:
        release = address.release
        if address.moved_to is not None:
            return Entry(address.activation, NO_RELEASE, spa=False, rules=False, moved_to=address.moved_to)
        folder = self._released / str(release.id)
        if not folder.exists():
            # Artifacts that are gone leave one site dark, and may not keep the others from being repaired.
            with suppress(FileNotFoundError, DamagedError):
                lay_out(self._artifacts, release.manifest, folder)
        rules = has_rules(folder)
        return Entry(address.activation, release.id, spa=release.spa, rules=rules, unlisted=address.unlisted)

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
