"""Pull requests in the store, as GitHub last told of them."""

from collections.abc import Collection
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import Sha
from bot.domain.pull import PullNumber, PullRequest, PullState
from bot.store.engine import Tx
from bot.store.schema import pull_requests

_FIELDS = [pull_requests.c[field.name] for field in fields(PullRequest)]


def find(tx: Tx, repository_id: int, number: PullNumber) -> PullRequest | None:
    """What is known of a pull request, if anything is."""
    where = (pull_requests.c.repository_id == repository_id, pull_requests.c.number == number)
    row = tx.execute(sa.select(*_FIELDS).where(*where)).mappings().one_or_none()
    return _pull(row) if row else None


def keep(tx: Tx, pull: PullRequest, now: datetime) -> None:
    """Replace what is known of a pull request. Which tale is newer is the caller's business."""
    values = {**asdict(pull), "labels": list(pull.labels), "seen_at": now}
    where = (
        pull_requests.c.repository_id == pull.repository_id,
        pull_requests.c.number == pull.number,
    )
    if tx.execute(pull_requests.update().where(*where).values(values)).rowcount == 0:
        tx.execute(pull_requests.insert().values(values))


def open_of(tx: Tx, repository_ids: Collection[int]) -> list[PullRequest]:
    """Pull requests of some repositories that are open as far as is known, by repository and number."""
    where = (pull_requests.c.repository_id.in_(repository_ids), pull_requests.c.state == PullState.OPEN)
    order = (pull_requests.c.repository_id, pull_requests.c.number)
    return [_pull(row) for row in tx.execute(sa.select(*_FIELDS).where(*where).order_by(*order)).mappings()]


def _pull(row: RowMapping) -> PullRequest:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["state"] = PullState(values["state"])
    values["labels"] = tuple(values["labels"])
    values["number"] = PullNumber(values["number"])
    values["head_sha"] = Sha(values["head_sha"])
    return PullRequest(**values)
