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
from jobs.public import Network
from jobs.reach import may_reach

_SCP = re.compile(r"(?:[^@/:]+@)?(\[[^\]/]+\]|[^:/]+):(?!:)")
_PLAIN_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:.]+")
_PORTS = {"http": 80, "https": 443, "ssh": 22}
_TICK = 0.05


class NoWayError(Exception):
    """A server that is not to be asked; the text says why."""


class UnknownHostError(Exception):
    """A server whose name nobody knows, or the name server does not answer; that may pass."""


Resolve = Callable[[str, int], Sequence[str]]


def resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a name, as this machine's resolver has them. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]).partition("%")[0] for one in found))


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
    resolve: Resolve = resolve

    def to(self, url: str, seconds: float, stopped: Callable[[], bool]) -> Way:
        """The way to a repository's server.

        Raises `NoWayError`, `UnknownHostError`, and `GitStoppedError`.
        """
        place = place_of(url)
        if place is None or self._is_github(place):
            return Way()
        if not _PLAIN_HOST.fullmatch(place.host):
            raise NoWayError(f"'{place.host}' is not the name of a server")
        if self._is_proxied(place):
            # The operator's proxy looks names up itself, and decides what may be reached.
            return Way((("http.followRedirects", "false"),))
        found = self._looked_up(place, seconds, stopped)
        if not all(may_reach(address, self.allowed) for address in found):
            raise NoWayError(
                f"{place.host} is at a private address, which the setting OUTGOING_NETWORKS does not allow"
            )
        return _pinned(place, found)

    def _looked_up(self, place: Place, seconds: float, stopped: Callable[[], bool]) -> Sequence[str]:
        """All addresses of a host. The resolver is asked in a thread of its own, since it may hang."""
        answer = Future[Sequence[str]]()

        def look() -> None:
            try:
                answer.set_result(self.resolve(place.host, place.port))
            except (OSError, UnicodeError):
                answer.set_exception(UnknownHostError(f"Could not resolve host: {place.host}"))

        threading.Thread(target=look, daemon=True, name="resolver").start()
        end = time.monotonic() + seconds
        while True:
            try:
                return answer.result(_TICK)
            except NotYetError:
                if stopped():
                    raise GitStoppedError from None
                if time.monotonic() > end:
                    raise UnknownHostError(f"Could not resolve host: {place.host}") from None

    def _is_github(self, place: Place) -> bool:
        own = place_of(self.github_url)
        if own is None or own.host != place.host:
            return False
        return own == place or (place.scheme, place.port) == ("ssh", _PORTS["ssh"])

    def _is_proxied(self, place: Place) -> bool:
        named = place.scheme in self.proxies or "all" in self.proxies
        return named and place.scheme != "ssh" and not proxy_bypass(place.host)


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
    stays = (("http.followRedirects", "false"),)
    if list(addresses) == [place.host]:
        return Way(stays)
    spelled = ",".join(f"[{one}]" if ":" in one else one for one in addresses)
    return Way((*stays, ("http.curloptResolve", f"{place.host}:{place.port}:{spelled}")))
