"""Thousands of readers of logs in one process, each a bare protocol that counts lines: `python -m` this.

Reads what to do from standard input, a JSON object a line: at first whom to read, then how many lines more
to wait for; answers with a line each.
"""

import asyncio
import json
import re
import sys
import time
from typing import Any, cast

import uvloop

_ID = re.compile(rb"^id: (\d+)$", re.MULTILINE)
_STAMP = re.compile(rb'"text":"(\d+\.\d+) ')
_AT_ONCE = 50
_SAMPLED = 50


class _Reader(asyncio.Protocol):
    def __init__(self, request: bytes, last: int, took: list[float] | None) -> None:
        self._request = request
        self._took = took
        self._rest = b""
        self.last = self.goal = last
        self.wrong = False
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self.wrong = True

    def data_received(self, data: bytes) -> None:
        if not self.opened.done() and b"retry:" in data:
            self.opened.set_result(None)
        # Whole lines only; what is left is the beginning of one.
        whole, newline, self._rest = (self._rest + data).rpartition(b"\n")
        if (first := _ID.search(whole + newline)) is None:
            return
        # Of 6 million lines each number is read for a few readers, for the others the ends and how many.
        count = whole.count(b"\nid: ", first.start()) + 1
        last = int(whole[whole.rindex(b"id: ", first.start()) + 4 :].partition(b"\n")[0])
        self.wrong |= int(first[1]) != self.last + 1 or last != self.last + count
        if self._took is not None:
            numbers = [int(one) for one in _ID.findall(whole + newline)]
            self.wrong |= numbers != [*range(self.last + 1, self.last + count + 1)]
        self.last = last
        if self._took is not None:
            now = time.time()
            self._took += [(now - float(one)) * 1000 for one in _STAMP.findall(whole)]


async def _main() -> None:
    loop = asyncio.get_running_loop()
    spec: dict[str, Any] = json.loads(await loop.run_in_executor(None, sys.stdin.readline))
    took: list[float] = []
    readers = await _opened(spec, took)
    _answer({"readers": len(readers)})
    while text := await loop.run_in_executor(None, sys.stdin.readline):
        told = json.loads(text)
        for one in readers:
            one.goal += told["lines"]
        until = time.monotonic() + told["patience"]
        # Telling an event from each reader would cost them more than to be looked at.
        while time.monotonic() < until and any(one.last < one.goal for one in readers):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        took.sort()
        p50, p99 = (took[int(len(took) * share)] if took else -1.0 for share in (0.5, 0.99))
        _answer({"p50": p50, "p99": p99, "wrong": sum(one.wrong or one.last != one.goal for one in readers)})
        took.clear()


async def _opened(spec: dict[str, Any], took: list[float]) -> list[_Reader]:
    loop = asyncio.get_running_loop()
    readers: list[_Reader] = []
    for place, build in enumerate(spec["builds"]):
        last = spec["last"][str(build)]
        path = f"/api/v1/deployments/{build}/stream?after={last}"
        request = f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {spec['token']}\r\n\r\n"
        one = _Reader(request.encode(), last, None if place % _SAMPLED else took)
        readers.append(one)
        await loop.create_connection(lambda one=one: one, "127.0.0.1", spec["port"])
        if place % _AT_ONCE == _AT_ONCE - 1:
            await asyncio.gather(*(reader.opened for reader in readers[-_AT_ONCE:]))
    await asyncio.gather(*(reader.opened for reader in readers))
    return readers


def _answer(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(_main())
