"""Leases by name for what only one process may do, and small facts that outlive processes."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from bot.store.engine import Tx
from bot.store.schema import singletons

MAX_LEAD = timedelta(minutes=20)
"""Longest time for which a lead is taken."""


def _is_unknown(_holder: str) -> bool:
    return False


def lead(
    tx: Tx,
    name: str,
    holder: str,
    *,
    now: datetime,
    until: datetime,
    is_gone: Callable[[str], bool] = _is_unknown,
) -> bool:
    """Take or keep the lead in something; False while the lease of another holder runs that is not gone."""
    row = tx.execute(
        sa.select(singletons.c.holder, singletons.c.until).where(singletons.c.name == name)
    ).one_or_none()
    if row is None:
        tx.execute(singletons.insert().values(name=name, holder=holder, until=until, facts={}))
        return True
    # An end further away than any lead is long is one of before the clock was set back.
    others = row.holder != holder and row.until is not None and now < row.until <= now + MAX_LEAD
    if others and not is_gone(row.holder):
        return False
    tx.execute(singletons.update().where(singletons.c.name == name).values(holder=holder, until=until))
    return True


def give_up(tx: Tx, name: str, holder: str) -> None:
    """Let another take the lead at once, whatever its clock says; nothing when it is another's already."""
    mine = (singletons.c.name == name, singletons.c.holder == holder)
    tx.execute(singletons.update().where(*mine).values(holder="", until=None))


def facts(tx: Tx, name: str) -> dict[str, Any]:
    """The facts kept under a name; empty when there are none."""
    return tx.scalar(sa.select(singletons.c.facts).where(singletons.c.name == name)) or {}


def keep_facts(tx: Tx, name: str, value: dict[str, Any]) -> None:
    """Replace the facts kept under a name."""
    changed = tx.execute(singletons.update().where(singletons.c.name == name).values(facts=value))
    if changed.rowcount == 0:
        tx.execute(singletons.insert().values(name=name, facts=value))
