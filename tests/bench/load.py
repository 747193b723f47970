"""A load generator: a process of its own that keeps a number of HTTP connections busy for some seconds.

`run` starts it on the clients' core. Each connection sends its next request when it has the answer to the
last. It reads answers just far enough to tell where they end, which takes about 15 µs a request.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop

from tests.bench.machine import CLIENT_CORE, on_core

UNIQUE = b"00000000-0000-0000-0000-000000000000"
"""Stands in a request where each one is to have another value."""
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Load:
    """What came of it. Latencies in milliseconds; `wrong` counts answers with another status."""

    requests: int
    seconds: float
    wrong: int
    p50: float
    p99: float
    worst: float

    @property
    def rate(self) -> float:
        """Requests per second."""
        return self.requests / self.seconds


def run(port: int, request: bytes, *, status: int, connections: int = 32, seconds: float = 2.0) -> Load:
    """Load a server on 127.0.0.1 with one request over and over."""
    spec = {"port": port, "status": status, "connections": connections, "seconds": seconds}
    head = json.dumps(spec).encode() + b"\n"
    with on_core(CLIENT_CORE):
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.load"],
            input=head + request,
            capture_output=True,
            check=False,
            timeout=seconds + _PATIENCE_SECONDS,
        )
    if done.returncode:
        raise RuntimeError(done.stderr.decode())
    return Load(**json.loads(done.stdout))


@dataclass
class _Crowd:
    request: bytes
    status: bytes
    until: float = 0.0
    number: int = 0
    wrong: int = 0
    took: list[float] = field(default_factory=list[float])

    def next(self) -> bytes:
        self.number += 1
        return self.request.replace(UNIQUE, b"%08x-%s" % (self.number, _STAMP), 1)


_STAMP = b"%04x-0000-0000-%012x" % (time.monotonic_ns() & 0xFFFF, time.time_ns() & 0xFFFFFFFFFFFF)


class _Client(asyncio.Protocol):
    def __init__(self, crowd: _Crowd, ended: "asyncio.Future[None]") -> None:
        self._crowd = crowd
        self._ended = ended
        self._buffer = b""
        self._begun = 0.0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are of no class of asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head = self._buffer.find(b"\r\n\r\n")
        if head < 0:
            return
        length = _LENGTH.search(self._buffer, 0, head)
        if length is not None:
            whole = len(self._buffer) >= head + 4 + int(length[1])
        else:
            whole = _CHUNKED.search(self._buffer, 0, head) is None or self._buffer.endswith(b"0\r\n\r\n")
        if whole:
            self._answered()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        if not self._ended.done():
            self._crowd.wrong += 1
            self._ended.set_result(None)

    def _answered(self) -> None:
        now = time.perf_counter()
        self._crowd.took.append(now - self._begun)
        if not self._buffer.startswith(self._crowd.status):
            self._crowd.wrong += 1
        self._buffer = b""
        if now < self._crowd.until:
            self._ask()
        elif not self._ended.done():
            self._ended.set_result(None)

    def _ask(self) -> None:
        assert self._transport is not None
        request = self._crowd.next()
        self._begun = time.perf_counter()
        self._transport.write(request)


async def _main(spec: dict[str, float], request: bytes) -> Load:
    crowd = _Crowd(request, f"HTTP/1.1 {spec['status']:.0f} ".encode())
    loop = asyncio.get_running_loop()
    ends = [loop.create_future() for _ in range(int(spec["connections"]))]
    begun = time.perf_counter()
    crowd.until = begun + spec["seconds"]
    for end in ends:
        await loop.create_connection(lambda end=end: _Client(crowd, end), "127.0.0.1", int(spec["port"]))
    await asyncio.gather(*ends)
    took = sorted(crowd.took)
    p50, p99 = (took[int(len(took) * share)] * 1000 for share in (0.5, 0.99))
    return Load(len(took), time.perf_counter() - begun, crowd.wrong, p50, p99, took[-1] * 1000)


if __name__ == "__main__":
    specification = json.loads(sys.stdin.buffer.readline())
    load = uvloop.run(_main(specification, sys.stdin.buffer.read()))
    sys.stdout.write(json.dumps(asdict(load)))
