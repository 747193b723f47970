"""What polling saw of repositories, and how it went."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from bot.store import singletons
from bot.store.engine import Tx

T = TypeVar("T", bound=msgspec.Struct)
LAST = "polling"


class LastPoll(msgspec.Struct):
    """The last round: when it was, and which repositories could not be asked, and why."""

    asked_at: datetime | None = None
    problems: dict[str, str] = {}


def seen(tx: Tx, name: str, shape: type[T]) -> T:
    """What was seen of a repository."""
    return msgspec.convert(singletons.facts(tx, f"poll {name}"), shape, strict=False)


def keep(tx: Tx, name: str, value: msgspec.Struct) -> None:
    """Remember what was seen of a repository."""
    facts: Any = msgspec.to_builtins(value)
    singletons.keep_facts(tx, f"poll {name}", facts)


def last(tx: Tx) -> LastPoll:
    """How the last round went."""
    return msgspec.convert(singletons.facts(tx, LAST), LastPoll, strict=False)


def note(tx: Tx, now: datetime, problems: Mapping[str, str]) -> None:
    """Remember how a round went; an empty problem means that a repository answered again."""
    known = {**last(tx).problems, **problems}
    facts: Any = msgspec.to_builtins(LastPoll(now, {name: text for name, text in known.items() if text}))
    singletons.keep_facts(tx, LAST, facts)
