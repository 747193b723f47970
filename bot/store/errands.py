"""Errands in the store: who asks writes one down, the worker does it, and both read what came of it."""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.errand import Errand, ErrandKind, ErrandState
from bot.domain.ids import ErrandId
from bot.store.engine import Tx
from bot.store.schema import errands

_FIELDS = [errands.c[field.name] for field in fields(Errand)]


def ask(
    tx: Tx, kind: ErrandKind, subject: Mapping[str, Any], now: datetime, *, sealed: bytes | None = None
) -> ErrandId:
    """Write an errand down."""
    values = {"kind": kind, "subject": dict(subject), "sealed": sealed, "result": {}, "created_at": now}
    return ErrandId(tx.execute(errands.insert().values(values).returning(errands.c.id)).scalar_one())


def get(tx: Tx, errand: ErrandId) -> Errand | None:
    """One errand by its id."""
    row = tx.execute(sa.select(*_FIELDS).where(errands.c.id == errand)).mappings().one_or_none()
    return _errand(row) if row else None


def newest(tx: Tx, kind: ErrandKind, state: ErrandState | None = None) -> Errand | None:
    """The errand of a kind that was asked for last, in a state where one is named."""
    query = sa.select(*_FIELDS).where(errands.c.kind == kind)
    if state is not None:
        query = query.where(errands.c.state == state)
    row = tx.execute(query.order_by(errands.c.id.desc()).limit(1)).mappings().one_or_none()
    return _errand(row) if row else None


def take(tx: Tx, errand: ErrandId, *, now: datetime, until: datetime) -> Errand | None:
    """Take an errand on until a moment; None when it is over, or somebody else is at it."""
    free = sa.or_(errands.c.until.is_(None), errands.c.until <= now)
    where = (errands.c.id == errand, errands.c.state == ErrandState.ASKED, free)
    taken = tx.execute(errands.update().where(*where).values(until=until))
    return get(tx, errand) if taken.rowcount == 1 else None


def finish(
    tx: Tx,
    errand: ErrandId,
    state: ErrandState,
    now: datetime,
    *,
    result: Mapping[str, Any] | None = None,
    note: str = "",
) -> None:
    """Keep what came of an errand; its sealed part is forgotten. What is over stays as it is."""
    values = {"state": state, "result": dict(result or {}), "note": note, "sealed": None, "finished_at": now}
    where = (errands.c.id == errand, errands.c.state == ErrandState.ASKED)
    tx.execute(errands.update().where(*where).values(values))


def forgotten(tx: Tx, now: datetime, before: datetime) -> list[ErrandId]:
    """Errands asked for before a moment that nobody is at."""
    free = sa.or_(errands.c.until.is_(None), errands.c.until <= now)
    where = (errands.c.state == ErrandState.ASKED, errands.c.created_at < before, free)
    return [ErrandId(one) for one in tx.scalars(sa.select(errands.c.id).where(*where).limit(20))]


def drop_old(tx: Tx, before: datetime) -> None:
    """Forget errands asked for before a moment, but for the newest of each kind."""
    kept = sa.select(sa.func.max(errands.c.id)).where(errands.c.state == ErrandState.DONE)
    old = (errands.c.created_at < before, errands.c.id.not_in(kept.group_by(errands.c.kind)))
    tx.execute(errands.delete().where(*old))


def _errand(row: RowMapping) -> Errand:
    values = {str(name): value for name, value in row.items()}
    kind, state = ErrandKind(values.pop("kind")), ErrandState(values.pop("state"))
    return Errand(kind=kind, state=state, **values)
