"""Kept work trees go when their environment is gone, or has not deployed for long."""

from dataclasses import dataclass
from pathlib import Path

from bot.clock import Clock
from bot.settings import Settings
from bot.store import retention
from bot.store.engine import Engine, reading
from jobs.copying import remove_folder
from jobs.git.command import locked
from jobs.retention.part import DAY, Freed, Part, changed_at, entries, size_of


@dataclass(frozen=True)
class WorkTrees:
    """The work trees of environments.

    Who brings one to a commit holds its lock and writes its index; it is then used for as long as a
    deploy takes. So an index that is old under the lock says that nobody uses the tree.
    """

    engine: Engine
    settings: Settings
    clock: Clock
    name: str = "trees"

    def look(self) -> Part:
        """Every kept tree."""
        found = self._trees()
        environments = self._environments()
        gone = [one for one in found if self._is_useless(one, environments)]
        kept = f"{self.settings.keep_caches_days} days after the last deploy (KEEP_CACHES_DAYS)"
        count = sum((one / "tree").exists() for one in found)
        return Part(self.name, kept, count, size_of(found), size_of(one / "tree" for one in gone))

    def prune(self) -> Freed:
        """Remove the files of trees that are not used; the next deploy makes them anew."""
        found = self._trees()
        environments = self._environments()
        count = size = 0
        for folder in found:
            before = size_of([folder / "tree"])
            if self._is_useless(folder, environments) and self._remove(folder, environments):
                count, size = count + 1, size + before
        return Freed(count, size)

    def _remove(self, folder: Path, environments: set[str]) -> bool:
        try:
            with locked(folder / "lock", 0):
                if not self._is_useless(folder, environments):
                    return False
                (folder / "index").unlink(missing_ok=True)
                remove_folder(folder / "tree")
        except TimeoutError:
            return False
        if folder.name not in environments:
            remove_folder(folder)
        return True

    def _is_useless(self, folder: Path, environments: set[str]) -> bool:
        if folder.name not in environments:
            return True
        oldest = self.clock().timestamp() - self.settings.keep_caches_days * DAY
        return (folder / "tree").exists() and changed_at(folder / "index") < oldest

    def _trees(self) -> list[Path]:
        # Listed before the environments are: those are stored before anything is checked out for them.
        return [one for one in entries(self.settings.home / "trees") if one.name.isdigit()]

    def _environments(self) -> set[str]:
        with reading(self.engine) as tx:
            return {str(one) for one in retention.environment_ids(tx)}
