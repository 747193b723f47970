"""How it went when what GitHub shows was last compared with what is true."""

from datetime import datetime
from typing import Any

import msgspec

from bot.store import singletons
from bot.store.engine import Tx

_NAME = "drift"


class Compared(msgspec.Struct):
    """A comparison: deployments looked at, and put right; `note` says why it did not come to its end."""

    compared_at: datetime | None = None
    looked: int = 0
    repaired: int = 0
    note: str = ""


def last(tx: Tx) -> Compared:
    """The last comparison; nothing at first."""
    return msgspec.convert(singletons.facts(tx, _NAME), Compared, strict=False)


def keep(tx: Tx, compared: Compared) -> None:
    """Remember a comparison."""
    facts: Any = msgspec.to_builtins(compared)
    singletons.keep_facts(tx, _NAME, facts)
