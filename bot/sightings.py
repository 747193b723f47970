"""How long each lease has stood as it stands. Pure: the time comes from outside."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from bot.domain.environment import Environment
from bot.domain.ids import EnvironmentId


class Sightings:
    """Since when this process has seen each lease as it stands, by its own steady time in seconds."""

    def __init__(self, steady: Callable[[], float], patience: timedelta) -> None:
        self._patience = patience.total_seconds()
        self._steady = steady
        self._seen: dict[EnvironmentId, tuple[tuple[int, datetime | None], float]] = {}

    def saw(self, environment: Environment) -> float:
        """Look at one lease; since when it has stood like that."""
        standing = (environment.lease_token, environment.lease_until)
        before, since = self._seen.get(environment.id, (None, 0.0))
        if before != standing:
            since = self._steady()
            self._seen[environment.id] = (standing, since)
        return since

    def ran_out(self, leased: Sequence[Environment]) -> list[Environment]:
        """Look at all leases; those that nobody renewed for `patience`."""
        before = self._steady() - self._patience
        stale = [one for one in leased if self.saw(one) <= before]
        held = {one.id for one in leased}
        self._seen = {known: sight for known, sight in self._seen.items() if known in held}
        return stale
