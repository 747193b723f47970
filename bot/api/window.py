"""Counts requests by sliding windows: what the window before had counts by the part of it that is left.

In Redis all that one request is counted by is one round trip, since every request of the API makes it;
libraries for it make one for each question.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Protocol

from redis import Redis

# KEYS: for each window the one before and the present one. ARGV: milliseconds of a window, then each limit.
# Returns which window is full (0: none, and all were counted), what is left of that or the first, and the
# milliseconds until it has more.
_SCRIPT = """
local length = tonumber(ARGV[1])
local found = {}
for place = 1, #KEYS / 2 do
  local before, present = KEYS[place * 2 - 1], KEYS[place * 2]
  local ends = redis.call('pttl', present)
  if ends > 0 and ends < length then
    redis.call('rename', present, before)
    redis.call('set', present, 0, 'PX', ends + length)
    ends = ends + length
  end
  local had, has = tonumber(redis.call('get', before)) or 0, tonumber(redis.call('get', present)) or 0
  local rest = had > 0 and math.max(redis.call('pttl', before), 0) or 0
  found[place] = {
    present = present, has = has, exists = ends > 0,
    left = tonumber(ARGV[place + 1]) - math.floor(had * rest / length + has),
    more = math.min(had > 0 and rest % (length / had) or length, ends > 0 and ends % length or length),
  }
end
local full = 0
for place, one in ipairs(found) do
  if full == 0 and one.left < 1 then full = place end
end
if full == 0 then
  for _, one in ipairs(found) do
    one.left = one.left - 1
    if one.exists then redis.call('incr', one.present)
    else redis.call('set', one.present, 1, 'PX', length * 2) end
  end
end
local told = found[math.max(full, 1)]
return {full, math.max(told.left, 0), math.floor(told.more)}
"""


_REMEMBERED = 10_000


@dataclass(frozen=True)
class Window:
    """What is counted under one key, and how many there may be."""

    key: str
    limit: int


@dataclass(frozen=True)
class Taken:
    """Which window is full, if one is; what is left there, else in the first; seconds until there is more."""

    full: int | None
    left: int
    more: float


class Windows(Protocol):
    """Windows of some seconds."""

    def take(self, windows: Sequence[Window]) -> Taken:
        """Count one request in all windows; in none, when one is full. May raise `RedisError`."""
        ...


class SharedWindows:
    """Those that all processes count by."""

    def __init__(self, redis: Redis, seconds: int, prefix: str) -> None:
        self._script = redis.register_script(_SCRIPT)
        self._length = seconds * 1000
        self._prefix = prefix

    def take(self, windows: Sequence[Window]) -> Taken:
        """Count one request in all windows; in none, when one is full. Raises `RedisError`."""
        keys: list[str] = []
        for one in windows:
            # Braces: in a cluster both are kept at the same place.
            keys += (f"{self._prefix}:{{{one.key}}}/-1", f"{self._prefix}:{{{one.key}}}")
        full, left, more = self._script(keys, [self._length, *(one.limit for one in windows)])
        return Taken(full - 1 if full else None, left, more / 1000)


@dataclass
class _Count:
    """How many there were in the window of a number, and in the one before it."""

    number: int
    present: int = 0
    before: int = 0

    def move(self, number: int) -> None:
        """Make the window of a number the present one."""
        if number != self.number:
            self.before = self.present if number == self.number + 1 else 0
            self.number, self.present = number, 0


class OwnWindows:
    """Those of one process."""

    def __init__(self, seconds: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._counts: dict[str, _Count] = {}
        self._lock = Lock()

    def take(self, windows: Sequence[Window]) -> Taken:
        """Count one request in all windows; in none, when one is full."""
        number, passed = divmod(self._clock(), self._seconds)
        rest = self._seconds - passed
        with self._lock:
            if len(self._counts) > _REMEMBERED:
                self._counts = {key: one for key, one in self._counts.items() if one.number >= number - 1}
            counts = [self._counts.setdefault(one.key, _Count(int(number))) for one in windows]
            left: list[int] = []
            for one, count in zip(windows, counts, strict=True):
                count.move(int(number))
                left.append(one.limit - int(count.before * rest / self._seconds + count.present))
            full = next((place for place, one in enumerate(left) if one < 1), None)
            if full is not None:
                return Taken(full, 0, rest)
            for count in counts:
                count.present += 1
        return Taken(None, left[0] - 1, rest)
