"""Reads a deployment's log wherever it is: the archive, the spool of a running one, the Redis stream.

Lines are numbered from 1 and come in order. Reading blocks: call it from a thread.
"""

import gzip
import re
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import cast

import msgspec
from redis import Redis

from bot.domain.ids import DeploymentId

BATCH = 1000
"""Lines fetched from Redis at once."""
_PIECE = 1024 * 1024


@dataclass(frozen=True)
class Entry:
    """One line as it is stored: its number, and one JSON object (`n`, `at`, `step`, `stream`, `text`)."""

    number: int
    json: bytes


class Line(msgspec.Struct, frozen=True):
    """One line for people. `at` is ISO 8601 in UTC; `stream` is `stdout`, `stderr` or Slipway's own."""

    n: int
    at: str = ""
    step: str = ""
    stream: str = ""
    text: str = ""


_decode_line = msgspec.json.Decoder(Line).decode
_NUMBER = re.compile(rb'"n": ?([0-9]+)')


def stream_key(deployment: DeploymentId) -> str:
    """Key of the Redis stream of a log; its entry ids are `<line number>-0`."""
    return f"slipway:log:{deployment}"


def parse_stream_entry(entry_id: bytes, fields: dict[bytes, bytes]) -> Entry | None:
    """Read an entry of the Redis stream; None is the end marker."""
    if (json := fields.get(b"line")) is None:
        return None
    return Entry(int(entry_id.partition(b"-")[0]), json)


def parse_stored_line(raw: bytes) -> Entry | None:
    """Read a line of the archive or the spool; None when it is cut off, as by a crash."""
    raw = raw.rstrip(b"\r\n")
    number = _NUMBER.search(raw, 0, 40)
    return Entry(int(number[1]), raw) if number and raw.endswith(b"}") else None


def line_of(entry: Entry) -> Line:
    """The line of an entry."""
    return _decode_line(entry.json)


class Transcript:
    """The logs of all deployments."""

    def __init__(self, folder: Path, redis: Redis) -> None:
        self._folder = folder
        self._redis = redis

    def archive(self, deployment: DeploymentId) -> Path:
        """The compressed log of a deployment that has ended."""
        return self._folder / f"{deployment}.jsonl.gz"

    def spool(self, deployment: DeploymentId) -> Path:
        """The log of a deployment that runs on this machine."""
        return self._folder / "spool" / f"{deployment}.jsonl"

    def is_archived(self, deployment: DeploymentId) -> bool:
        """Whether the log is complete and kept."""
        return self.archive(deployment).is_file()

    def entries(self, deployment: DeploymentId, after: int = 0) -> Iterator[Entry]:
        """Every stored line with a number above `after`. Raises `RedisError` when only Redis has it.

        The spool may lag behind the Redis stream, and the stream may have lost its beginning: what
        one lacks at the end is taken from the next.
        """
        for source in (self._archived, self._spooled, self._streamed):
            for entry in source(deployment, after):
                if entry.number > after:
                    after = entry.number
                    yield entry
            if source == self._archived and self.is_archived(deployment):
                return

    def page(self, deployment: DeploymentId, after: int, limit: int) -> list[Line]:
        """The first lines with a number above `after`."""
        return [line_of(entry) for entry in islice(self.entries(deployment, after), limit)]

    def tail(self, deployment: DeploymentId, limit: int) -> list[Line]:
        """The last lines. Of a long log only the end is parsed."""
        for opened in (partial(gzip.open, self.archive(deployment)), self.spool(deployment).open):
            try:
                with opened("rb") as file:
                    end = _last_bytes(file)
            except FileNotFoundError:
                continue
            return [line_of(entry) for entry in deque(_stored(end.splitlines()), maxlen=limit)]
        return [line_of(entry) for entry in self._newest_streamed(deployment, limit)]

    def _archived(self, deployment: DeploymentId, _after: int) -> Iterator[Entry]:
        try:
            with gzip.open(self.archive(deployment), "rb") as file:
                yield from _stored(file)
        except FileNotFoundError:
            return

    def _spooled(self, deployment: DeploymentId, _after: int) -> Iterator[Entry]:
        try:
            with self.spool(deployment).open("rb") as file:
                yield from _stored(file)
        except FileNotFoundError:
            return

    def _newest_streamed(self, deployment: DeploymentId, limit: int) -> list[Entry]:
        key = stream_key(deployment)
        found = cast("list[tuple[bytes, dict[bytes, bytes]]]", self._redis.xrevrange(key, count=limit))
        return [entry for one in reversed(found) if (entry := parse_stream_entry(*one))]

    def _streamed(self, deployment: DeploymentId, after: int) -> Iterator[Entry]:
        position = f"({after}-0"
        while True:
            found = cast(
                "list[tuple[bytes, dict[bytes, bytes]]]",
                self._redis.xrange(stream_key(deployment), min=position, count=BATCH),
            )
            for entry_id, fields in found:
                if entry := parse_stream_entry(entry_id, fields):
                    yield entry
            if len(found) < BATCH:
                return
            position = f"({found[-1][0].decode()}"


def _stored(lines: Iterable[bytes]) -> Iterator[Entry]:
    for raw in lines:
        if entry := parse_stored_line(raw):
            yield entry


def _last_bytes(file: gzip.GzipFile | BufferedReader) -> bytes:
    """The end of a file, from the start of a line on: at most two pieces of it, however long it is."""
    before, piece = b"", b""
    while following := file.read(_PIECE):
        before, piece = piece, following
    end = before + piece
    return end if len(before) < _PIECE else end.partition(b"\n")[2]
