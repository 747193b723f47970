"""The audit log. Each row's digest covers the row before, so that one that is missing or altered shows."""

import hashlib
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.audit import Act, Row
from bot.domain.ids import AppId, TenantId
from bot.store import singletons
from bot.store.columns import moment_to_number
from bot.store.engine import Tx
from bot.store.schema import audit

START = bytes(32)
"""Stands for the digest before the first row."""
_PRUNED = "audit-pruned"
_PORTION = 1000
# Any number that nothing else of an instance's takes as a lock.
_LOCK = 7_240_113


@dataclass(frozen=True)
class Place:
    """A row of the log, as far as it holds the next: its number and its digest."""

    id: int
    digest: bytes


def record(tx: Tx, act: Act, now: datetime) -> None:
    """Append what was done, in the transaction that does it."""
    if tx.dialect.name == "postgresql":
        # On SQLite writers are alone. Here one that appends waits for another's end, else two rows would
        # follow the same one.
        tx.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    before = newest(tx)
    values = _values(act)
    tx.execute(audit.insert().values(**values, at=now, digest=digest_of(before.digest, values, now)))


def newest(tx: Tx) -> Place:
    """The last row; where there is none, the last one that was forgotten, or the start."""
    row = tx.execute(sa.select(audit.c.id, audit.c.digest).order_by(audit.c.id.desc()).limit(1)).one_or_none()
    return Place(*row) if row else forgotten(tx)


def forgotten(tx: Tx) -> Place:
    """The last row that retention took away."""
    facts = singletons.facts(tx, _PRUNED)
    return Place(facts["id"], bytes.fromhex(facts["digest"])) if facts else Place(0, START)


def digest_of(before: bytes, values: dict[str, Any], at: datetime) -> bytes:
    """The digest of a row, SHA-256 over the digest of the row before and everything that the row says."""
    said = msgspec.json.encode([before.hex(), moment_to_number(at), values], order="sorted")
    return hashlib.sha256(said).digest()


def rows(tx: Tx, after: int) -> Generator[RowMapping]:
    """Every row behind a number, oldest first, in portions."""
    while True:
        query = sa.select(audit).where(audit.c.id > after).order_by(audit.c.id).limit(_PORTION)
        found = tx.execute(query).mappings().all()
        yield from found
        if len(found) < _PORTION:
            return
        after = found[-1]["id"]


def is_whole(row: RowMapping, before: bytes) -> bool:
    """Whether a row says what was written, and follows the row that it was written behind."""
    said = {name: row[name] for name in _SAID}
    return bool(row["digest"] == digest_of(before, said, row["at"]))


def forget(
    tx: Tx, before: datetime, limit: int, note: Callable[[Place], object] = lambda _place: None
) -> int:
    """Delete the oldest rows of before a moment, at most so many; how many. The newest stays.

    `note` is told of the last of them first, so that what the store says of it can be held to that.
    """
    query = sa.select(audit.c.id, audit.c.digest, audit.c.at).order_by(audit.c.id).limit(limit + 1)
    found = tx.execute(query).all()
    gone = 0
    while gone < len(found) - 1 and found[gone].at < before:
        gone += 1
    if gone:
        last = found[gone - 1]
        note(Place(last.id, last.digest))
        tx.execute(audit.delete().where(audit.c.id <= last.id))
        singletons.keep_facts(tx, _PRUNED, {"id": last.id, "digest": last.digest.hex()})
    return gone


def row_of(values: RowMapping) -> Row:
    """A row as others take it."""
    named = {name: values[name] for name in _SAID}
    tenant, app = named.pop("tenant_id"), named.pop("app_id")
    act = Act(
        **named,
        tenant_id=None if tenant is None else TenantId(tenant),
        app_id=None if app is None else AppId(app),
    )
    return Row(values["id"], values["at"], act)


_SAID = "action actor actor_key origin tenant_id app_id subject before after".split()


def _values(act: Act) -> dict[str, Any]:
    values = {name: getattr(act, name) for name in _SAID}
    return {**values, "before": dict(act.before), "after": dict(act.after)}
