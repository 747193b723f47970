"""Paces content-creating requests per installation, so that GitHub's secondary limits are never met.

GitHub allows 80 such requests a minute and 500 an hour, and may ban who goes on after a refusal
(docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api). The count is kept in Redis, for
all processes; while Redis is down, each process counts for itself.
"""

import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

from redis import Redis
from redis.exceptions import RedisError

from bot.settings import Settings

T = TypeVar("T")
_SCRIPT = """
local writes, hold = KEYS[1], KEYS[2]
local held = redis.call('PTTL', hold)
if held > 0 then return held end
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local wait, longest = 0, 0
for i = 2, #ARGV, 2 do
    local length, limit = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
    longest = math.max(longest, length)
    if redis.call('ZCOUNT', writes, '(' .. (now - length), '+inf') >= limit then
        local first = redis.call('ZREVRANGE', writes, limit - 1, limit - 1, 'WITHSCORES')
        wait = math.max(wait, first[2] + length - now)
    end
end
if wait > 0 then return wait end
redis.call('ZREMRANGEBYSCORE', writes, '-inf', now - longest)
redis.call('ZADD', writes, now, ARGV[1])
redis.call('PEXPIRE', writes, longest)
return 0
"""
_SULK = 30.0
"""Seconds in which Redis is not asked again after it failed: each question may cost a time-out."""


@dataclass(frozen=True)
class Window:
    """So many writes in so many seconds."""

    seconds: float
    writes: int


def windows(settings: Settings) -> tuple[Window, ...]:
    """How many content writes the settings allow."""
    return Window(60, settings.github_writes_per_minute), Window(3600, settings.github_writes_per_hour)


class Pacing:
    """Counts writes by key (an installation) in sliding windows."""

    def __init__(
        self, redis: Redis | None, windows: Sequence[Window], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._redis = redis
        self._windows = tuple(windows)
        self._clock = clock
        self._avoid_until = 0.0
        self._own: dict[str, list[float]] = {}
        self._holds: dict[str, float] = {}

    def acquire(self, key: str, *, share: float = 1.0) -> float:
        """Take the right to one write: 0 when it was taken, else the seconds to wait before asking again.

        Writes that matter less take only a `share` of each window, so that they never hold up others.
        """
        windows = [Window(one.seconds, max(1, int(one.writes * share))) for one in self._windows]
        asked = self._ask(lambda redis: _acquire(redis, key, windows))
        return self._acquire_own(key, windows) if asked is None else asked

    def hold(self, key: str, seconds: float) -> None:
        """Let nobody write or ask under a key for a while: GitHub said so."""
        self._holds[key] = self._clock() + seconds
        self._ask(lambda redis: redis.set(_names(key)[1], "1", px=max(1, int(seconds * 1000))))

    def held(self, key: str) -> float:
        """For how many seconds a key is held yet."""
        own = max(0.0, self._holds.get(key, 0.0) - self._clock())
        return max(own, self._ask(lambda redis: _milliseconds(redis.pttl(_names(key)[1]))) or 0.0)

    def _ask(self, question: Callable[[Redis], T]) -> T | None:
        if self._redis is None or self._clock() < self._avoid_until:
            return None
        try:
            return question(self._redis)
        except RedisError:
            self._avoid_until = self._clock() + _SULK
            return None

    def _acquire_own(self, key: str, windows: Sequence[Window]) -> float:
        now = self._clock()
        taken = self._own.setdefault(key, [])
        del taken[: bisect_right(taken, now - max(one.seconds for one in windows))]
        wait = max(0.0, self._holds.get(key, 0.0) - now)
        for window in windows:
            if len(taken) - bisect_right(taken, now - window.seconds) >= window.writes:
                wait = max(wait, taken[-window.writes] + window.seconds - now)
        if wait == 0:
            taken.append(now)
        return wait


def _acquire(redis: Redis, key: str, windows: Sequence[Window]) -> float:
    sizes = [number for one in windows for number in (int(one.seconds * 1000), one.writes)]
    return _milliseconds(redis.eval(_SCRIPT, 2, *_names(key), uuid4().hex, *sizes))


def _names(key: str) -> tuple[str, str]:
    # The braces keep both keys on one node of a Redis cluster.
    return f"slipway:{{github-{key}}}:writes", f"slipway:{{github-{key}}}:hold"


def _milliseconds(answer: object) -> float:
    return max(0, int(str(answer))) / 1000
