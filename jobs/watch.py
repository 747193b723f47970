"""Watches over one claim while its work is done: renews the lease, and says when the work must end."""

import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from enum import Enum, auto
from types import FrameType

from bot.leases import LEASE, RENEWAL, Claim, Leases, Standing
from bot.log import logger
from bot.store.engine import StoreError

_LOOK_SECONDS = 0.5
# Work ends this long before a lease that can't be renewed runs out: nobody may start beside it.
_MARGIN_SECONDS = 8.0


class Why(Enum):
    """Why work must end early."""

    CANCELLED = auto()
    HANDED_BACK = auto()
    LEASE_LOST = auto()


class Watch:
    """Asked by steps whether to stop; `why` tells the reason, once there is one."""

    def __init__(self, leases: Leases, claim: Claim) -> None:
        self.why: Why | None = None
        self._leases = leases
        self._claim = claim
        self._ended = threading.Event()
        self._renewed = time.monotonic()

    def stopped(self) -> bool:
        """Whether the work must end now."""
        return self.why is not None

    def must_leave(self) -> bool:
        """Whether another worker goes on, so that this one must leave the work; a cancel is no reason."""
        return self.why in (Why.HANDED_BACK, Why.LEASE_LOST)

    def hand_back(self) -> None:
        """Let the work end because this worker stops; the first reason stays."""
        self.why = self.why or Why.HANDED_BACK

    def run(self) -> None:
        """Look at the claim until the work has ended."""
        while not self._ended.wait(_LOOK_SECONDS) and self.why is None:
            try:
                self._look()
            except StoreError as error:
                logger.warning("the store does not answer; the work goes on for now", error=str(error))
            if time.monotonic() - self._renewed > LEASE.total_seconds() - _MARGIN_SECONDS:
                self.why = self.why or Why.LEASE_LOST

    def end(self) -> None:
        """End the watch."""
        self._ended.set()

    def _look(self) -> None:
        standing = self._leases.standing(self._claim)
        if standing is Standing.CANCEL_WANTED:
            self.why = self.why or Why.CANCELLED
        elif standing is Standing.LOST:
            self.why = self.why or Why.LEASE_LOST
        elif time.monotonic() - self._renewed >= RENEWAL.total_seconds():
            started = time.monotonic()
            if self._leases.renew(self._claim):
                self._renewed = started


@contextmanager
def watching(leases: Leases, claim: Claim) -> Generator[Watch]:
    """Watch over a claim in a thread of its own; SIGTERM to this process hands the work back."""
    watch = Watch(leases, claim)

    def on_term(_signal: int, _frame: FrameType | None) -> None:
        watch.hand_back()

    before = signal.signal(signal.SIGTERM, on_term)
    thread = threading.Thread(target=watch.run, name="watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.end()
        thread.join()
        signal.signal(signal.SIGTERM, before)
