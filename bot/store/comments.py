"""The comment on each pull request: which one it is on GitHub, and what it was last made to show.

It is kept under the first of the apps that share it.
"""

from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from bot.domain.comment import ShownComment
from bot.domain.ids import AppId
from bot.domain.pull import PullNumber
from bot.store.engine import Tx
from bot.store.schema import comments


def get(tx: Tx, app: AppId, number: PullNumber) -> tuple[int | None, ShownComment | None]:
    """The comment's id on GitHub and what it shows; nothing at first."""
    query = sa.select(comments.c.github_comment_id, comments.c.shown)
    where = (comments.c.app_id == app, comments.c.number == number)
    row = tx.execute(query.where(*where)).one_or_none()
    if row is None:
        return None, None
    return row.github_comment_id, ShownComment(**row.shown) if row.shown else None


def doubt(tx: Tx, app: AppId, number: PullNumber) -> None:
    """No longer count on what GitHub shows: it is read, and written again where it differs."""
    known, shown = get(tx, app, number)
    if shown is not None:
        keep(tx, app, number, comment=known, shown=replace(shown, digest=""))


def keep(
    tx: Tx,
    app: AppId,
    number: PullNumber,
    *,
    comment: int | None,
    shown: ShownComment | None,
) -> None:
    """Replace what is known of a comment."""
    values: dict[str, Any] = {"github_comment_id": comment, "shown": asdict(shown) if shown else None}
    where = (comments.c.app_id == app, comments.c.number == number)
    if tx.execute(comments.update().where(*where).values(values)).rowcount == 0:
        tx.execute(comments.insert().values(app_id=app, number=number, **values))
