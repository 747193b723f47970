"""Windows in which nothing is deployed, in the store."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.freeze import Freeze
from bot.domain.ids import EnvironmentId, FreezeId
from bot.store.chore_schema import freezes
from bot.store.engine import Tx

_FIELDS = [freezes.c[field.name] for field in fields(Freeze)]


@dataclass(frozen=True)
class NewFreeze:
    """What is needed to store a window."""

    environment_id: EnvironmentId
    reason: str
    created_by: str
    starts_at: datetime
    ends_at: datetime


def insert(tx: Tx, new: NewFreeze, now: datetime) -> Freeze:
    """Store a window."""
    values = {field.name: getattr(new, field.name) for field in fields(new)}
    made = freezes.insert().values(**values, created_at=now).returning(*_FIELDS)
    return _freeze(tx.execute(made).mappings().one())


def of_environment(tx: Tx, environment: EnvironmentId) -> list[Freeze]:
    """The windows of an environment that have not ended, by their begin."""
    query = sa.select(*_FIELDS).where(freezes.c.environment_id == environment)
    rows = tx.execute(query.order_by(freezes.c.starts_at, freezes.c.id)).mappings()
    return [_freeze(row) for row in rows]


def due(tx: Tx, now: datetime) -> list[Freeze]:
    """Windows that should begin by now and have not, those that end last first."""
    where = (freezes.c.begun_at.is_(None), freezes.c.starts_at <= now)
    query = sa.select(*_FIELDS).where(*where).order_by(freezes.c.ends_at.desc())
    return [_freeze(row) for row in tx.execute(query).mappings()]


def begin(tx: Tx, one: FreezeId, now: datetime) -> None:
    """Remember that a window has begun."""
    tx.execute(freezes.update().where(freezes.c.id == one).values(begun_at=now))


def remove(tx: Tx, one: FreezeId) -> None:
    """Take a window away."""
    tx.execute(freezes.delete().where(freezes.c.id == one))


def remove_ended(tx: Tx, now: datetime) -> int:
    """Take away the windows that have ended; how many."""
    return tx.execute(freezes.delete().where(freezes.c.ends_at <= now)).rowcount


def _freeze(row: RowMapping) -> Freeze:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    return Freeze(**values)
