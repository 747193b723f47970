"""How long something has been as it is, by a process's own steady time, since clocks jump. Pure."""

from collections.abc import Callable, Hashable, Iterable
from datetime import timedelta
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Sightings(Generic[K]):
    """Since when this process has seen each thing whenever it looked; `patience` is how long is long."""

    def __init__(self, steady: Callable[[], float], patience: timedelta) -> None:
        self._patience = patience.total_seconds()
        self._steady = steady
        self._since: dict[K, float] = {}

    def saw(self, one: K) -> None:
        """Look at one thing, which is there."""
        self._since.setdefault(one, self._steady())

    def lasting(self, there: Iterable[K]) -> set[K]:
        """Look at all that is there; what was in each look of the last `patience`. All else is forgotten."""
        now = self._steady()
        self._since = {one: self._since.get(one, now) for one in there}
        return {one for one, since in self._since.items() if since <= now - self._patience}
