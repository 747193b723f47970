"""Webhook deliveries and what was decided about them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping
from sqlalchemy.dialects import postgresql, sqlite

from bot.domain.ids import AppId, DeliveryId
from bot.store.engine import Tx
from bot.store.schema import decisions, deliveries

RECEIVED, DECIDED, FAILED = "received", "decided", "failed"


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


def insert_new(tx: Tx, new: Sequence[NewDelivery]) -> dict[tuple[str, str], DeliveryId]:
    """Store those that are not there yet; the ids of the rows that were made, by (hook id, GUID)."""
    insert = postgresql.insert if tx.dialect.name == "postgresql" else sqlite.insert
    rows = [{field.name: getattr(one, field.name) for field in fields(NewDelivery)} for one in new]
    query = insert(deliveries).on_conflict_do_nothing(index_elements=["hook_id", "guid"])
    returned = query.returning(deliveries.c.hook_id, deliveries.c.guid, deliveries.c.id)
    return {(row[0], row[1]): DeliveryId(row[2]) for row in tx.execute(returned, rows)}


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


def by_key(tx: Tx, hook_id: str, guid: str) -> Delivery | None:
    """The delivery with that GUID through that webhook."""
    query = sa.select(*_FIELDS).where(deliveries.c.hook_id == hook_id, deliveries.c.guid == guid)
    row = tx.execute(query).mappings().one_or_none()
    return _delivery(row) if row else None


def undecided(
    tx: Tx, now: datetime, limit: int, *, received_before: datetime | None = None
) -> list[DeliveryId]:
    """Deliveries that wait for a decision and whose next attempt is due, oldest first."""
    due = sa.or_(deliveries.c.retry_at.is_(None), deliveries.c.retry_at <= now)
    query = sa.select(deliveries.c.id).where(deliveries.c.state == RECEIVED, due)
    if received_before is not None:
        query = query.where(deliveries.c.received_at < received_before)
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


def add_decision(tx: Tx, decision: StoredDecision) -> None:
    """Store one decision."""
    tx.execute(decisions.insert().values({f.name: getattr(decision, f.name) for f in fields(decision)}))


def decisions_of(tx: Tx, delivery: DeliveryId) -> list[StoredDecision]:
    """Decisions about a delivery, in order."""
    columns = [decisions.c[field.name] for field in fields(StoredDecision)]
    query = sa.select(*columns).where(decisions.c.delivery_id == delivery).order_by(decisions.c.id)
    rows = tx.execute(query).mappings()
    return [StoredDecision(**{str(name): value for name, value in row.items()}) for row in rows]


def _delivery(row: RowMapping) -> Delivery:
    return Delivery(**{str(name): value for name, value in row.items()})
