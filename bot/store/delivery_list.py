"""Deliveries as lists show them: without their bodies, with what was decided."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import DeliveryId
from bot.store.deliveries import GITHUB, body_of
from bot.store.engine import Tx
from bot.store.schema import apps, decisions, deliveries

_MAX_BODY = 1024 * 1024
"""Stored bytes of a body from which a repository's name is still read."""


@dataclass(frozen=True)
class Said:
    """What was decided for an app, or for none."""

    app: str | None
    kind: str
    code: str
    sentence: str


@dataclass(frozen=True)
class Row:
    """A delivery in a list. `repository` is empty when it tells none. `is_ours`: not GitHub's own."""

    id: DeliveryId
    guid: str
    event: str
    action: str
    source: str
    state: str
    note: str
    attempts: int
    received_at: datetime
    repository: str
    decisions: tuple[Said, ...]

    @property
    def is_ours(self) -> bool:
        """Whether Slipway made it, since GitHub's was missing or can't come."""
        return self.source != GITHUB


class _Repository(msgspec.Struct):
    full_name: Any = None


class _Body(msgspec.Struct):
    repository: _Repository | None = None
    action: Any = None


def page(tx: Tx, *, state: str = "", before: int | None = None, limit: int = 50) -> list[Row]:
    """Deliveries, newest first: those in a state where one is named, those before an id."""
    small = sa.case((sa.func.length(deliveries.c.body) <= _MAX_BODY, deliveries.c.body), else_=None)
    names = ("id", "guid", "event", "source", "state", "note", "attempts", "received_at")
    query = sa.select(*(deliveries.c[name] for name in names), small.label("body"))
    if state:
        query = query.where(deliveries.c.state == state)
    if before is not None:
        query = query.where(deliveries.c.id < before)
    found = tx.execute(query.order_by(deliveries.c.id.desc()).limit(limit)).mappings().all()
    said = _decisions(tx, [row["id"] for row in found])
    return [
        Row(**_columns(row, names), **_told(row["body"]), decisions=tuple(said.get(row["id"], ())))
        for row in found
    ]


def counts(tx: Tx) -> dict[str, int]:
    """How many deliveries there are in each state."""
    query = sa.select(deliveries.c.state, sa.func.count()).group_by(deliveries.c.state)
    return {row[0]: row[1] for row in tx.execute(query)}


def _decisions(tx: Tx, ids: list[int]) -> dict[int, list[Said]]:
    columns = (decisions.c.delivery_id, apps.c.slug, decisions.c.kind, decisions.c.code, decisions.c.sentence)
    joined = decisions.outerjoin(apps, apps.c.id == decisions.c.app_id)
    query = sa.select(*columns).select_from(joined).where(decisions.c.delivery_id.in_(ids))
    found: dict[int, list[Said]] = {}
    for delivery, *rest in tx.execute(query.order_by(decisions.c.id)):
        found.setdefault(delivery, []).append(Said(*rest))
    return found


def _columns(row: RowMapping, names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _told(stored: bytes | None) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(body_of(stored or b"{}"), type=_Body)
    except (msgspec.DecodeError, RecursionError):
        return {"repository": "", "action": ""}
    name = body.repository.full_name if body.repository else None
    return {
        "repository": name if isinstance(name, str) else "",
        "action": body.action if isinstance(body.action, str) else "",
    }
