"""Where pages ask for what only the worker can do, and see what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from starlette.requests import HTTPConnection

from bot.clock import Clock, utc_now
from bot.domain.audit import Act
from bot.domain.errand import Errand, ErrandKind, ErrandState
from bot.domain.ids import DeliveryId, ErrandId
from bot.queue import Queue
from bot.settings import Settings
from bot.store import audit, deliveries, errands
from bot.store.engine import Engine, reading, writing
from bot.vault import Vault

FRESH = timedelta(seconds=60)
"""How long a list of repositories is shown before a visit asks for a new one."""


def by_operator(action: str, subject: str, origin: str, *, after: Mapping[str, Any] | None = None) -> Act:
    """What is done in the console, for the audit log."""
    return Act(action, "the instance's operator", "operator", origin, subject=subject, after=after or {})


def address_of(request: HTTPConnection) -> str:
    """From where a page was asked for."""
    return request.client.host if request.client else ""


@dataclass(frozen=True)
class Desk:
    """Takes errands down and rings for the worker."""

    settings: Settings
    engine: Engine
    queue: Queue
    vault: Vault
    clock: Clock = utc_now

    def ask(
        self,
        kind: ErrandKind,
        subject: Mapping[str, Any] | None = None,
        *,
        secret: str | None = None,
        origin: str = "",
    ) -> ErrandId:
        """Ask for an errand; a secret part of it is sealed. `origin` is the address that it is asked from."""
        sealed = self.vault.seal(secret.encode()) if secret is not None else None
        with writing(self.engine) as tx:
            errand = errands.ask(tx, kind, subject or {}, self.clock(), sealed=sealed)
            if kind is not ErrandKind.LIST_REPOSITORIES:
                act = by_operator(f"errand.{kind}", f"errand {errand}", origin, after=subject or {})
                audit.record(tx, act, self.clock())
        self.queue.errand(errand)
        return errand

    def ask_again(self, kind: ErrandKind, *, fresh: timedelta = FRESH) -> None:
        """Ask for an errand without a subject, unless one was asked for a moment ago."""
        last = self.newest(kind)
        if last is None or self.clock() - last.created_at > fresh:
            self.ask(kind)

    def get(self, errand: ErrandId) -> Errand | None:
        """An errand as it stands."""
        with reading(self.engine) as tx:
            return errands.get(tx, errand)

    def newest(self, kind: ErrandKind, state: ErrandState | None = None) -> Errand | None:
        """The errand of a kind that was asked for last."""
        with reading(self.engine) as tx:
            return errands.newest(tx, kind, state)

    def signed(self, action: str, origin: str) -> None:
        """Remember that somebody signed in from an address, or could not."""
        with writing(self.engine) as tx:
            audit.record(tx, by_operator(action, "console", origin), self.clock())

    def decide_again(self, delivery: DeliveryId, origin: str = "") -> bool:
        """Have a delivery that was given up decided about; False when it is decided, or waits already."""
        with writing(self.engine) as tx:
            is_back = deliveries.take_up(tx, delivery)
            if is_back:
                act = by_operator("delivery.replayed", f"delivery {delivery}", origin)
                audit.record(tx, act, self.clock())
        if is_back:
            slot = f"-again-{int(self.clock().timestamp() * 1000)}"
            self.queue.intake([delivery], slot=slot)
        return is_back
