"""Reads a deployment's log for those who look at it, wherever it is: archive, spool, Redis stream.

What lines are, and how they are kept, is said in `bot.logs`. Reading blocks: call it from a thread.
"""

import gzip
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import cast

import msgspec
from redis import Redis
from redis.exceptions import RedisError

from bot.domain.ids import DeploymentId
from bot.logs.line import Line, stream_key
from bot.logs.spool import archive_path, read_archive, read_spool

_PORTION = 1000
_PIECE = 1024 * 1024


def parse_stream_entry(fields: dict[bytes, bytes]) -> Line | None:
    """Read an entry of the Redis stream; None is the end marker."""
    return Line.from_json(fields[b"line"]) if b"line" in fields else None


class Transcript:
    """The logs of all deployments."""

    def __init__(self, home: Path, redis: Redis) -> None:
        self._home = home
        self._redis = redis

    def is_archived(self, deployment: DeploymentId) -> bool:
        """Whether the log is complete and kept."""
        return archive_path(self._home, deployment).is_file()

    def lines(self, deployment: DeploymentId, after: int = 0) -> Iterator[Line]:
        """Every line with a number above `after`, in order. Raises `RedisError` when it is needed and down.

        The spool may be on another machine, and the stream has lost the beginning of a long log: what
        one lacks at the end is taken from the next.
        """
        with suppress(FileNotFoundError):
            yield from read_archive(self._home, deployment, after)
            return
        for line in read_spool(self._home, deployment, after):
            after = line.n
            yield line
        yield from self._streamed(deployment, after)

    def page(self, deployment: DeploymentId, after: int, limit: int) -> list[Line]:
        """The first lines with a number above `after`."""
        return list(islice(self.lines(deployment, after), limit))

    def tail(self, deployment: DeploymentId, limit: int) -> list[Line]:
        """The last lines, without reading what comes before where that can be helped."""
        with suppress(FileNotFoundError):
            return self._end_of_archive(deployment)[-limit:]
        try:
            newest = self._newest_streamed(deployment, limit)
        except RedisError:
            newest = list(deque(read_spool(self._home, deployment), maxlen=limit))
            if not newest:
                raise
        return newest or list(deque(read_spool(self._home, deployment), maxlen=limit))

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
            found = cast(
                "list[tuple[bytes, dict[bytes, bytes]]]",
                self._redis.xrange(stream_key(deployment), min=position, count=_PORTION),
            )
            yield from (line for _id, fields in found if (line := parse_stream_entry(fields)))
            if len(found) < _PORTION:
                return
            position = f"({found[-1][0].decode()}"

    def _newest_streamed(self, deployment: DeploymentId, limit: int) -> list[Line]:
        found = cast(
            "list[tuple[bytes, dict[bytes, bytes]]]",
            self._redis.xrevrange(stream_key(deployment), count=limit),
        )
        return [line for _id, fields in reversed(found) if (line := parse_stream_entry(fields))]
