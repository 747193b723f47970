"""Webhook deliveries and what was decided about them."""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
import zstandard
from sqlalchemy import RowMapping

from bot.domain.ids import AppId, DeliveryId
from bot.late import Late
from bot.store.columns import moment_to_number
from bot.store.due import is_due
from bot.store.engine import Tx
from bot.store.schema import decisions, deliveries

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql
else:
    # 2 MB, and 50 ms of each process's start.
    postgresql = Late("sqlalchemy.dialects.postgresql")

T = TypeVar("T")

RECEIVED, DECIDED, FAILED = "received", "decided", "failed"
GITHUB, POLL, RECONCILE = "github", "poll", "reconcile"
"""Sources of deliveries: GitHub's webhook, our own asking, and the sweep that found a branch's head."""
NO_REPOSITORY_ID = 2**63 - 1
"""Stands for the id of a repository of which only an address is known; no repository on GitHub has it."""


@dataclass(frozen=True)
class NewDelivery:
    """A verified delivery, about to be stored. `body` is the JSON object's bytes."""

    hook_id: str
    guid: str
    event: str
    body: bytes
    received_at: datetime
    source: str = "github"
    verified_app_id: AppId | None = None


@dataclass(frozen=True)
class Delivery:
    """A stored delivery. State: `received`, `decided` or, given up after many attempts, `failed`."""

    id: DeliveryId
    hook_id: str
    guid: str
    event: str
    source: str
    verified_app_id: AppId | None
    body: bytes
    state: str
    note: str
    attempts: int
    received_at: datetime
    retry_at: datetime | None
    decided_at: datetime | None


@dataclass(frozen=True)
class StoredDecision:
    """What a delivery meant for one app (or, with no app, as a whole), and why."""

    delivery_id: DeliveryId
    app_id: AppId | None
    kind: str
    code: str
    sentence: str
    facts: dict[str, Any]
    created_at: datetime


_FIELDS = [deliveries.c[field.name] for field in fields(Delivery)]
_NEW = [field.name for field in fields(NewDelivery)]
_ROWS_A_STATEMENT = 64
# A body that begins with it is compressed; no JSON text does.
_ZSTD = b"\x28\xb5\x2f\xfd"
# Below, compressing costs more processor time than writing the pages does (measured at 8 KiB).
_COMPRESS_FROM = 16 * 1024


def insert_new(tx: Tx, new: Sequence[NewDelivery]) -> dict[tuple[str, str], DeliveryId]:
    """Store those that are not there yet; the ids of the rows that were made, by (hook id, GUID)."""
    distinct = list({(one.hook_id, one.guid): one for one in reversed(new)}.values())[::-1]
    if tx.dialect.name == "sqlite":
        return _insert_into_sqlite(tx, distinct)
    query = postgresql.insert(deliveries).on_conflict_do_nothing(index_elements=["hook_id", "guid"])
    returned = query.returning(deliveries.c.hook_id, deliveries.c.guid, deliveries.c.id)
    rows = [dict(zip(_NEW, _values(one), strict=True)) for one in distinct]
    return {(row[0], row[1]): DeliveryId(row[2]) for row in tx.execute(returned, rows)}


def ids_of(tx: Tx, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], DeliveryId]:
    """The ids of stored deliveries, by (hook id, GUID)."""
    columns = (deliveries.c.hook_id, deliveries.c.guid)
    found: dict[tuple[str, str], DeliveryId] = {}
    for some in _portions(sorted(keys), _ROWS_A_STATEMENT):
        query = sa.select(*columns, deliveries.c.id).where(sa.tuple_(*columns).in_(some))
        found |= {(row[0], row[1]): DeliveryId(row[2]) for row in tx.execute(query)}
    return found


def get(tx: Tx, delivery: DeliveryId) -> Delivery | None:
    """One delivery by its id."""
    row = tx.execute(sa.select(*_FIELDS).where(deliveries.c.id == delivery)).mappings().one_or_none()
    return _delivery(row) if row else None


def by_guid(tx: Tx, guid: str) -> list[Delivery]:
    """Deliveries of a GUID: one per webhook that it came through."""
    query = sa.select(*_FIELDS).where(deliveries.c.guid == guid).order_by(deliveries.c.id)
    return [_delivery(row) for row in tx.execute(query).mappings()]


def known_guids(tx: Tx, guids: Sequence[str]) -> set[str]:
    """Those of some GUIDs that are stored, through whatever webhook."""
    known: set[str] = set()
    for start in range(0, len(guids), 500):
        some = deliveries.c.guid.in_(guids[start : start + 500])
        known.update(tx.scalars(sa.select(deliveries.c.guid).where(some)))
    return known


