"""How long lists are, remembered until something is added to them: counting costs more than a page does."""

import time
from collections import OrderedDict
from collections.abc import Hashable

from sqlalchemy import Connection

OPTION = "slipway_counts"
TRUSTED_SECONDS = 5.0
"""How long a count is believed, since what is removed leaves no mark."""
_REMEMBERED = 256


class Counts:
    """Counts by what was counted, each with a mark that another moment of the store does not have."""

    def __init__(self) -> None:
        self._found: OrderedDict[Hashable, tuple[object, float, int]] = OrderedDict()

    def find(self, what: Hashable, mark: object) -> int | None:
        """The count, if it is known at that mark."""
        known, until, count = self._found.get(what, (None, 0.0, 0))
        return count if known is not None and known == mark and time.monotonic() < until else None

    def keep(self, what: Hashable, mark: object, count: int) -> None:
        """Remember a count."""
        self._found[what] = (mark, time.monotonic() + TRUSTED_SECONDS, count)
        while len(self._found) > _REMEMBERED:
            self._found.popitem(last=False)


def counts_of(tx: Connection) -> Counts:
    """What is remembered of the store that a transaction is in."""
    return tx.get_execution_options()[OPTION]
