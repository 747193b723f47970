"""How long one tenant's git servers may keep a process from the work of others.

Deciding about deliveries, and looking at repositories, is done by one process each. A server that answers
slowly, or never, costs each question up to two minutes; so whoever has cost too many lately is not asked for.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Generator
from contextlib import contextmanager

from bot.domain.ids import TenantId

WINDOW_SECONDS = 600.0
MOST_SECONDS = 180.0
"""Of so many seconds a tenant's servers may take so many."""
_FREE_SECONDS = 2.0


class Share:
    """What tenants' servers took of one process's time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._taken: dict[TenantId, deque[tuple[float, float]]] = defaultdict(deque)

    def is_used_up(self, tenant: TenantId) -> bool:
        """Whether a tenant's servers took so long that they are not to be asked now."""
        taken, since = self._taken[tenant], self._clock() - WINDOW_SECONDS
        while taken and taken[0][0] < since:
            taken.popleft()
        return sum(seconds for _, seconds in taken) > MOST_SECONDS

    @contextmanager
    def taking(self, tenant: TenantId) -> Generator[None]:
        """Count how long a question takes, whatever comes of it; a quick answer costs nothing."""
        began = self._clock()
        try:
            yield
        finally:
            now = self._clock()
            if now - began > _FREE_SECONDS:
                self._taken[tenant].append((now, now - began))
