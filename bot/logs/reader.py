"""Reads a deployment's log, wherever it is by now."""

import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from bot.domain.ids import DeploymentId
from bot.logs.line import Line, stream_key
from bot.logs.spool import archive_path, parts, read_archive, read_spool

_PORTION = 1000
_WAIT_SECONDS = 0.4


class LogReader:
    """Reads lines by number."""

    def __init__(self, redis: Redis, home: Path) -> None:
        self._redis = redis
        self._home = home

    def read(self, deployment: DeploymentId, after: int = 0, limit: int = _PORTION) -> list[Line]:
        """Up to so many lines behind a number, in order: of the archive, the spool, else the stream.

        The stream has only the end of a long log. With Redis down and no file here: nothing.
        """
        files = self._from_files(deployment, after, limit)
        if files:
            return files
        try:
            return self._from_stream(deployment, after, limit)
        except RedisError:
            return []

    def is_complete(self, deployment: DeploymentId) -> bool:
        """Whether nothing follows any more, as far as can be seen from here."""
        if parts(self._home, deployment):
            return False
        if archive_path(self._home, deployment).exists():
            return True
        try:
            newest: Any = self._redis.xrevrange(stream_key(deployment), count=1)
        except RedisError:
            return False
        return bool(newest) and b"done" in newest[0][1]

    def follow(
        self, deployment: DeploymentId, after: int = 0, *, ended: Callable[[], bool] = lambda: False
    ) -> Iterator[Line]:
        """Every line behind a number, once and in order, as they come, until the log is complete.

        Errors of Redis are waited out. `ended` is asked when nothing comes: it may know that a log
        whose end can't be seen from here is over.
        """
        while True:
            over = self.is_complete(deployment) or ended()
            lines = self._newest(deployment, after)
            yield from lines
            if lines:
                after = lines[-1].n
            elif over:
                return
            else:
                self._wait(deployment, after)

    def _newest(self, deployment: DeploymentId, after: int) -> list[Line]:
        """Of the stream, which is quick at any length, unless it lacks what comes next."""
        try:
            live = self._from_stream(deployment, after, _PORTION)
        except RedisError:
            live = []
        if live and live[0].n == after + 1:
            return live
        return self._from_files(deployment, after, _PORTION) or live

    def _from_files(self, deployment: DeploymentId, after: int, limit: int) -> list[Line]:
        try:
            return list(islice(read_archive(self._home, deployment, after), limit))
        except FileNotFoundError:
            return list(islice(read_spool(self._home, deployment, after), limit))

    def _from_stream(self, deployment: DeploymentId, after: int, limit: int) -> list[Line]:
        entries: Any = self._redis.xrange(stream_key(deployment), min=f"{after + 1}-0", count=limit)
        texts = [fields[b"line"] for _, fields in entries if b"line" in fields]
        return [msgspec.json.decode(text, type=Line) for text in texts]

    def _wait(self, deployment: DeploymentId, after: int) -> None:
        try:
            came: Any = self._redis.xread(
                {stream_key(deployment): f"{after}-1"}, count=1, block=int(_WAIT_SECONDS * 1000)
            )
        except RedisError:
            came = None
        if not came:
            time.sleep(_WAIT_SECONDS / 4)
