"""Keeps this machine's disk and edge in step with the store: what should be there is, nothing else is."""

from contextlib import suppress
from pathlib import Path

from redis import Redis

from bot.domain.deployment import State
from bot.domain.environment import Environment
from bot.domain.ids import DeploymentId
from bot.domain.release import Release
from bot.log import logger
from bot.logs import archive_abandoned
from bot.settings import Settings
from bot.store import deployments, environments, releases
from bot.store.engine import Engine, reading
from jobs.artifacts.disk import DiskStore
from jobs.artifacts.store import DamagedError
from jobs.copying import remove_folder
from jobs.release_folder import has_rules, lay_out
from jobs.sandbox.box import Sandbox, attempt_prefix
from jobs.sites import Entry, Sites


class Housekeeping:
    """Chores of the sweep on one machine."""

    def __init__(
        self,
        *,
        settings: Settings,
        engine: Engine,
        artifacts: DiskStore,
        sites: Sites,
        sandbox: Sandbox,
        redis: Redis,
    ) -> None:
        self._redis = redis
        self._settings = settings
        self._engine = engine
        self._artifacts = artifacts
        self._sites = sites
        self._sandbox = sandbox
        self._released = settings.edge_home / "releases"

    def agree_with_edge(self) -> None:
        """Make the edge serve what the store says is live."""
        with reading(self._engine) as tx:
            live = environments.live(tx)
            shown = {
                one.active_release_id: releases.get(tx, one.active_release_id)
                for one in live
                if one.active_release_id
            }
        wanted = {
            one.hostname: self._entry(one, shown[one.active_release_id])
            for one in live
            if one.active_release_id
        }
        for repaired in self._sites.reconcile(wanted):
            logger.warning("the edge was repaired", repaired=repaired)

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

    def _entry(self, environment: Environment, release: Release) -> Entry:
        folder = self._released / str(release.id)
        if not folder.exists():
            # Artifacts that are gone leave one site dark, and may not keep the others from being repaired.
            with suppress(FileNotFoundError, DamagedError):
                lay_out(self._artifacts, release.manifest, folder)
        return Entry(environment.activation, release.id, spa=release.spa, rules=has_rules(folder))

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
