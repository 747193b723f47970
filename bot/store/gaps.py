"""What is known of the deliveries that GitHub lists: which of them never arrived here."""

from datetime import datetime
from typing import Any

import msgspec

from bot.store import singletons
from bot.store.engine import Tx

FACTS = "deliveries-recovery"
"""Where the last check is remembered."""
WISH = "missed-wanted"
"""Where it is remembered that somebody wants one."""


class Open(msgspec.Struct):
    """A delivery without any attempt that succeeded: the attempt to repeat, and how often it was."""

    attempt: int
    delivered_at: datetime
    times: int = 0
    again_at: datetime | None = None
    event: str = ""


class Recovered(msgspec.Struct):
    """The last check. `gaps`: failed deliveries, by GUID in `open`, that the ledger does not have.

    `note` says why the check did not come to its end, when it didn't.
    """

    checked_at: datetime | None = None
    gaps: int = 0
    note: str = ""
    resume: str | None = None
    open: dict[str, Open] = {}


def ask_for_missed(tx: Tx) -> None:
    """Let what happened while nothing was deployed be looked for soon: an app is deployed again."""
    singletons.keep_facts(tx, WISH, {"wanted": True})


def is_asked_for(tx: Tx) -> bool:
    """Whether somebody asked to look for what was missed."""
    return bool(singletons.facts(tx, WISH))


def take_wish(tx: Tx) -> None:
    """Take that wish up."""
    singletons.keep_facts(tx, WISH, {})


def last_check(tx: Tx) -> Recovered:
    """What the last run found."""
    return msgspec.convert(singletons.facts(tx, FACTS), Recovered, strict=False)


def keep(tx: Tx, known: Recovered) -> None:
    """Remember what a run found."""
    facts: Any = msgspec.to_builtins(known)
    singletons.keep_facts(tx, FACTS, facts)
