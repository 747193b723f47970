"""Pull requests in the store, as GitHub last told of them, by the app that was told.

Whoever has an app's own webhook secret can tell that app anything of any repository, and nobody else.
"""

from collections.abc import Collection
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.app import App
from bot.domain.ids import AppId, Sha
from bot.domain.pull import PullNumber, PullRequest, PullState
from bot.store.engine import Tx
from bot.store.schema import pull_requests

_FIELDS = [pull_requests.c[field.name] for field in fields(PullRequest)]


def find(tx: Tx, app: AppId, repository_id: int | None, number: PullNumber) -> PullRequest | None:
    """What an app was told of a pull request of its repository, if it was told anything."""
    row = tx.execute(sa.select(*_FIELDS).where(*_named(app, repository_id, number))).mappings().one_or_none()
    return _pull(row) if row else None


def of_app(tx: Tx, app: App, number: PullNumber) -> PullRequest | None:
    """The same, of the repository that the app's name is known to mean."""
    return find(tx, app.id, app.repository_id, number)


def keep(tx: Tx, app: AppId, pull: PullRequest, now: datetime) -> None:
    """Replace what an app was told of a pull request. Which tale is newer is the caller's business."""
    values = {**asdict(pull), "labels": list(pull.labels), "seen_at": now}
    where = _named(app, pull.repository_id, pull.number)
    if tx.execute(pull_requests.update().where(*where).values(values)).rowcount == 0:
        tx.execute(pull_requests.insert().values(app_id=app, **values))


def open_of(tx: Tx, apps: Collection[AppId], repository_id: int) -> list[PullRequest]:
    """Pull requests of a repository that are open as far as some apps were told, the oldest tales last."""
    where = (
        pull_requests.c.app_id.in_(apps),
        pull_requests.c.repository_id == repository_id,
        pull_requests.c.state == PullState.OPEN,
    )
    order = (pull_requests.c.number, pull_requests.c.updated_at.desc())
    return [_pull(row) for row in tx.execute(sa.select(*_FIELDS).where(*where).order_by(*order)).mappings()]


def _named(app: AppId, repository_id: int | None, number: PullNumber) -> tuple[sa.ColumnElement[bool], ...]:
    # The repository, too: an app's name may come to mean another one.
    return (
        pull_requests.c.app_id == app,
        pull_requests.c.repository_id == repository_id,
        pull_requests.c.number == number,
    )


def _pull(row: RowMapping) -> PullRequest:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["state"] = PullState(values["state"])
    values["labels"] = tuple(values["labels"])
    values["number"] = PullNumber(values["number"])
    values["head_sha"] = Sha(values["head_sha"])
    return PullRequest(**values)
