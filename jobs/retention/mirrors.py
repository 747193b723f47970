"""Mirrors stay while an app uses them, and hold no more commits than are of use."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.clock import Clock
from bot.domain.ids import AppId
from bot.log import logger
from bot.settings import Settings
from bot.store import apps, retention
from bot.store.engine import Engine, reading
from jobs.copying import remove_folder
from jobs.git import upkeep
from jobs.git.command import Git, GitFailedError
from jobs.git.remotes import mirror_name
from jobs.retention.part import DAY, Freed, Part, changed_at, entries, size_of

COMMITS = 50
"""Commits of the newest deployments of each environment that a mirror keeps, whatever happens to branches."""
_GONE = ".gone-"


@dataclass(frozen=True)
class MirrorFolders:
    """Mirrors of repositories."""

    engine: Engine
    settings: Settings
    git: Git
    clock: Clock
    name: str = "mirrors"

    def look(self) -> Part:
        """Every mirror; free now are those that no app uses."""
        mirrors = self._mirrors()
        used = self._used()
        free = size_of(one for one in mirrors if one.name not in used)
        kept = f"while an app uses them; commits of branches and of {COMMITS} deployments each"
        return Part(self.name, kept, len(mirrors), size_of([self._home]), free)

    def prune(self) -> Freed:
        """Remove what no app uses; in the others forget commits, and pack them anew once a week."""
        # Listed before the apps are: an app is stored before anything is fetched for it.
        mirrors = self._mirrors()
        used = self._used()
        freed = Freed()
        for mirror in mirrors:
            try:
                size = size_of([mirror]) if mirror.name not in used else 0
                self._tend(mirror, used)
            except (TimeoutError, GitFailedError) as error:
                logger.info("a mirror is tended another time", mirror=mirror.name, why=str(error))
                continue
            freed = Freed(freed.count + (mirror.name not in used), freed.size + size)
        self._clear(used)
        return freed

    def _tend(self, mirror: Path, used: Mapping[str, list[AppId]]) -> None:
        if mirror.name not in used:
            upkeep.remove(mirror, mirror.with_name(f"{_GONE}{mirror.name}"), remove_folder)
            return
        upkeep.forget_commits(self.git, mirror, lambda: self._wanted(used[mirror.name]))
        if upkeep.is_due(mirror, self.clock().timestamp()):
            upkeep.pack(self.git, mirror)

    def _clear(self, used: Mapping[str, list[AppId]]) -> None:
        """Remove what an earlier round left half removed, and locks of mirrors that are long gone."""
        for entry in entries(self._home):
            old = changed_at(entry) < self.clock().timestamp() - DAY
            if entry.name.startswith(_GONE):
                remove_folder(entry)
            elif old and entry.suffix == ".lock" and entry.with_suffix(".git").name not in used:
                entry.unlink(missing_ok=True)

    def _wanted(self, app_ids: list[AppId]) -> set[str]:
        with reading(self.engine) as tx:
            return {str(sha) for sha in retention.recent_commits(tx, app_ids, COMMITS)}

    def _used(self) -> dict[str, list[AppId]]:
        used: dict[str, list[AppId]] = {}
        with reading(self.engine) as tx:
            for app in apps.all_apps(tx):
                used.setdefault(mirror_name(app.clone_url, app.tenant_id), []).append(app.id)
        return used

    def _mirrors(self) -> list[Path]:
        return [one for one in entries(self._home) if one.suffix == ".git" and not one.name.startswith(".")]

    @property
    def _home(self) -> Path:
        return self.settings.home / "mirrors"
