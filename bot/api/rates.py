"""How many requests a token, and all tokens of a tenant together, may send in a minute."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import Redis
from redis.exceptions import RedisError

from bot.api.refusals import Code, RefusalError
from bot.domain.roles import Principal

_AWAY_SECONDS = 5.0


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
        # The address is not used: connections are the given client's.
        storage = RedisStorage("redis://", connection_pool=redis.connection_pool, key_prefix="slipway:rates")
        self._shared = SlidingWindowCounterRateLimiter(storage)
        self._alone = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._of_token = RateLimitItemPerMinute(rates.per_token, namespace="token")
        self._of_tenant = RateLimitItemPerMinute(rates.per_tenant, namespace="tenant")
        self._of_hook = RateLimitItemPerMinute(rates.per_hook, namespace="hook")
        self._clock = clock
        self._away_until = float("-inf")

    def take(self, principal: Principal) -> Allowance:
        """Count one request. Raises `RefusalError` 429 when it is one too many."""
        if self._clock() < self._away_until:
            return self._take(self._alone, principal)
        try:
            return self._take(self._shared, principal)
        except RedisError:
            self._away_until = self._clock() + _AWAY_SECONDS
            return self._take(self._alone, principal)

    def take_hook(self, handle: str) -> None:
        """Count one use of a deploy hook. Raises `RefusalError` 429 when it is one too many."""
        try:
            is_away = self._clock() < self._away_until
            self._take_hook(self._alone if is_away else self._shared, handle)
        except RedisError:
            self._away_until = self._clock() + _AWAY_SECONDS
            self._take_hook(self._alone, handle)

    def _take_hook(self, strategy: SlidingWindowCounterRateLimiter, handle: str) -> None:
        if not strategy.hit(self._of_hook, handle):
            raise _refusal(_allowance(strategy, self._of_hook, handle), "Callers of this deploy hook")

    def _take(self, strategy: SlidingWindowCounterRateLimiter, principal: Principal) -> Allowance:
        if not strategy.hit(self._of_token, principal.key):
            raise _refusal(_allowance(strategy, self._of_token, principal.key), "This token has")
        if principal.tenant_id is not None and not strategy.hit(self._of_tenant, str(principal.tenant_id)):
            allowance = _allowance(strategy, self._of_tenant, str(principal.tenant_id))
            raise _refusal(allowance, "All tokens of your organisation together have")
        return _allowance(strategy, self._of_token, principal.key)


def _allowance(strategy: SlidingWindowCounterRateLimiter, item: RateLimitItem, key: str) -> Allowance:
    stats = strategy.get_window_stats(item, key)
    return Allowance(item.amount, max(0, stats.remaining), int(stats.reset_time) + 1)


def _refusal(allowance: Allowance, who: str) -> RefusalError:
    seconds = max(1, allowance.reset - int(time.time()))
    message = f"{who} sent {allowance.limit} requests within a minute. Try again in {seconds} seconds."
    headers = {**allowance.headers, "Retry-After": str(seconds)}
    return RefusalError(429, Code.RATE_LIMITED, message, headers=headers)
