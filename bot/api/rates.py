"""How many requests a token, and all tokens of a tenant together, may send in a minute."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis import Redis
from redis.exceptions import RedisError

from bot.api.refusals import Code, RefusalError
from bot.api.window import OwnWindows, SharedWindows, Taken, Window
from bot.domain.roles import Principal

_AWAY_SECONDS = 5.0
_MINUTE = 60
_WHO = ("This token has", "All tokens of your organisation together have")


@dataclass(frozen=True)
class Rates:
    """Requests per minute."""

    per_token: int = 1000
    per_tenant: int = 5000
    per_hook: int = 10


DEFAULT_RATES = Rates()


@dataclass(frozen=True)
class Allowance:
    """What a caller has left: of how many, how many, and until when (Unix seconds)."""

    limit: int
    remaining: int
    reset: int

    @property
    def headers(self) -> dict[str, str]:
        """As answers carry it."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class Limiter:
    """Counts in Redis, so that all web processes count together; in memory while Redis is away."""

    def __init__(self, redis: Redis, rates: Rates, clock: Callable[[], float] = time.monotonic) -> None:
        self._shared = SharedWindows(redis, _MINUTE, "slipway:rates")
        self._alone = OwnWindows(_MINUTE, clock)
        self._rates = rates
        self._clock = clock
        self._away_until = float("-inf")

    def take(self, principal: Principal) -> Allowance:
        """Count one request. Raises `RefusalError` 429 when it is one too many."""
        windows = [Window(f"token/{principal.key}", self._rates.per_token)]
        if principal.tenant_id is not None:
            windows.append(Window(f"tenant/{principal.tenant_id}", self._rates.per_tenant))
        return self._take(windows, _WHO)

    def take_hook(self, handle: str) -> None:
        """Count one use of a deploy hook. Raises `RefusalError` 429 when it is one too many."""
        self._take([Window(f"hook/{handle}", self._rates.per_hook)], ("Callers of this deploy hook",))

    def _take(self, windows: Sequence[Window], who: Sequence[str]) -> Allowance:
        taken = self._counted(windows)
        limit = windows[taken.full or 0].limit
        allowance = Allowance(limit, taken.left, int(time.time() + taken.more) + 1)
        if taken.full is not None:
            raise _refusal(allowance, who[taken.full])
        return allowance

    def _counted(self, windows: Sequence[Window]) -> Taken:
        if self._clock() < self._away_until:
            return self._alone.take(windows)
        try:
            return self._shared.take(windows)
        except RedisError:
            self._away_until = self._clock() + _AWAY_SECONDS
            return self._alone.take(windows)


def _refusal(allowance: Allowance, who: str) -> RefusalError:
    seconds = max(1, allowance.reset - int(time.time()))
    message = f"{who} sent {allowance.limit} requests within a minute. Try again in {seconds} seconds."
    headers = {**allowance.headers, "Retry-After": str(seconds)}
    return RefusalError(429, Code.RATE_LIMITED, message, headers=headers)
