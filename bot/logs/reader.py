"""Reads a deployment's log, wherever it is by now: archive, spool, Redis stream. Blocks."""

import gzip
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from bot.domain.ids import DeploymentId
from bot.logs.line import Line, stream_key
from bot.logs.spool import archive_path, parts, read_archive, read_spool

Entry = tuple[bytes, dict[bytes, bytes]]
"""An entry of the stream: its id and its fields."""

_PORTION = 1000
_PIECE = 1024 * 1024
_WAIT_SECONDS = 0.4


def line_of(entry: Entry) -> Line | None:
    """The line of an entry of the stream; None for the mark of the end."""
    text = entry[1].get(b"line")
    return None if text is None else Line.from_json(text)


class LogReader:
    """The logs of all deployments. Lines come in order, each once, by their numbers."""

    def __init__(self, home: Path, redis: Redis) -> None:
        self._home = home
        self._redis = redis

    def is_archived(self, deployment: DeploymentId) -> bool:
        """Whether the complete log is kept on this machine."""
        return archive_path(self._home, deployment).is_file()

    def is_complete(self, deployment: DeploymentId) -> bool:
        """Whether nothing follows any more, as far as can be seen from here."""
        if parts(self._home, deployment):
            return False
        if self.is_archived(deployment):
            return True
        try:
            newest = self._newest(deployment, 1)
        except RedisError:
            return False
        return bool(newest) and b"done" in newest[0][1]

    def lines(self, deployment: DeploymentId, after: int = 0) -> Iterator[Line]:
        """Every line behind a number. Raises `RedisError` when Redis is down and nothing of it is here.

        The spool may be on another machine, and the stream has lost the beginning of a long log: what
        one lacks at the end is taken from the next.
        """
        with suppress(FileNotFoundError):
            yield from read_archive(self._home, deployment, after)
            return
        for line in read_spool(self._home, deployment, after):
            after = line.n
            yield line
        try:
            yield from self._streamed(deployment, after)
        except RedisError:
            # Whoever has the spool has all that the stream could tell.
            if not parts(self._home, deployment):
                raise

    def page(self, deployment: DeploymentId, after: int, limit: int, step: str | None = None) -> list[Line]:
        """The first lines behind a number, all or of one step. Raises as `lines` does."""
        found = self.lines(deployment, after)
        return list(islice((line for line in found if step in (None, line.step)), limit))

    def tail(self, deployment: DeploymentId, limit: int) -> list[Line]:
        """The last lines, without reading what comes before where that can be helped; raises as `lines`."""
        with suppress(FileNotFoundError):
            return self._end_of_archive(deployment)[-limit:]
        newest: list[Entry] = []
        try:
            newest = self._newest(deployment, limit)
        except RedisError:
            if not parts(self._home, deployment):
                raise
        lines = [line for entry in reversed(newest) if (line := line_of(entry))]
        return lines or list(deque(read_spool(self._home, deployment), maxlen=limit))

    def follow(
        self, deployment: DeploymentId, after: int = 0, *, ended: Callable[[], bool] = lambda: False
    ) -> Iterator[Line]:
        """Every line behind a number as they come, until the log is complete.

        Errors of Redis are waited out. `ended` is asked when nothing comes: it may know that a log
        whose end can't be seen from here is over.
        """
        while True:
            over = self.is_complete(deployment) or ended()
            lines = self._following(deployment, after)
            yield from lines
            if lines:
                after = lines[-1].n
            elif over:
                return
            else:
                self._wait(deployment, after)

    def _following(self, deployment: DeploymentId, after: int) -> list[Line]:
        """Of the stream, which is quick at any length, unless it lacks what comes next."""
        live: list[Line] = []
        with suppress(RedisError):
            live = list(islice(self._streamed(deployment, after), _PORTION))
        if live and live[0].n == after + 1:
            return live
        with suppress(RedisError):
            return self.page(deployment, after, _PORTION)
        return live

    def _end_of_archive(self, deployment: DeploymentId) -> list[Line]:
        before, piece = b"", b""
        with gzip.open(archive_path(self._home, deployment), "rb") as file:
            while following := file.read(_PIECE):
                before, piece = piece, following
        end = before + piece
        whole = end if len(before) < _PIECE else end.partition(b"\n")[2]
        return [msgspec.json.decode(row, type=Line) for row in whole.splitlines()]

    def _streamed(self, deployment: DeploymentId, after: int) -> Iterator[Line]:
        position = f"({after}-0"
        while True:
            found: Any = self._redis.xrange(stream_key(deployment), min=position, count=_PORTION)
            entries: list[Entry] = found
            yield from (line for entry in entries if (line := line_of(entry)))
            if len(entries) < _PORTION:
                return
            position = f"({entries[-1][0].decode()}"

    def _newest(self, deployment: DeploymentId, limit: int) -> list[Entry]:
        found: Any = self._redis.xrevrange(stream_key(deployment), count=limit)
        return found

    def _wait(self, deployment: DeploymentId, after: int) -> None:
        try:
            came: Any = self._redis.xread(
                {stream_key(deployment): f"{after}-1"}, count=1, block=int(_WAIT_SECONDS * 1000)
            )
        except RedisError:
            came = None
        if not came:
            time.sleep(_WAIT_SECONDS / 4)
