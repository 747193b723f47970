"""The comment on each pull request: which one it is on GitHub, and what it was last made to show."""

from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from bot.domain.comment import ShownComment
from bot.domain.pull import PullNumber
from bot.store.engine import Tx
from bot.store.schema import comments


def get(tx: Tx, repository_id: int, number: PullNumber) -> tuple[int | None, ShownComment | None]:
    """The comment's id on GitHub and what it shows; nothing at first."""
    query = sa.select(comments.c.github_comment_id, comments.c.shown)
    where = (comments.c.repository_id == repository_id, comments.c.number == number)
    row = tx.execute(query.where(*where)).one_or_none()
    if row is None:
        return None, None
    return row.github_comment_id, ShownComment(**row.shown) if row.shown else None


def doubt(tx: Tx, repository_id: int, number: PullNumber) -> None:
    """No longer count on what GitHub shows: it is read, and written again where it differs."""
    known, shown = get(tx, repository_id, number)
    if shown is not None:
        keep(tx, repository_id, number, comment=known, shown=replace(shown, digest=""))


def keep(
    tx: Tx,
    repository_id: int,
    number: PullNumber,
    *,
    comment: int | None,
    shown: ShownComment | None,
) -> None:
    """Replace what is known of a comment."""
    values: dict[str, Any] = {"github_comment_id": comment, "shown": asdict(shown) if shown else None}
    where = (comments.c.repository_id == repository_id, comments.c.number == number)
    if tx.execute(comments.update().where(*where).values(values)).rowcount == 0:
        tx.execute(comments.insert().values(repository_id=repository_id, number=number, **values))
