"""Kinds of columns. A moment is stored as microseconds since 1970 so that both databases compare it alike."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Conventional names, so that a migration can name each constraint on both databases.
metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
SEALED = "sealed"
"""The mark of columns whose values are sealed by the vault."""
# SQLite numbers rows by itself only in a column that is INTEGER to the letter.
Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def partial_index(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    """An index of the rows that meet a condition."""
    return sa.Index(name, *columns, unique=unique, sqlite_where=sa.text(where), info={"where": where})


def complete_for_postgresql(whole: sa.MetaData) -> None:
    """Say the conditions of partial indexes to PostgreSQL, too.

    For migrations alone: whoever says it loads the dialect, 2 MB and 50 ms of each process's start.
    """
    for index in (index for table in whole.tables.values() for index in table.indexes):
        if "where" in index.info:
            index.dialect_options["postgresql"]["where"] = sa.text(index.info["where"])


def moment_to_number(moment: datetime) -> int:
    """An aware datetime as it is stored: microseconds since 1970."""
    since = moment - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _moment_of(number: int | None) -> datetime | None:
    return None if number is None else _EPOCH + timedelta(microseconds=number)


class Moment(TypeDecorator[datetime]):
    """An aware datetime in UTC, stored as microseconds since 1970."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Turn a datetime into what is stored."""
        return None if value is None else moment_to_number(value)

    def result_processor(self, dialect: Dialect, coltype: Any) -> Callable[[Any], Any]:  # noqa: ARG002 # pyright: ignore[reportIncompatibleMethodOverride]
        """What turns what is stored into a datetime; without steps in between, since lists have many."""
        return _moment_of


def key() -> sa.Column[int]:
    """A row's number, given by the database."""
    return sa.Column("id", Id, primary_key=True, autoincrement=True)


def to(table: str, *, nullable: bool = False, index: bool = False) -> sa.Column[int]:
    """A reference to another table."""
    name = {"deliveries": "delivery_id"}.get(table, f"{table.removesuffix('s')}_id")
    return sa.Column(name, Id, sa.ForeignKey(f"{table}.id"), nullable=nullable, index=index)


def text(name: str, *, default: str | None = None, nullable: bool = False) -> sa.Column[str]:
    """A text; empty by default only where that is said."""
    return sa.Column(name, sa.Text, nullable=nullable, server_default=default)


def number(name: str, default: int = 0) -> sa.Column[int]:
    """A whole number."""
    return sa.Column(name, sa.BigInteger, nullable=False, server_default=str(default))


def flag(name: str) -> sa.Column[bool]:
    """Yes or no, at first no."""
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def moment(name: str, *, nullable: bool = True) -> sa.Column[datetime]:
    """A point in time."""
    return sa.Column(name, Moment, nullable=nullable)


def sealed(name: str, *, nullable: bool = False) -> sa.Column[bytes]:
    """Something sealed by the vault; marked, so that all of them can be sealed anew with another key."""
    return sa.Column(name, sa.LargeBinary, nullable=nullable, info={SEALED: True})
