"""What others are yet to be told, and what was told: written in the transaction of what it tells of."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import TenantId
from bot.domain.outgoing import RETRIES, Answer, Event, Message, MessageState, Receiver, rest_after
from bot.store import receivers as known
from bot.store.due import is_due
from bot.store.engine import Tx
from bot.store.outgoing_schema import message_attempts, messages, receivers
from bot.store.pages import COUNTED, Found, Slice

HOLD = timedelta(minutes=2)
"""How long one attempt may take before another process may send to the same receiver."""
MAX_WAITING = 1000
"""Messages that wait for one receiver; beyond, the oldest are given up."""
_FIELDS = [messages.c[field.name] for field in fields(Message)]
_WAITING = messages.c.state == MessageState.WAITING


@dataclass(frozen=True)
class Attempt:
    """One attempt at a message."""

    at: datetime
    ok: bool
    status: int | None
    milliseconds: int
    note: str
    answer: str


def put(tx: Tx, to: Sequence[Receiver], event: Event, facts: Mapping[str, Any], *, now: datetime) -> int:
    """Write a message for each of some receivers that chose the event; the newest number, or 0."""
    newest = 0
    for one in to:
        if one.wants(event):
            values = {"receiver_id": one.id, "uid": f"msg_{secrets.token_hex(12)}", "event": event}
            values |= {"facts": dict(facts), "state": MessageState.WAITING, "created_at": now}
            newest = tx.execute(messages.insert().values(values).returning(messages.c.id)).scalar_one()
    return newest


def is_ready(tx: Tx, now: datetime) -> bool:
    """Whether anything can be sent now."""
    return tx.execute(_ready(now).limit(1)).first() is not None


def take(
    tx: Tx, now: datetime, *, limit: int, busy: Collection[int] = (), full: Collection[TenantId] = ()
) -> list[tuple[Receiver, Message]]:
    """The next message of each of some receivers, those first that waited longest; they are held meanwhile.

    `busy` receivers and those of `full` tenants are left out.
    """
    query = _ready(now).where(receivers.c.id.not_in(busy), receivers.c.tenant_id.not_in(full))
    order = (receivers.c.served_at.asc().nulls_first(), receivers.c.id)
    taken: list[tuple[Receiver, Message]] = []
    for number in tx.scalars(query.order_by(*order).limit(limit)).all():
        hold = {"held_until": now + HOLD, "served_at": now}
        tx.execute(receivers.update().where(receivers.c.id == number).values(hold))
        receiver, message = known.find(tx, number), _next(tx, number, now)
        if receiver is not None and message is not None:
            taken.append((receiver, message))
    return taken


def settle(tx: Tx, receiver: Receiver, message: Message, answer: Answer, *, now: datetime) -> Receiver | None:
    """Keep what came of an attempt, and when the next one is due.

    The receiver as it stands; None when it was deleted meanwhile.
    """
    if (now_there := known.find(tx, receiver.id)) is None:
        return None
    attempts = message.attempts + 1
    _keep(tx, message, answer, now)
    values: dict[str, Any] = {"attempts": attempts}
    if answer.ok:
        values |= {"state": MessageState.DELIVERED, "finished_at": now, "ready_at": None}
    elif attempts > len(RETRIES) or message.event is Event.TEST:
        values |= {"state": MessageState.FAILED, "finished_at": now, "ready_at": None}
    else:
        values["ready_at"] = now + RETRIES[attempts - 1]
    tx.execute(messages.update().where(messages.c.id == message.id, _WAITING).values(values))
    return known.change(tx, receiver.id, {"held_until": None, **_standing(now_there, answer, now)})


def give_up(tx: Tx, receiver: int, now: datetime, *, keep: int = 0) -> int:
    """Fail what waits for a receiver, but for the newest `keep`; how many."""
    mine = sa.select(messages.c.id).where(messages.c.receiver_id == receiver, _WAITING)
    old = mine.order_by(messages.c.id.desc()).offset(keep)
    numbers = tx.scalars(old).all()
    done = {"state": MessageState.FAILED, "finished_at": now, "ready_at": None}
    if numbers:
        tx.execute(messages.update().where(messages.c.id.in_(numbers)).values(done))
    return len(numbers)


def again(tx: Tx, message: int) -> Message | None:
    """Send a message once more, under the same uid; None when it waits already."""
    values = {"state": MessageState.WAITING, "attempts": 0, "ready_at": None, "finished_at": None}
    where = (messages.c.id == message, messages.c.state != MessageState.WAITING)
    changed = tx.execute(messages.update().where(*where).values(values))
    return find(tx, message) if changed.rowcount else None


def find(tx: Tx, message: int) -> Message | None:
    """One message by its number."""
    row = tx.execute(sa.select(*_FIELDS).where(messages.c.id == message)).mappings().one_or_none()
    return _message(row) if row else None


def page(tx: Tx, receiver: int, part: Slice, state: MessageState | None = None) -> Found[Message]:
    """A page of a receiver's messages, newest first."""
    where = [messages.c.receiver_id == receiver]
    if state is not None:
        where.append(messages.c.state == state)
    query = sa.select(*_FIELDS).where(*where).order_by(messages.c.id.desc())
    rows = tx.execute(query.offset(part.offset).limit(part.limit)).mappings()
    some = sa.select(messages.c.id).where(*where).limit(COUNTED).subquery()
    total = tx.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    return Found([_message(row) for row in rows], total)


