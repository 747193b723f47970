"""Commands of comments in the store: each comment once for each app, and what GitHub must yet be told."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import AppId, DeliveryId
from bot.domain.pull import PullNumber
from bot.domain.spoken import Outcome, Said, Spoken, SpokenId
from bot.store.due import is_due
from bot.store.engine import Tx
from bot.store.schema import commands

_FIELDS = [commands.c[field.name] for field in fields(Spoken)]


@dataclass(frozen=True)
class NewSpoken:
    """What is needed to remember the commands of a comment."""

    app_id: AppId
    delivery_id: DeliveryId
    repository_id: int
    number: PullNumber
    comment_id: int
    author: str
    outcome: Outcome
    answers: tuple[Said, ...]


@dataclass(frozen=True)
class Pull:
    """A pull request, and the apps that are spoken to there together."""

    repository_id: int
    number: PullNumber
    apps: Sequence[AppId]


def add(tx: Tx, new: NewSpoken, now: datetime) -> SpokenId:
    """Remember that an app carried a comment's commands out."""
    values: dict[str, Any] = {field.name: getattr(new, field.name) for field in fields(new)}
    values["answers"] = [asdict(one) for one in new.answers]
    number = tx.scalar(commands.insert().values(**values, created_at=now).returning(commands.c.id))
    assert number is not None
    return SpokenId(number)


def is_known(tx: Tx, app: AppId, comment: int) -> bool:
    """Whether an app carried the commands of a comment out before."""
    where = (commands.c.app_id == app, commands.c.comment_id == comment)
    return tx.scalar(sa.select(commands.c.id).where(*where)) is not None


def find(tx: Tx, spoken: SpokenId) -> Spoken | None:
    """One by its number."""
    row = tx.execute(sa.select(*_FIELDS).where(commands.c.id == spoken)).mappings().one_or_none()
    return _spoken(row) if row else None


def on_pull(tx: Tx, pull: Pull) -> list[Spoken]:
    """All that was commanded on a pull request, newest first."""
    rows = tx.execute(sa.select(*_FIELDS).where(*_on(pull)).order_by(commands.c.id.desc())).mappings()
    return [_spoken(row) for row in rows]


def newest_allowed(tx: Tx, pull: Pull) -> list[Spoken]:
    """What each app made of the newest comment whose author might command, in the order of the apps."""
    here = _on(pull)
    allowed = commands.c.outcome.in_((Outcome.DONE, Outcome.REFUSED))
    newest = sa.select(commands.c.comment_id).where(*here, allowed).order_by(commands.c.id.desc()).limit(1)
    query = sa.select(*_FIELDS).where(*here, commands.c.comment_id == newest.scalar_subquery())
    return [_spoken(row) for row in tx.execute(query.order_by(commands.c.app_id)).mappings()]


def untold(tx: Tx, limit: int, now: datetime) -> list[SpokenId]:
    """Those of which GitHub shows no receipt yet and whose next attempt is due, oldest first."""
    where = (commands.c.told_at.is_(None), is_due(commands.c.retry_at, now))
    return [SpokenId(one) for one in tx.scalars(sa.select(commands.c.id).where(*where).limit(limit))]


def set_told(tx: Tx, some: Sequence[SpokenId], now: datetime) -> None:
    """Remember that GitHub shows the receipts."""
    tx.execute(commands.update().where(commands.c.id.in_(some)).values(told_at=now, note=""))


def put_off(tx: Tx, spoken: SpokenId, note: str, retry_at: datetime) -> None:
    """Remember a failed attempt, and when to try again."""
    changes = {"attempts": commands.c.attempts + 1, "note": note, "retry_at": retry_at}
    tx.execute(commands.update().where(commands.c.id == spoken).values(changes))


def _on(pull: Pull) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        commands.c.repository_id == pull.repository_id,
        commands.c.number == pull.number,
        commands.c.app_id.in_(pull.apps),
    )


def _spoken(row: RowMapping) -> Spoken:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["outcome"] = Outcome(values["outcome"])
    values["answers"] = tuple(Said(**one) for one in values["answers"])
    return Spoken(**values)
