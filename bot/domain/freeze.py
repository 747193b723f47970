"""Windows in which nothing is deployed to an environment, made up beforehand (pure)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.domain.ids import EnvironmentId, FreezeId

LONGEST = timedelta(days=90)
FARTHEST = timedelta(days=400)
"""How long before its end a window can be made up."""
MOST = 50
"""Windows of one environment."""


@dataclass(frozen=True)
class Freeze:
    """One window. `begun_at`: when its lock was taken, or was not, since a longer one was there."""

    id: FreezeId
    environment_id: EnvironmentId
    reason: str
    created_by: str
    starts_at: datetime
    ends_at: datetime
    begun_at: datetime | None
    created_at: datetime

    @property
    def key(self) -> str:
        """Whose its lock is."""
        return f"freeze:{self.id}"
