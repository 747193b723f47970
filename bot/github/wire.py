"""How requests travel: with time-outs always, a total limit for each answer, and GitHub's API version.

githubkit's own request for an installation token knows neither its time-out nor its headers, so all
of that is decided below it.
"""

import os
import ssl
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from urllib.request import getproxies, proxy_bypass

import httpx

API_VERSION = "2022-11-28"
"""Sent always: without it, GitHub's and githubkit's defaults decide and change (docs.github.com/rest)."""
MAX_ANSWER = 16 * 1024 * 1024
"""Bytes of the longest answer that is read."""


@dataclass(frozen=True)
class Patience:
    """Seconds that a connection, and a whole exchange, may take.

    `pauses`: before each repetition of a request that may be repeated, after a fault that came at once.
    """

    connect: float = 3.0
    total: float = 10.0
    pauses: tuple[float, ...] = (0.2, 0.6)


class Wire(httpx.BaseTransport):
    """A pool of connections that outlives githubkit's clients, which it makes and closes for each call.

    A forked child gets a pool of its own: two processes on one TLS connection would garble it.
    """

    def __init__(self, base_url: str, patience: Patience) -> None:
        self._proxy = _proxy_for(httpx.URL(base_url))
        self._patience = patience
        self._pool = self._new_pool()
        self._owner = os.getpid()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request and read its whole answer. Raises httpx's transport errors."""
        if self._owner != os.getpid():
            self._pool, self._owner = self._new_pool(), os.getpid()
        deadline = time.monotonic() + self._patience.total
        connect = self._patience.connect
        waiting = max(self._patience.total - connect, 0.1)
        request.extensions = {
            **request.extensions,
            "timeout": {"connect": connect, "pool": connect, "read": waiting, "write": waiting},
        }
        request.headers["X-GitHub-Api-Version"] = API_VERSION
        response = self._pool.handle_request(request)
        try:
            content = _read(request, response, deadline)
        finally:
            response.close()
        return httpx.Response(
            response.status_code,
            headers=_readable(response.headers),
            content=content,
            extensions={key: value for key, value in response.extensions.items() if key != "network_stream"},
        )

    def close(self) -> None:
        """Nothing: githubkit's clients come and go, the pool stays. `shut` ends it."""

    def shut(self) -> None:
        """Close all connections."""
        self._pool.close()

    def _new_pool(self) -> httpx.HTTPTransport:
        return httpx.HTTPTransport(verify=_trusted(), proxy=self._proxy)


def _read(request: httpx.Request, response: httpx.Response, deadline: float) -> bytes:
    chunks: list[bytes] = []
    size = 0
    with _named(request):
        # Raw bytes: the client above decodes, and knows by the headers that it must.
        for chunk in response.iter_raw():
            chunks.append(chunk)
            size += len(chunk)
            if time.monotonic() > deadline:
                raise httpx.ReadTimeout("the answer took too long", request=request)
            if size > MAX_ANSWER:
                raise httpx.ReadError("the answer is too long", request=request)
    return b"".join(chunks)


@contextmanager
def _named(request: httpx.Request) -> Generator[None]:
    try:
        yield
    except httpx.RequestError as error:
        error.request = request
        raise


def _readable(headers: httpx.Headers) -> httpx.Headers:
    # githubkit reads these with int() and would raise a bare ValueError for an HTTP date.
    kept = headers.copy()
    for name in ("retry-after", "x-ratelimit-reset"):
        if name in kept and not kept[name].isdecimal():
            kept[name] = "60" if name == "retry-after" else "0"
    return kept


@cache
def _trusted() -> ssl.SSLContext:
    # Reading the certificates takes longer than many a request.
    return httpx.create_ssl_context()


def _proxy_for(url: httpx.URL) -> str | None:
    # httpx ignores the proxy variables of the environment as soon as it is given a transport.
    if proxy_bypass(url.host):
        return None
    return getproxies().get(url.scheme)
