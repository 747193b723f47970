"""Brings what stands in a spool into the Redis stream, in order, however often Redis goes away."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from bot.domain.ids import DeploymentId
from bot.log import logger
from bot.logs.line import Line, stream_key
from bot.logs.spool import parts, read_rows

KEEP_LINES = 20_000
KEEP_BYTES = 16 * 1024 * 1024
KEEP_FOR = timedelta(days=1)
_ROWS_A_PIPELINE = 512


@dataclass
class Position:
    """How far the spool was read: a file, and the bytes of it."""

    path: Path | None = None
    offset: int = 0


class Feed:
    """The stream of one deployment. The spool is its buffer: nothing waits in memory."""

    def __init__(self, redis: Redis, home: Path, deployment: DeploymentId) -> None:
        self._redis = redis
        self._home = home
        self._deployment = deployment
        self._key = stream_key(deployment)
        self._position = Position()
        self._sent: int | None = None
        self._lines = 0
        self._bytes = 0

    def pump(self) -> bool:
        """Send what is new; False when Redis did not take it, which the next call makes good."""
        try:
            known = last_in_stream(self._redis, self._deployment)
            if self._sent is None or known < self._sent:
                # At first, after a failure, or when a restart of Redis lost some: begin behind what is there.
                self._position = Position()
            self._sent = known
            while rows := self._next_rows():
                self._send(rows)
        except RedisError as error:
            if self._sent is not None:
                logger.info("live log waits for Redis", deployment=self._deployment, error=str(error))
            self._sent = None
            return False
        return True

    def _send(self, rows: Sequence[Line]) -> None:
        assert self._sent is not None
        new = [(line.n, line.to_json()) for line in rows if line.n > self._sent]
        if not new:
            return
        self._lines += len(new)
        self._bytes += sum(len(text) for _, text in new)
        keep = max(100, min(KEEP_LINES, KEEP_BYTES * self._lines // self._bytes))
        pipe = self._redis.pipeline(transaction=False)
        for number, text in new:
            pipe.xadd(self._key, {"line": text}, id=f"{number}-0", maxlen=keep, approximate=True)
        pipe.expire(self._key, KEEP_FOR)
        for result in pipe.execute(raise_on_error=False):
            # A number that is there already was sent before, and its answer was lost.
            if isinstance(result, ResponseError) and "equal or smaller" in str(result):
                continue
            if isinstance(result, Exception):
                raise result
        self._sent = new[-1][0]

    def _next_rows(self) -> list[Line]:
        """The next lines of the spool behind the position, which moves on."""
        for path in self._from_here():
            offset = self._position.offset if path == self._position.path else 0
            lines, offset = read_rows(path, offset, _ROWS_A_PIPELINE)
            self._position = Position(path, offset)
            if lines:
                return lines
        return []

    def _from_here(self) -> list[Path]:
        present = parts(self._home, self._deployment)
        return present[present.index(self._position.path) :] if self._position.path in present else present


def last_in_stream(redis: Redis, deployment: DeploymentId) -> int:
    """The highest line number that the stream has; 0 at first."""
    newest: Any = redis.xrevrange(stream_key(deployment), count=1)
    return int(newest[0][0].partition(b"-")[0]) if newest else 0
