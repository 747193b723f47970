"""How many requests a token, and all tokens of a tenant together, may send in a minute."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from redis import Redis
from redis.exceptions import RedisError

from bot.api.refusals import Code, RefusalError
from bot.clock import Clock, utc_now
from bot.domain.roles import Principal
from bot.late import Late

if TYPE_CHECKING:
    import limits
    from limits import storage
else:
    # 50 ms of the process's start, for what waits for the first call.
    limits, storage = Late("limits"), Late("limits.storage")

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
    """Counts in Redis, so that all web processes count together; in memory while Redis is away.

    Minutes begin for all at the same time, by the wall clock: so one question to Redis counts a request and
    tells how many there were. The library's own strategies ask another two times for the latter.
    """

    def __init__(
        self,
        redis: Redis,
        rates: Rates,
        clock: Clock = utc_now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis, self._rates = redis, rates
        self._clock, self._steady = clock, steady
        self._away_until = float("-inf")

    @cached_property
    def _shared(self) -> "storage.RedisStorage":
        # The address is not used: connections are the given client's.
        pool = self._redis.connection_pool
        return storage.RedisStorage("redis://", connection_pool=pool, key_prefix="slipway:rates")

    @cached_property
    def _alone(self) -> "storage.MemoryStorage":
        return storage.MemoryStorage()

    def take(self, principal: Principal) -> Allowance:
        """Count one request. Raises `RefusalError` 429 when it is one too many."""
        left = self._count("token", self._rates.per_token, principal.key, "This token has")
        if principal.tenant_id is not None:
            whose = "All tokens of your organisation together have"
            self._count("tenant", self._rates.per_tenant, str(principal.tenant_id), whose)
        return left

    def take_hook(self, handle: str) -> None:
        """Count one use of a deploy hook. Raises `RefusalError` 429 when it is one too many."""
        self._count("hook", self._rates.per_hook, handle, "Callers of this deploy hook")

    def _count(self, kind: str, limit: int, key: str, who: str) -> Allowance:
        now, item = self._clock().timestamp(), limits.RateLimitItemPerMinute(limit, namespace=kind)
        length = item.get_expiry()
        minute = int(now // length)
        count = self._add(item.key_for(key, str(minute)), length)
        allowance = Allowance(item.amount, max(0, item.amount - count), (minute + 1) * length)
        if count > item.amount:
            raise _refusal(allowance, who, now)
        return allowance

    def _add(self, key: str, seconds: int) -> int:
        if self._steady() >= self._away_until:
            try:
                return self._shared.incr(key, seconds)
            except RedisError:
                self._away_until = self._steady() + _AWAY_SECONDS
        return self._alone.incr(key, seconds)


def _refusal(allowance: Allowance, who: str, now: float) -> RefusalError:
    seconds = max(1, math.ceil(allowance.reset - now))
    message = f"{who} sent {allowance.limit} requests within a minute. Try again in {seconds} seconds."
    headers = {**allowance.headers, "Retry-After": str(seconds)}
    return RefusalError(429, Code.RATE_LIMITED, message, headers=headers)
