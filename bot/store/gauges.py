"""How much there is and how much waits, by queries whose cost does not grow with the store."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from bot.domain.deployment import State
from bot.domain.outgoing import MessageState
from bot.store.deliveries import RECEIVED
from bot.store.engine import Tx
from bot.store.outgoing_schema import messages
from bot.store.schema import apps, deliveries, deployments, environments

_LATELY = timedelta(hours=1)
_NEWEST = 2000
"""How many of the newest deployments are looked through for those that ended lately."""
_UNFINISHED = [state for state in State if not state.is_final]


@dataclass(frozen=True)
class Lately:
    """Deployments that ended within the last hour, by state, and how long those took that succeeded."""

    ended: dict[State, int]
    seconds: Sequence[float]


@dataclass(frozen=True)
class Gauges:
    """What is there at one moment. `received` and `asked` only ever grow: numbers of what came last."""

    apps: int
    live: int
    received: int
    asked: int
    unfinished: dict[State, int]
    oldest_queued: datetime | None
    undecided: int
    unannounced: int
    unsent: int
    lately: Lately


def look(tx: Tx, now: datetime) -> Gauges:
    """Count what there is."""
    return Gauges(
        apps=_count(tx, apps, apps.c.archived_at.is_(None)),
        live=_count(
            tx,
            environments,
            environments.c.active_release_id.is_not(None),
            environments.c.archived_at.is_(None),
        ),
        received=tx.scalar(sa.select(sa.func.max(deliveries.c.id))) or 0,
        asked=tx.scalar(sa.select(sa.func.max(deployments.c.id))) or 0,
        unfinished=_unfinished(tx),
        oldest_queued=tx.scalar(
            sa.select(sa.func.min(deployments.c.created_at)).where(deployments.c.state == State.QUEUED)
        ),
        undecided=_count(tx, deliveries, deliveries.c.state == RECEIVED),
        unannounced=_count(tx, deployments, deployments.c.announced < deployments.c.version),
        unsent=_count(tx, messages, messages.c.state == MessageState.WAITING),
        lately=_lately(tx, now),
    )


def _count(tx: Tx, table: sa.Table, *where: sa.ColumnElement[bool]) -> int:
    return tx.scalar(sa.select(sa.func.count()).select_from(table).where(*where)) or 0


def _unfinished(tx: Tx) -> dict[State, int]:
    query = (
        sa.select(deployments.c.state, sa.func.count())
        .where(deployments.c.state.in_(_UNFINISHED))
        .group_by(deployments.c.state)
    )
    found = {State(row[0]): int(row[1]) for row in tx.execute(query)}
    return {state: found.get(state, 0) for state in _UNFINISHED}


def _lately(tx: Tx, now: datetime) -> Lately:
    newest = sa.select(sa.func.max(deployments.c.id) - _NEWEST).scalar_subquery()
    query = sa.select(deployments.c.state, deployments.c.started_at, deployments.c.finished_at).where(
        deployments.c.id > newest, deployments.c.finished_at > now - _LATELY
    )
    ended = {state: 0 for state in State if state.is_final}
    seconds: list[float] = []
    for state, started, finished in tx.execute(query):
        ended[State(state)] += 1
        if state == State.SUCCEEDED and started is not None:
            seconds.append((finished - started).total_seconds())
    return Lately(ended, sorted(seconds))
