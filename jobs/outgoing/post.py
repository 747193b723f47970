"""Posts a webhook: to an address that was checked, without redirects, within a time, reading little."""

import ssl
import time
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

import httpcore
import httpx

from bot.domain.outgoing import Answer
from bot.wording import clean
from jobs.public import Network
from jobs.reach import UnreachableError, addresses

SECONDS = 10.0
"""How long a receiver has to answer, all in all."""
MAX_TEXT = 1024
"""Bytes of an answer that are kept; no more is read."""
_CONNECT_SECONDS = 5.0
_LONGEST_RETRY = 3600
_GONE = 410


def post(
    url: str, headers: Mapping[str, str], body: bytes, *, allowed: Sequence[Network], seconds: float = SECONDS
) -> Answer:
    """Send it once, and tell what came of it."""
    began = time.monotonic()
    try:
        status, answered, text = _exchange(url, headers, body, _Backend(allowed, began + seconds))
    except UnreachableError as error:
        return Answer(ok=False, milliseconds=_since(began), note=f"Not sent: {error}.")
    except (httpcore.TimeoutException, TimeoutError):
        return Answer(ok=False, milliseconds=_since(began), note=f"No answer within {seconds:g} seconds.")
    except (OSError, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol) as error:
        return Answer(ok=False, milliseconds=_since(began), note=_note(error))
    ok = 200 <= status < 300
    return Answer(
        ok=ok,
        status=status,
        milliseconds=_since(began),
        note=""
        if ok
        else f"It answered {status}." + (" Redirects are not followed." if 300 <= status < 400 else ""),
        text=text,
        retry_after=_retry_after(answered),
        gone=status == _GONE,
    )


def _exchange(
    url: str, headers: Mapping[str, str], body: bytes, backend: "_Backend"
) -> tuple[int, dict[str, str], str]:
    timeout = {"connect": _CONNECT_SECONDS, "read": SECONDS, "write": SECONDS, "pool": SECONDS}
    parts: list[bytes] = []
    with (
        httpcore.ConnectionPool(ssl_context=_trust(), network_backend=backend) as pool,
        pool.stream(
            "POST", url, headers=list(headers.items()), content=body, extensions={"timeout": timeout}
        ) as response,
    ):
        size = 0
        for chunk in response.iter_stream():
            parts.append(chunk)
            size += len(chunk)
            if size >= MAX_TEXT:
                break
        answered = {
            name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers
        }
        text = b"".join(parts)[:MAX_TEXT].decode("utf-8", "replace")
        return response.status, answered, "\n".join(clean(line) for line in text.splitlines())


@cache
def _trust() -> ssl.SSLContext:
    return httpx.create_ssl_context()


def _since(began: float) -> int:
    return round((time.monotonic() - began) * 1000)


def _note(error: Exception) -> str:
    said = clean(str(error)).strip().rstrip(".")[:200]
    return f"Not delivered: {said or type(error).__name__}."


def _retry_after(headers: Mapping[str, str]) -> timedelta | None:
    text = headers.get("retry-after", "")
    seconds = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    return timedelta(seconds=min(seconds, _LONGEST_RETRY)) if seconds else None


class _Backend(httpcore.NetworkBackend):
    """Dials addresses that were checked, and lets nothing take longer than until a moment."""

    def __init__(self, allowed: Sequence[Network], deadline: float) -> None:
        self._allowed = allowed
        self._deadline = deadline
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *more: Any, **named: Any
    ) -> httpcore.NetworkStream:
        """Connect to one of a host's addresses."""
        failed: Exception = UnreachableError(f"{host} has no address")
        for address in addresses(host, port, self._allowed):
            left = min(timeout or SECONDS, _left(self._deadline))
            try:
                found = self._real.connect_tcp(address, port, left, *more, **named)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failed = error
            else:
                return _Stream(found, self._deadline)
        raise failed


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends at a moment."""

    def __init__(self, real: httpcore.NetworkStream, deadline: float) -> None:
        self._real = real
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002
        """Read what is there."""
        return self._real.read(max_bytes, _left(self._deadline))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002
        """Write all of it."""
        self._real.write(buffer, _left(self._deadline))

    def close(self) -> None:
        """Close it."""
        self._real.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Go on encrypted."""
        left = min(timeout or SECONDS, _left(self._deadline))
        return _Stream(self._real.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """What is known of the connection."""
        return self._real.get_extra_info(info)


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left
