"""What the store forgets by age, a small part at a time: a delivery never waits long to be stored.

Each function that forgets does at most `ROWS` rows in the transaction that it is given and says what it
did; the caller asks again until nothing is left.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from bot.domain.deployment import State
from bot.domain.ids import AppId, DeploymentId, EnvironmentId, Sha
from bot.store import singletons
from bot.store.deliveries import RECEIVED
from bot.store.engine import Tx
from bot.store.schema import (
    announcements,
    audit,
    commands,
    decisions,
    deliveries,
    deployment_events,
    deployment_steps,
    deployments,
    environments,
    releases,
)

ROWS = 200
BYTES = 16 * 1024 * 1024
"""Most bytes of bodies that one transaction gives up."""
SPARED = 100
"""The newest deployments of an environment stay whatever their age: the branch's head is among them."""
_FACTS = "retention"
_FINAL = [state for state in State if state.is_final]
_SIZE = sa.func.length(deliveries.c.body)


@dataclass(frozen=True)
class Rows:
    """So many rows, and the bytes of their bodies."""

    count: int
    size: int = 0


def held_deliveries(tx: Tx) -> Rows:
    """All deliveries."""
    row = tx.execute(sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_SIZE), 0))).one()
    return Rows(row[0], row[1])


def old_bodies(tx: Tx, before: datetime) -> Rows:
    """Bodies that may be forgotten."""
    where = (deliveries.c.id > _bodies_done(tx), deliveries.c.id < _end(tx, before))
    query = sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(_SIZE), 0)).where(*where)
    row = tx.execute(query).one()
    return Rows(row[0], row[1])


def forget_deliveries(tx: Tx, before: datetime) -> Rows:
    """Delete deliveries and their decisions, oldest first.

    One that nobody decided about yet stays, with all behind it; so does the newest, whose number must
    not be given twice.
    """
    gone, size = _portion(tx, 0, _end(tx, before))
    if gone:
        made = deployments.c.delivery_id.in_(gone)
        tx.execute(deployments.update().where(made).values(delivery_id=None))
        for table in (decisions, commands):
            tx.execute(table.delete().where(table.c.delivery_id.in_(gone)))
        tx.execute(deliveries.delete().where(deliveries.c.id.in_(gone)))
    return Rows(len(gone), size)


def forget_bodies(tx: Tx, before: datetime) -> Rows:
    """Empty the bodies of deliveries, oldest first; what was decided about them stays."""
    gone, size = _portion(tx, _bodies_done(tx), _end(tx, before))
    if gone:
        tx.execute(deliveries.update().where(deliveries.c.id.in_(gone)).values(body=b""))
        singletons.keep_facts(tx, _FACTS, {"bodies": gone[-1]})
    return Rows(len(gone), size)


def _bodies_done(tx: Tx) -> int:
    return int(singletons.facts(tx, _FACTS).get("bodies", 0))


def _portion(tx: Tx, after: int, end: int) -> tuple[list[int], int]:
    query = sa.select(deliveries.c.id, _SIZE).where(deliveries.c.id > after, deliveries.c.id < end)
    chosen: list[int] = []
    total = 0
    for number, size in tx.execute(query.order_by(deliveries.c.id).limit(ROWS)):
        if chosen and total + size > BYTES:
            break
        chosen.append(number)
        total += size
    return chosen, total


def _end(tx: Tx, before: datetime) -> int:
    """The first delivery that must stay: not that old, or undecided, or the newest.

    Found by halving, since numbers grow with time and reading all rows would take longer every day.
    """
    least, newest = tx.execute(sa.select(sa.func.min(deliveries.c.id), sa.func.max(deliveries.c.id))).one()
    if least is None:
        return 0
    waiting = tx.scalar(sa.select(sa.func.min(deliveries.c.id)).where(deliveries.c.state == RECEIVED))
    low, high = least, newest if waiting is None else min(newest, waiting)
    while low < high:
        middle = (low + high) // 2
        query = sa.select(deliveries.c.id, deliveries.c.received_at).where(deliveries.c.id >= middle)
        found = tx.execute(query.order_by(deliveries.c.id).limit(1)).one()
        if found.received_at < before:
            low = min(found.id + 1, high)
        else:
            high = middle
    return low


