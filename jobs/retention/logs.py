"""Archived logs go by age, beyond a size, and with their deployment."""

import re
from dataclasses import dataclass
from pathlib import Path

from bot.clock import Clock
from bot.domain.ids import DeploymentId
from bot.settings import MIB, Settings
from bot.store import retention
from bot.store.engine import Engine, reading
from jobs.retention.part import DAY, Freed, Part, changed_at, entries, size_of

_ARCHIVE = re.compile(r"(\d+)\.jsonl\.gz")
_DRAFT = re.compile(r"\.\d+\.jsonl\.gz\.\d+")


@dataclass(frozen=True)
class _Archive:
    path: Path
    deployment: DeploymentId
    size: int
    at: float


@dataclass(frozen=True)
class Logs:
    """The archives of logs. Whoever reads one just now reads it to its end: the system keeps it so long."""

    engine: Engine
    settings: Settings
    clock: Clock
    name: str = "logs"

    def look(self) -> Part:
        """Archives, and the open logs beside them."""
        found = self._archives()
        kept = (
            f"{self.settings.keep_logs_days} days (KEEP_LOGS_DAYS), at most "
            f"{self.settings.keep_logs_mib} MiB (KEEP_LOGS_MIB); of each {self.settings.log_bytes // MIB} MiB"
        )
        free = sum(one.size for one in self._gone(found))
        return Part(self.name, kept, len(found), size_of([self.settings.home / "logs"]), free)

    def prune(self) -> Freed:
        """Remove those that are too old or too much, the oldest first."""
        gone = self._gone(self._archives())
        for one in gone:
            one.path.unlink(missing_ok=True)
        for draft in entries(self.settings.home / "logs"):
            # A day is longer than any archiving takes: whoever wrote this was killed.
            if _DRAFT.fullmatch(draft.name) and changed_at(draft) < self.clock().timestamp() - DAY:
                draft.unlink(missing_ok=True)
        return Freed(len(gone), sum(one.size for one in gone))

    def _archives(self) -> list[_Archive]:
        """The archives, newest first."""
        found = [
            _Archive(path, DeploymentId(int(match[1])), size_of([path]), changed_at(path))
            for path in entries(self.settings.home / "logs")
            if (match := _ARCHIVE.fullmatch(path.name))
        ]
        return sorted(found, key=lambda one: (one.at, one.deployment), reverse=True)

    def _gone(self, found: list[_Archive]) -> list[_Archive]:
        oldest = self.clock().timestamp() - self.settings.keep_logs_days * DAY
        # The archives were listed before: a deployment that came since has none among them.
        with reading(self.engine) as tx:
            forgotten = retention.forgotten_of(tx, [one.deployment for one in found])
        gone: list[_Archive] = []
        total = 0
        for one in found:
            total += one.size
            beyond = total > self.settings.keep_logs_mib * MIB
            if beyond or one.at < oldest or one.deployment in forgotten:
                gone.append(one)
        return gone
