"""Every rule of retention, and the round that holds all parts to theirs."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.clock import Clock, utc_now
from bot.errors import SlipwayError
from bot.log import logger
from bot.settings import Settings
from bot.store.engine import Engine, StoreError
from jobs.artifacts.disk import DiskStore
from jobs.git.command import Git
from jobs.retention.caches import Caches
from jobs.retention.logs import Logs
from jobs.retention.mirrors import MirrorFolders
from jobs.retention.part import Part, Rule
from jobs.retention.passing import Attempts, QueueFiles
from jobs.retention.records import AuditLog, Deliveries, Deployments, Messages, StoreFile
from jobs.retention.releases import Releases, Routes
from jobs.retention.trees import WorkTrees
from jobs.sites import Sites
from jobs.table_upkeep import TableUpkeep


@dataclass(frozen=True)
class Retention:
    """All parts of an instance that grow."""

    rules: Sequence[Rule]

    def prune(self) -> None:
        """Hold every part to its rule; one that can't be does not keep the others from it."""
        for rule in self.rules:
            try:
                freed = rule.prune()
            except (OSError, SlipwayError, StoreError) as error:
                logger.warning("a part was not pruned; it is tried again", part=rule.name, error=str(error))
                continue
            if freed.count:
                logger.info("retention", part=rule.name, count=freed.count, bytes=freed.size)

    def look(self) -> list[Part]:
        """What every part holds, and what of it could go now."""
        return [rule.look() for rule in self.rules]


def make(settings: Settings, engine: Engine, *, git: Git, sites: Sites, clock: Clock = utc_now) -> Retention:
    """The rules of an instance. Files go first: on a full disk rows can't be deleted before there is room."""
    artifacts = DiskStore(settings.artifacts)
    return Retention(
        (
            Attempts(settings),
            QueueFiles(settings),
            Caches(engine, settings, clock),
            WorkTrees(engine, settings, clock),
            Logs(engine, settings, clock),
            Routes(sites, TableUpkeep(sites), settings),
            Releases(engine, settings, artifacts, sites, clock),
            MirrorFolders(engine, settings, git, clock),
            Deployments(engine, settings, clock),
            Deliveries(engine, settings, clock),
            Messages(engine, settings, clock),
            AuditLog(engine, settings, clock),
            StoreFile(engine),
        )
    )