def attempts_of(tx: Tx, ids: Sequence[int]) -> dict[int, list[Attempt]]:
    """The attempts at some messages, oldest first."""
    columns = [message_attempts.c[field.name] for field in fields(Attempt)]
    query = sa.select(message_attempts.c.message_id, *columns).where(message_attempts.c.message_id.in_(ids))
    found: dict[int, list[Attempt]] = {number: [] for number in ids}
    for row in tx.execute(query.order_by(message_attempts.c.id)):
        found[row.message_id].append(Attempt(**{one.name: getattr(row, one.name) for one in columns}))
    return found


def held(tx: Tx) -> int:
    """How many messages are kept."""
    return tx.scalar(sa.select(sa.func.count()).select_from(messages)) or 0


def forget(tx: Tx, before: datetime, limit: int) -> int:
    """Delete messages of before a moment, at most so many; how many."""
    old = sa.select(messages.c.id).where(messages.c.created_at < before).limit(limit)
    numbers = tx.scalars(old).all()
    if numbers:
        tx.execute(message_attempts.delete().where(message_attempts.c.message_id.in_(numbers)))
        tx.execute(messages.delete().where(messages.c.id.in_(numbers)))
    return len(numbers)


def _ready(now: datetime) -> sa.Select[Any]:
    mine = sa.exists().where(messages.c.receiver_id == receivers.c.id, _WAITING, _due(now))
    free = (is_due(receivers.c.held_until, now), is_due(receivers.c.rest_until, now))
    return sa.select(receivers.c.id).where(receivers.c.enabled, *free, mine)


def _due(now: datetime) -> sa.ColumnElement[bool]:
    # A moment further away than any pause is one of before the clock was set back.
    longest = now + max(RETRIES) + timedelta(minutes=1)
    at = messages.c.ready_at
    return sa.or_(at.is_(None), at <= now, at > longest)


def _next(tx: Tx, receiver: int, now: datetime) -> Message | None:
    query = sa.select(*_FIELDS).where(messages.c.receiver_id == receiver, _WAITING, _due(now))
    row = tx.execute(query.order_by(messages.c.id).limit(1)).mappings().one_or_none()
    return _message(row) if row else None


def _keep(tx: Tx, message: Message, answer: Answer, now: datetime) -> None:
    told = {"ok": answer.ok, "status": answer.status, "milliseconds": answer.milliseconds}
    told |= {"note": answer.note, "answer": answer.text, "message_id": message.id, "at": now}
    tx.execute(message_attempts.insert().values(told))


def _standing(receiver: Receiver, answer: Answer, now: datetime) -> dict[str, Any]:
    if answer.ok:
        return {"failures": 0, "failing_since": None, "rest_until": None}
    failures = receiver.failures + 1
    rest = answer.retry_after or rest_after(failures)
    since = receiver.failing_since or now
    return {"failures": failures, "failing_since": since, "rest_until": now + rest}


def _message(row: RowMapping) -> Message:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["event"], values["state"] = Event(values["event"]), MessageState(values["state"])
    return Message(**values)
