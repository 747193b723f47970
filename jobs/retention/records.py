"""Deliveries and deployments are forgotten by age; the store's file gives their room back."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot import anchors
from bot.clock import Clock
from bot.settings import Settings
from bot.store import audit, file, outbox, retention
from bot.store.audit import Place
from bot.store.engine import Engine, Tx, reading, writing
from bot.store.retention import SPARED, Rows
from jobs.retention.part import Freed, Part

_PAUSE_SECONDS = 0.02
"""Between two transactions, so that a delivery that came meanwhile is stored first."""


@dataclass(frozen=True)
class Deliveries:
    """Deliveries, first their bodies. One that nobody decided about yet keeps both."""

    engine: Engine
    settings: Settings
    clock: Clock
    name: str = "deliveries"

    def look(self) -> Part:
        """Bytes are those of the bodies, in the store's file."""
        with reading(self.engine) as tx:
            held, old = retention.held_deliveries(tx), retention.old_bodies(tx, self._bodies_before())
        days, bodies = self.settings.keep_deliveries_days, self.settings.keep_bodies_days
        kept = f"{days} days (KEEP_DELIVERIES_DAYS), their bodies {bodies} (KEEP_BODIES_DAYS)"
        return Part(self.name, kept, held.count, held.size, old.size)

    def prune(self) -> Freed:
        """Forget old deliveries, and the bodies of those that are not so old."""
        before = _days_ago(self.clock, self.settings.keep_deliveries_days)
        whole = _until_none_is_left(self.engine, lambda tx: retention.forget_deliveries(tx, before))
        bodies = _until_none_is_left(
            self.engine, lambda tx: retention.forget_bodies(tx, self._bodies_before())
        )
        return Freed(whole.count + bodies.count, whole.size + bodies.size)

    def _bodies_before(self) -> datetime:
        return _days_ago(self.clock, self.settings.keep_bodies_days)


@dataclass(frozen=True)
class Deployments:
    """Deployments with their events, steps and announcements."""

    engine: Engine
    settings: Settings
    clock: Clock
    name: str = "deployments"

    def look(self) -> Part:
        """Their rows; the bytes are the store's."""
        before = _days_ago(self.clock, self.settings.keep_deployments_days)
        with reading(self.engine) as tx:
            held, old = retention.held_deployments(tx), retention.old_deployments(tx, before)
        days = self.settings.keep_deployments_days
        kept = f"{days} days (KEEP_DEPLOYMENTS_DAYS), and {SPARED} per environment; {old} may go now"
        return Part(self.name, kept, held, 0, 0)

    def prune(self) -> Freed:
        """Forget old deployments, environment by environment."""
        before = _days_ago(self.clock, self.settings.keep_deployments_days)
        with reading(self.engine) as tx:
            places = retention.environment_ids(tx)
        count = 0
        for place in places:
            gone = _until_none_is_left(
                self.engine, lambda tx, place=place: Rows(retention.forget_deployments(tx, place, before))
            )
            count += gone.count
        return Freed(count)


@dataclass(frozen=True)
class AuditLog:
    """Rows of the audit log. What is left can be verified without those that went."""

    engine: Engine
    settings: Settings
    clock: Clock
    name: str = "audit"

    def look(self) -> Part:
        """Its rows; the bytes are the store's."""
        with reading(self.engine) as tx:
            held = retention.held_audit(tx)
        return Part(self.name, f"{self.settings.keep_audit_days} days (KEEP_AUDIT_DAYS)", held, 0, 0)

    def prune(self) -> Freed:
        """Forget the oldest."""
        before = _days_ago(self.clock, self.settings.keep_audit_days)

        def note(place: Place) -> None:
            anchors.note_forgotten(self.settings, place, self.clock())

        return _until_none_is_left(
            self.engine, lambda tx: Rows(audit.forget(tx, before, retention.ROWS, note))
        )


@dataclass(frozen=True)
class Messages:
    """What was sent to webhooks and channels, with the answers."""

    engine: Engine
    settings: Settings
    clock: Clock
    name: str = "messages"

    def look(self) -> Part:
        """Their rows; the bytes are the store's."""
        with reading(self.engine) as tx:
            held = outbox.held(tx)
        return Part(self.name, f"{self.settings.keep_messages_days} days (KEEP_MESSAGES_DAYS)", held, 0, 0)

    def prune(self) -> Freed:
        """Forget the oldest."""
        before = _days_ago(self.clock, self.settings.keep_messages_days)
        return _until_none_is_left(self.engine, lambda tx: Rows(outbox.forget(tx, before, retention.ROWS)))


@dataclass(frozen=True)
class StoreFile:
    """The file that all rows are in."""

    engine: Engine
    name: str = "store"

    def look(self) -> Part:
        """The file and its log of writes."""
        if not file.is_file(self.engine):
            return Part(self.name, "PostgreSQL tends it", 0, 0, 0)
        size, free = file.size_of(self.engine), file.free_bytes(self.engine)
        return Part(self.name, "all rows; unused pages are given back", 1, size, free)

    def prune(self) -> Freed:
        """Give unused pages back, and keep the log of writes short."""
        size = 0
        if file.is_file(self.engine):
            while given := file.give_back(self.engine):
                size += given
                time.sleep(_PAUSE_SECONDS)
            file.shorten_log(self.engine)
        return Freed(1 if size else 0, size)


def _until_none_is_left(engine: Engine, forget: Callable[[Tx], Rows]) -> Freed:
    count = size = 0
    while True:
        with writing(engine) as tx:
            gone = forget(tx)
        if not gone.count:
            return Freed(count, size)
        count, size = count + gone.count, size + gone.size
        time.sleep(_PAUSE_SECONDS)


def _days_ago(clock: Clock, days: int) -> datetime:
    return clock() - timedelta(days=days)
