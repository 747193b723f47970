"""One request to the proxy (RFC 9112, 3.2; RFC 9110, 9.3.6). Pure."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

MAX_HEAD = 32 * 1024
_LINE = re.compile(rb"([A-Z]{1,16}) ([!-~]{1,4000}) HTTP/1\.[01]")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
# About this hop alone (RFC 9110, 7.6.1), or set anew, or announcing a body.
_DROPPED = frozenset(
    """connection content-length expect host keep-alive proxy-authorization proxy-connection te trailer
    transfer-encoding upgrade""".split()
)


class BadRequestError(Exception):
    """What can't be understood, or is not served. The message says why, for people."""


@dataclass(frozen=True)
class Request:
    """What a client asks the proxy for.

    `target` is HOST[:PORT] as it was spelled, `port` the one where that names none. With `tunnels` the
    client speaks to the host itself.
    """

    method: str
    target: str
    port: int | None
    path: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def tunnels(self) -> bool:
        """Whether a tunnel is asked for."""
        return self.method == "CONNECT"

    def forwarded(self) -> bytes:
        """The request as the host is sent it: for that host and no other, and the only one."""
        kept = [(name, value) for name, value in self.fields if name.lower() not in _DROPPED]
        lines = [("Host", self.target), *kept, ("Connection", "close")]
        text = "".join(f"{name}: {value}\r\n" for name, value in lines)
        return f"{self.method} {self.path} HTTP/1.1\r\n{text}\r\n".encode("latin-1")


def parse(head: bytes) -> Request:
    """Read a request's head, up to the empty line. Raises `BadRequestError`."""
    first, *rest = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    line = _LINE.fullmatch(first)
    if line is None:
        raise BadRequestError("what is not a request of HTTP")
    method, target = line[1].decode(), line[2].decode()
    fields = [_FIELD.fullmatch(one) for one in rest]
    named = tuple((one[1].decode(), one[2].decode("latin-1")) for one in fields if one is not None)
    if len(named) != len(rest):
        raise BadRequestError("what is not a request of HTTP")
    if method == "CONNECT":
        return Request(method, target, None)
    if method not in ("GET", "HEAD"):
        raise BadRequestError(f"{method} without TLS")
    return _absolute(method, target, named)


def _absolute(method: str, target: str, fields: tuple[tuple[str, str], ...]) -> Request:
    try:
        url = urlsplit(target)
    except ValueError as error:
        raise BadRequestError("what is not the address of a page") from error
    if url.scheme != "http" or not url.netloc or url.fragment:
        raise BadRequestError("what is not the address of a page")
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return Request(method, url.netloc, 80, path, fields)
