"""Turns: what only one process at a time may do, such as writing one comment on GitHub."""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from uuid import uuid4

from bot.clock import Clock
from bot.holder import is_gone, this_process
from bot.store import singletons
from bot.store.engine import Engine, Tx, writing

LENGTH = timedelta(seconds=30)
"""How long its holder may be silent before another takes the turn; longer than any one request."""
_PAUSE_SECONDS = 0.05


class TakenError(Exception):
    """Another process has the turn."""


def _name_of_holder() -> str:
    return f"{this_process()}/{uuid4().hex}"


@dataclass(frozen=True)
class Turn:
    """The turn at something that has a name."""

    engine: Engine
    clock: Clock
    name: str
    holder: str = field(default_factory=_name_of_holder)

    @contextmanager
    def taken(self, patience: float) -> Generator["Turn"]:
        """Have the turn inside; waits so many seconds for it. Raises `TakenError`."""
        deadline = time.monotonic() + patience
        while not self._take():
            if time.monotonic() > deadline:
                raise TakenError(self.name)
            time.sleep(_PAUSE_SECONDS)
        try:
            yield self
        finally:
            with writing(self.engine, synced=False) as tx:
                singletons.give_up(tx, self.name, self.holder)

    def prolong(self, tx: Tx) -> bool:
        """Have it for another while; False when another process has it by now."""
        now = self.clock()
        return singletons.lead(tx, self.name, self.holder, now=now, until=now + LENGTH, is_gone=_is_gone)

    def _take(self) -> bool:
        with writing(self.engine, synced=False) as tx:
            return self.prolong(tx)


def _is_gone(holder: str) -> bool:
    process, _, _turn = holder.rpartition("/")
    return process.count("/") == 2 and is_gone(process)
