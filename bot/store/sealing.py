"""Everything in the store that is sealed, whatever it is for: to seal it anew with another key."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bot.store.columns import SEALED, metadata
from bot.store.engine import Engine, Tx, reading, writing
from bot.store.schema import singletons

BATCH = 100
"""Rows in one transaction, so that no delivery waits for it."""
Reseal = Callable[[bytes], bytes | None]
"""What is sealed, sealed anew; None when it stays as it is."""


@dataclass(frozen=True)
class Sealed:
    """Where something sealed is, and how many of it there are."""

    place: str
    seen: int
    changed: int


def reseal(engine: Engine, anew: Reseal) -> Iterator[Sealed]:
    """Seal everything anew, column by column; it can be begun again at any time."""
    for table in metadata.sorted_tables:
        for column in table.columns:
            if column.info.get(SEALED):
                yield _column(engine, column, anew)
    yield _facts(engine, anew)


def _column(engine: Engine, column: sa.Column[Any], anew: Reseal) -> Sealed:
    seen = changed = 0
    last = 0
    while True:
        with writing(engine) as tx:
            rows = _next(tx, column, last)
            for number, sealed in rows:
                fresh = anew(sealed)
                if fresh is not None:
                    where = column.table.c.id == number
                    tx.execute(column.table.update().where(where).values({column.name: fresh}))
                    changed += 1
        seen += len(rows)
        if len(rows) < BATCH:
            return Sealed(f"{column.table.name}.{column.name}", seen, changed)
        last = rows[-1][0]


def _next(tx: Tx, column: sa.Column[Any], last: int) -> list[tuple[int, bytes]]:
    key = column.table.c.id
    query = sa.select(key, column).where(key > last, column.is_not(None)).order_by(key).limit(BATCH)
    return [(row[0], row[1]) for row in tx.execute(query)]


def _facts(engine: Engine, anew: Reseal) -> Sealed:
    """Facts of singletons are sealed under the name `sealed`, as text."""
    seen = changed = 0
    with reading(engine) as tx:
        names = list(tx.scalars(sa.select(singletons.c.name)))
    for name in names:
        mine = singletons.c.name == name
        with writing(engine) as tx:
            facts: dict[str, Any] = tx.scalar(sa.select(singletons.c.facts).where(mine)) or {}
            sealed = facts.get("sealed")
            if not isinstance(sealed, str):
                continue
            seen += 1
            fresh = anew(sealed.encode())
            if fresh is not None:
                values = {"facts": {**facts, "sealed": fresh.decode()}}
                tx.execute(singletons.update().where(mine).values(values))
                changed += 1
    return Sealed("singletons.facts", seen, changed)