def undecided(
    tx: Tx, now: datetime, limit: int, *, received_before: datetime | None = None
) -> list[DeliveryId]:
    """Deliveries that wait for a decision and whose next attempt is due, oldest first."""
    due = is_due(deliveries.c.retry_at, now)
    query = sa.select(deliveries.c.id).where(deliveries.c.state == RECEIVED, due)
    if received_before is not None:
        # One from the future came before the clock was set back.
        waited = sa.or_(deliveries.c.received_at < received_before, deliveries.c.received_at > now)
        query = query.where(waited)
    return [DeliveryId(found) for found in tx.scalars(query.order_by(deliveries.c.id).limit(limit))]


def mark_decided(tx: Tx, delivery: DeliveryId, now: datetime) -> bool:
    """Mark a delivery as decided; False when another process was first."""
    where = (deliveries.c.id == delivery, deliveries.c.state == RECEIVED)
    changed = tx.execute(deliveries.update().where(*where).values(state=DECIDED, decided_at=now, note=""))
    return changed.rowcount == 1


def put_off(tx: Tx, delivery: DeliveryId, note: str, retry_at: datetime | None) -> None:
    """Remember a failed attempt, and when to try again; never again when that is None."""
    changes = {
        "attempts": deliveries.c.attempts + 1,
        "note": note,
        "retry_at": retry_at,
        "state": RECEIVED if retry_at else FAILED,
    }
    tx.execute(deliveries.update().where(deliveries.c.id == delivery).values(changes))


def take_up(tx: Tx, delivery: DeliveryId) -> bool:
    """Let a delivery that was given up, or whose next attempt is far, be decided about at once."""
    waits = sa.or_(deliveries.c.state == FAILED, deliveries.c.retry_at.is_not(None))
    where = (deliveries.c.id == delivery, deliveries.c.state != DECIDED, waits)
    changes = {"state": RECEIVED, "attempts": 0, "retry_at": None}
    return tx.execute(deliveries.update().where(*where).values(changes)).rowcount == 1


def add_decision(tx: Tx, decision: StoredDecision) -> None:
    """Store one decision."""
    tx.execute(decisions.insert().values({f.name: getattr(decision, f.name) for f in fields(decision)}))


def decisions_of(tx: Tx, delivery: DeliveryId) -> list[StoredDecision]:
    """Decisions about a delivery, in order."""
    columns = [decisions.c[field.name] for field in fields(StoredDecision)]
    query = sa.select(*columns).where(decisions.c.delivery_id == delivery).order_by(decisions.c.id)
    rows = tx.execute(query).mappings()
    return [StoredDecision(**{str(name): value for name, value in row.items()}) for row in rows]


def _insert_into_sqlite(tx: Tx, new: Sequence[NewDelivery]) -> dict[tuple[str, str], DeliveryId]:
    """Insert many rows with ids of our own choice in few statements.

    The driver gives up the interpreter's lock in every step of a statement and may wait long to get it
    back beside a busy event loop, so a statement or a returned row for each delivery would cost most.
    The transaction has the write lock: nobody else chooses the same ids.
    """
    last = tx.exec_driver_sql("SELECT coalesce(max(id), 0) FROM deliveries").scalar_one()
    chosen = {(one.hook_id, one.guid): DeliveryId(last + place) for place, one in enumerate(new, 1)}
    made = 0
    for some in _portions(new, _ROWS_A_STATEMENT):
        values = [value for one in some for value in (chosen[one.hook_id, one.guid], *_values(one, raw=True))]
        made += tx.exec_driver_sql(_insert_statement(len(some)), tuple(values)).rowcount
    if made == len(new):
        return chosen
    stored = ids_of(tx, chosen)
    return {key: chosen[key] for key in chosen if stored.get(key) == chosen[key]}


def _insert_statement(rows: int) -> str:
    row = "(" + ", ".join("?" * (len(_NEW) + 1)) + ")"
    conflict = "ON CONFLICT (hook_id, guid) DO NOTHING"
    return f"INSERT INTO deliveries (id, {', '.join(_NEW)}) VALUES {', '.join([row] * rows)} {conflict}"  # noqa: S608


def _values(new: NewDelivery, *, raw: bool = False) -> list[Any]:
    at = moment_to_number(new.received_at) if raw else new.received_at
    body = new.body if len(new.body) < _COMPRESS_FROM else zstandard.compress(new.body, 1)
    return [new.hook_id, new.guid, new.event, body, at, new.source, new.verified_app_id]


def _delivery(row: RowMapping) -> Delivery:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["body"] = body_of(values["body"])
    return Delivery(**values)


def body_of(stored: bytes) -> bytes:
    """A body as it was received."""
    return zstandard.decompress(stored) if stored.startswith(_ZSTD) else stored


def _portions(things: Iterable[T], size: int) -> Generator[tuple[T, ...]]:
    rest = iter(things)
    while portion := tuple(islice(rest, size)):
        yield portion
