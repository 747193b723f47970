"""Thousands of readers of logs in one process, each a bare socket: `python -m` this.

What one reader of a build is the first to have is looked at line by line and kept; every other reader of
that build has to get the same bytes, which are compared, not read again: readers that take each line apart
would be slower than the server that is measured.

Reads what to do from standard input, a JSON object a line: at first whom to read, then how many lines more
to wait for; answers with a line each.
"""

import json
import re
import select
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

_ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)
_STAMP = re.compile(rb'"text":"(\d+\.\d+) ')
_AT_ONCE = 50
_SAMPLED = 50
_BUFFER = 256 * 1024
_PAUSE = 0.01
_FOREVER = 3600.0


@dataclass
class _Log:
    """One build's log as it came, from its first line on. Its lines are `last` and those before it."""

    last: int
    goal: int
    text: bytearray = field(default_factory=bytearray)
    looked: int = 0
    wrong: bool = False

    def take(self, piece: memoryview, place: int) -> bool:
        """Whether bytes at a place are what others got there; what nobody had yet is looked at."""
        if place + len(piece) <= len(self.text):
            return self.text.startswith(piece, place)
        known = len(self.text) - place
        fits = self.text.startswith(piece[:known], place)
        self.text += piece[known:]
        self._look()
        return fits

    def _look(self) -> None:
        end = self.text.rfind(b"\n\n") + 1
        for found in _ID.finditer(self.text, self.looked, end):
            self.wrong |= int(found[1]) != self.last + 1
            self.last = int(found[1])
        self.looked = max(self.looked, end)


class _Reader:
    """One connection: its place in the log, and what is left of the chunk (RFC 9112, section 7.1)."""

    def __init__(self, address: tuple[str, int], request: bytes, log: _Log, took: list[float] | None) -> None:
        self.socket = socket.create_connection(address)
        self.socket.sendall(request)
        self.socket.setblocking(False)
        self.log = log
        self.place = self._timed = 0
        self.wrong = False
        self.opened = False
        self._took = took
        self._rest = b""
        self._left = -1
        self._has_begun = False

    def read(self, buffer: bytearray) -> None:
        """Take what came."""
        try:
            count = self.socket.recv_into(buffer)
        except BlockingIOError:
            return
        if not count:
            self.wrong = True
            return
        data = self._rest + bytes(memoryview(buffer)[:count])
        self._rest = b""
        if not self.opened:
            head, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self._rest = head
                return
            assert b" 200 " in head.partition(b"\r\n")[0], head
            assert b"chunked" in head, head
            self.opened = True
        self._unwrap(data)
        if self._took is not None:
            self._time()

    def _unwrap(self, data: bytes) -> None:
        place, view = 0, memoryview(data)
        while place < len(data):
            if self._left < 0:
                end = data.find(b"\r\n", place)
                if end < 0:
                    self._rest = data[place:]
                    return
                self._left = int(data[place:end], 16)
                place = end + 2
            part = view[place : place + self._left]
            self._compare(part)
            self._left -= len(part)
            place += len(part)
            if self._left == 0:
                if len(data) < place + 2:
                    self._rest = data[place:]
                    return
                place += 2
                self._left = -1

    def _compare(self, part: memoryview) -> None:
        if not self._has_begun:
            # The opening, and what was told of the state before the first line, differ by when one came.
            begin = bytes(part).find(b"id: ")
            if begin < 0:
                return
            self._has_begun = True
            part = part[begin:]
        self.wrong |= not self.log.take(part, self.place)
        self.place += len(part)

    def _time(self) -> None:
        assert self._took is not None
        now = time.time()
        end = self.log.text.rfind(b"\n", self._timed, self.place) + 1
        if end:
            stamps = _STAMP.findall(self.log.text, self._timed, end)
            self._took += [(now - float(one)) * 1000 for one in stamps]
            self._timed = end


class _Crowd:
    def __init__(self, spec: dict[str, Any]) -> None:
        self._logs = {build: _Log(last := spec["last"][str(build)], last) for build in set(spec["builds"])}
        self._took: list[float] = []
        self._poll = select.epoll()
        self._buffer = bytearray(_BUFFER)
        self._by_number: dict[int, _Reader] = {}
        self._is_told = False
        for place, build in enumerate(spec["builds"]):
            self._open(spec, build, None if place % _SAMPLED else self._took)
            if place % _AT_ONCE == _AT_ONCE - 1:
                self._read_until(self._all_opened)
        self._read_until(self._all_opened)
        self._poll.register(sys.stdin, select.EPOLLIN)

    def __len__(self) -> int:
        return len(self._by_number)

    def told(self) -> str:
        """The next line of standard input; until it comes, what the readers are sent is read."""
        self._is_told = False
        self._read_until(lambda: self._is_told, _FOREVER)
        return sys.stdin.readline()

    def wait(self, lines: int, patience: float) -> dict[str, float]:
        """Read until every reader has so many lines more."""
        for log in self._logs.values():
            log.goal += lines
        self._read_until(self._all_read, patience)
        took = sorted(self._took)
        self._took.clear()
        p50, p99 = (took[int(len(took) * share)] if took else -1.0 for share in (0.5, 0.99))
        wrong = sum(one.wrong or one.log.wrong or not _has_all(one) for one in self._by_number.values())
        return {"p50": p50, "p99": p99, "wrong": wrong}

    def _open(self, spec: dict[str, Any], build: int, took: list[float] | None) -> None:
        log = self._logs[build]
        path = f"/api/v1/deployments/{build}/stream?after={log.last}"
        request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {spec['token']}\r\n\r\n"
        one = _Reader(("127.0.0.1", spec["port"]), request.encode(), log, took)
        self._by_number[one.socket.fileno()] = one
        self._poll.register(one.socket, select.EPOLLIN)

    def _read_until(self, done: Callable[[], bool], patience: float = 60.0) -> None:
        until, asked = time.monotonic() + patience, 0.0
        while (now := time.monotonic()) < until:
            if now - asked > _PAUSE:
                if done():
                    return
                asked = now
            for number, _event in self._poll.poll(_PAUSE):
                if (one := self._by_number.get(number)) is None:
                    self._is_told = True
                    continue
                one.read(self._buffer)
                if one.wrong:
                    self._poll.unregister(number)

    def _all_opened(self) -> bool:
        return all(one.opened or one.wrong for one in self._by_number.values())

    def _all_read(self) -> bool:
        has_all = all(log.last >= log.goal for log in self._logs.values())
        return has_all and all(one.wrong or _has_all(one) for one in self._by_number.values())


def _has_all(one: _Reader) -> bool:
    return one.log.last == one.log.goal and one.place == len(one.log.text)


def main() -> None:
    """Do what standard input says."""
    crowd = _Crowd(json.loads(sys.stdin.readline()))
    _answer({"readers": len(crowd)})
    while text := crowd.told():
        told = json.loads(text)
        _answer(crowd.wait(told["lines"], told["patience"]))


def _answer(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
