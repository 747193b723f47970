"""Visits that somebody must hear of: an empty file per hostname, from the edge to the sweep."""

from contextlib import suppress
from pathlib import Path

from bot.domain.hostname import is_hostname


class Visits:
    """The visits below `edge_home`."""

    def __init__(self, edge_home: Path) -> None:
        self._folder = edge_home / "visits"
        self._folder.mkdir(parents=True, exist_ok=True)

    def note(self, hostname: str) -> None:
        """Remember that somebody visits a hostname now. Its caller has seen that there is one."""
        if is_hostname(hostname):
            with suppress(OSError):
                # A full disk must not keep a page from its visitor.
                (self._folder / hostname).touch()

    def seen(self) -> dict[str, float]:
        """Hostnames that were visited, with the time in Unix seconds; cheap when there are none."""
        found: dict[str, float] = {}
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                found[path.name] = path.stat().st_mtime
        return found

    def forget(self, heard: dict[str, float]) -> None:
        """Forget visits that were heard of, but not those that came since."""
        for name, moment in heard.items():
            path = self._folder / name
            with suppress(FileNotFoundError):
                if path.stat().st_mtime <= moment:
                    path.unlink()
