"""Whether the moment has come for something."""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

MAX_PAUSE = timedelta(hours=2)
"""Longer than anything is put off for."""
USE_NOTED = timedelta(minutes=1)
"""How exactly the last use is known: noting each would make every request a write."""


def is_use_due(last: datetime | None, now: datetime) -> bool:
    """Whether another use, after the last one that was noted, is worth noting."""
    return last is None or last + USE_NOTED <= now


def is_due(moment: sa.Column[Any], now: datetime) -> sa.ColumnElement[bool]:
    """A moment that is none, has come, or is so far away that the clock must have been set back."""
    return is_outside(moment, now, now + MAX_PAUSE)


def is_outside(moment: sa.Column[Any], now: Any, far: Any) -> sa.ColumnElement[bool]:
    """The same, where the present and what is `MAX_PAUSE` later are parameters of the statement."""
    return sa.or_(moment.is_(None), moment <= now, moment > far)
