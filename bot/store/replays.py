"""Answers to requests that carried an idempotency key, so that a repeated request does nothing twice."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from bot.store.access_schema import replays
from bot.store.engine import Tx

KEPT = timedelta(days=1)
"""How long a key is remembered."""


@dataclass(frozen=True)
class Replay:
    """What was answered to the first request with a key. The answer is sealed."""

    fingerprint: bytes
    status: int
    answer: bytes


def find(tx: Tx, caller: str, key: str, now: datetime) -> Replay | None:
    """What was answered to a caller's request with that key, unless it is long ago."""
    columns = (replays.c.fingerprint, replays.c.status, replays.c.answer)
    where = (replays.c.caller == caller, replays.c.key == key, replays.c.created_at > now - KEPT)
    row = tx.execute(sa.select(*columns).where(*where)).one_or_none()
    return Replay(*row) if row else None


def keep(tx: Tx, caller: str, key: str, replay: Replay, *, now: datetime) -> None:
    """Remember an answer, and forget old ones."""
    tx.execute(replays.delete().where(replays.c.created_at <= now - KEPT))
    values = {"fingerprint": replay.fingerprint, "status": replay.status, "answer": replay.answer}
    tx.execute(replays.insert().values(caller=caller, key=key, created_at=now, **values))
