"""Folders of attempts under way; what dead ones left, the sweep's other round takes away at once."""

from dataclasses import dataclass

from bot.settings import Settings
from jobs.retention.part import Freed, Part, entries, size_of


@dataclass(frozen=True)
class Attempts:
    """The copies of work trees that builds work on."""

    settings: Settings
    name: str = "builds"

    def look(self) -> Part:
        """Those of builds that run now."""
        folder = self.settings.home / "work"
        return Part(self.name, "while a build runs", len(entries(folder)), size_of([folder]), 0)

    def prune(self) -> Freed:
        """Nothing is left for here."""
        return Freed()


@dataclass(frozen=True)
class QueueFiles:
    """The embedded queue's file, which it writes anew by itself."""

    settings: Settings
    name: str = "queue"

    def look(self) -> Part:
        """What the server writes; none with a server of your own."""
        folder = self.settings.home / "valkey"
        kept = "messages until they are done; live logs for minutes after their end"
        return Part(self.name, kept, len(entries(folder)), size_of([folder]), 0)

    def prune(self) -> Freed:
        """The server does it."""
        return Freed()
