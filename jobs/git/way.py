"""The way to a git server that somebody named: to addresses of the public Internet, or of allowed networks.

The name is resolved once, every address looked at, and git is told to dial those: a name that changes its
mind in between (DNS rebinding) gains nothing. Redirects are not followed, since nobody looks at where to.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from dataclasses import dataclass, field
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from jobs.git.command import GitStoppedError
from jobs.reach import Network, may_reach

_SCP = re.compile(r"(?:[^@/:]+@)?(\[[^\]/]+\]|[^:/]+):(?!/?/)")
_PLAIN_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:.]+")
_PORTS = {"http": 80, "https": 443, "ssh": 22}
_TICK = 0.05


class NoWayError(Exception):
    """A server that is not to be asked; the text says why."""


class UnknownHostError(Exception):
    """A server whose name nobody knows, or the name server does not answer; that may pass."""


@dataclass(frozen=True)
class Way:
    """What git is told of the way: settings of its own, and options for ssh."""

    settings: tuple[tuple[str, str], ...] = ()
    ssh: Sequence[str] = ()


@dataclass(frozen=True)
class Place:
    """Where a URL leads to."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True)
class Ways:
    """Finds ways. What is on the GitHub of the settings, or a file, is the operator's business."""

    github_url: str
    allowed: Sequence[Network]
    proxies: Mapping[str, str] = field(default_factory=getproxies)

    def to(self, url: str, seconds: float, stopped: Callable[[], bool]) -> Way:
        """The way to a repository's server.

        Raises `NoWayError`, `UnknownHostError`, and `GitStoppedError`.
        """
        place = place_of(url)
        if place is None or (place.scheme != "ssh" and _host(self.github_url) == place.host):
            return Way()
        if not _PLAIN_HOST.fullmatch(place.host):
            raise NoWayError(f"'{place.host}' is not the name of a server")
        if place.scheme != "ssh" and place.scheme in self.proxies and not proxy_bypass(place.host):
            # The operator's proxy looks names up itself, and decides what may be reached.
            return Way((("http.followRedirects", "false"),))
        found = _looked_up(place, seconds, stopped)
        if not all(may_reach(address, self.allowed) for address in found):
            raise NoWayError(
                f"{place.host} is at a private address, which the setting OUTGOING_NETWORKS does not allow"
            )
        return _pinned(place, found)


def place_of(url: str) -> Place | None:
    """Where a URL leads to, as git reads it (git-clone(1), GIT URLS); None for a file."""
    parts = urlsplit(url)
    if parts.scheme in _PORTS and "://" in url:
        return Place(parts.scheme, (parts.hostname or "").lower(), parts.port or _PORTS[parts.scheme])
    if "://" in url or url.startswith("/"):
        return None
    match = _SCP.match(url)
    return Place("ssh", match[1].strip("[]").lower(), _PORTS["ssh"]) if match else None


def _pinned(place: Place, addresses: Sequence[str]) -> Way:
    if place.scheme == "ssh":
        return Way(ssh=(f"-oHostName={addresses[0]}", f"-oHostKeyAlias={place.host}"))
    spelled = ",".join(f"[{one}]" if ":" in one else one for one in addresses)
    return Way(
        (
            ("http.curloptResolve", f"{place.host}:{place.port}:{spelled}"),
            ("http.followRedirects", "false"),
        )
    )


def _looked_up(place: Place, seconds: float, stopped: Callable[[], bool]) -> list[str]:
    """All addresses of a host. The resolver is asked in a thread of its own, which may hang."""
    answer = Future[list[str]]()
    threading.Thread(target=_resolve, args=(place, answer), daemon=True, name="resolver").start()
    end = time.monotonic() + seconds
    while True:
        try:
            return answer.result(_TICK)
        except NotYetError:
            if stopped():
                raise GitStoppedError from None
            if time.monotonic() > end:
                raise UnknownHostError(f"Could not resolve host: {place.host}") from None


def _resolve(place: Place, answer: Future[list[str]]) -> None:
    try:
        found = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        answer.set_exception(UnknownHostError(f"Could not resolve host: {place.host}"))
    else:
        answer.set_result(list(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found)))


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower()