def held_audit(tx: Tx) -> int:
    """How many rows the audit log has."""
    return tx.scalar(sa.select(sa.func.count()).select_from(audit)) or 0


def held_deployments(tx: Tx) -> int:
    """How many deployments are remembered."""
    return tx.scalar(sa.select(sa.func.count()).select_from(deployments)) or 0


def old_deployments(tx: Tx, before: datetime) -> int:
    """How many deployments may be forgotten."""
    return sum(
        tx.scalar(sa.select(sa.func.count()).select_from(_forgettable(tx, one, before).subquery())) or 0
        for one in environment_ids(tx)
    )


def environment_ids(tx: Tx) -> list[EnvironmentId]:
    """Every environment."""
    return [EnvironmentId(found) for found in tx.scalars(sa.select(environments.c.id))]


def forget_deployments(tx: Tx, environment: EnvironmentId, before: datetime) -> int:
    """Delete an environment's old deployments with their events, steps and releases, oldest first.

    Those stay that are not final, the newest `SPARED`, the live one, and those whose release is kept
    or is what another deployment showed.
    """
    gone = list(tx.scalars(_forgettable(tx, environment, before).limit(ROWS)))
    if gone:
        for table in (deployment_steps, deployment_events, announcements):
            tx.execute(table.delete().where(table.c.deployment_id.in_(gone)))
        tx.execute(releases.delete().where(releases.c.deployment_id.in_(gone)))
        tx.execute(deployments.delete().where(deployments.c.id.in_(gone)))
    return len(gone)


def _forgettable(tx: Tx, environment: EnvironmentId, before: datetime) -> sa.Select[tuple[int]]:
    here = deployments.c.environment_id == environment
    newest = sa.select(deployments.c.id).where(here).order_by(deployments.c.id.desc())
    end = tx.scalar(newest.offset(SPARED - 1).limit(1)) or 0
    live = sa.select(environments.c.active_deployment_id).where(
        environments.c.active_deployment_id.is_not(None)
    )
    others = deployments.alias()
    shown_by_another = sa.exists().where(
        others.c.release_id == releases.c.id, others.c.id != deployments.c.id
    )
    needed = sa.exists().where(
        releases.c.deployment_id == deployments.c.id,
        sa.or_(releases.c.expired_at.is_(None), shown_by_another.correlate(releases, deployments)),
    )
    return (
        sa.select(deployments.c.id)
        .where(here, deployments.c.id < end, deployments.c.created_at < before)
        .where(deployments.c.state.in_(_FINAL), deployments.c.id.not_in(live))
        .where(~needed.correlate(deployments))
        .order_by(deployments.c.id)
    )


def forgotten_of(tx: Tx, some: Sequence[DeploymentId]) -> set[DeploymentId]:
    """Those of some deployments that are not remembered any more."""
    known: set[int] = set()
    for start in range(0, len(some), 500):
        among = deployments.c.id.in_(some[start : start + 500])
        known.update(tx.scalars(sa.select(deployments.c.id).where(among)))
    return set(some) - {DeploymentId(one) for one in known}


def recent_commits(tx: Tx, app_ids: Collection[AppId], newest: int) -> set[Sha]:
    """Commits of the newest deployments of each environment, of unfinished ones, and of kept releases."""
    wanted: set[Sha] = set()
    for app in app_ids:
        kept = sa.select(releases.c.sha).where(releases.c.app_id == app, releases.c.expired_at.is_(None))
        mine = sa.select(deployments.c.sha).where(deployments.c.app_id == app)
        unfinished = mine.where(deployments.c.state.not_in(_FINAL))
        wanted.update(Sha(one) for query in (kept, unfinished) for one in tx.scalars(query))
        for place in tx.scalars(sa.select(environments.c.id).where(environments.c.app_id == app)):
            there = sa.select(deployments.c.sha).where(deployments.c.environment_id == place)
            query = there.order_by(deployments.c.id.desc()).limit(newest)
            wanted.update(Sha(one) for one in tx.scalars(query))
    return wanted
