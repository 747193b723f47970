"""Answers the edge's questions about hostnames that are watched: who may see them, and whether they sleep.

A visitor who may is let through by 204. A link in the address is taken out of it, for a cookie of this
hostname alone. Whoever may not gets 401, and a page that tells nothing of whose site it is.
"""

import asyncio
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from bot.clock import Clock, utc_now
from bot.settings import Settings
from bot.share import (
    HAND_OVER_LIFE,
    HEADER,
    PARAMETER,
    PLAIN_COOKIE,
    SECURE_COOKIE,
    SIGNED_IN,
    SIGNED_IN_LIFE,
    Pass,
    open_signer,
)
from jobs.gates import Gate, Gates
from jobs.site_entry import Watch
from jobs.sites import Sites
from jobs.visits import Visits

HELD_SECONDS = 8.0
"""How long a visitor of a sleeping site is kept waiting before a page says that it wakes."""
NOTED_SECONDS = 60.0
"""How often a visit of a protected site is told at most."""
ENTER = "/previews/enter"
"""The console's address that hands over who signed in there."""

_LOOK_SECONDS = 0.03
# As many as a browser keeps for a site: other sites of the same domain may have set all but one.
_MOST_COOKIES = 200
_LONGEST_COOKIE = timedelta(days=30)
_TEMPLATES = Path(__file__).parent.parent / "templates" / "page"
_NOT_PRINTABLE = re.compile(r"[^!-~]")
_ALWAYS = (
    ("Cache-Control", "no-store"),
    ("X-Robots-Tag", "noindex"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)


@dataclass(frozen=True)
class Reply:
    """What the edge is answered; 204 is a leave, all else goes to the visitor as it is."""

    status: int
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""


_LEAVE = Reply(204)


@dataclass(frozen=True)
class _Visit:
    """One request, as the edge describes it."""

    host: str
    watch: Watch
    uri: str
    secure: bool
    cookies: str
    share: str
    wants_page: bool

    @staticmethod
    def read(asked: Mapping[str, str]) -> "_Visit":
        schemes = (asked.get("x-slipway-scheme"), asked.get("x-slipway-forwarded"))
        return _Visit(
            host=asked["x-slipway-host"],
            watch=Watch(asked["x-slipway-watch"]),
            uri=asked["x-slipway-uri"],
            secure="https" in schemes,
            cookies=asked.get("cookie", ""),
            share=asked.get(HEADER.lower(), ""),
            wants_page="text/html" in asked.get("accept", ""),
        )


class Spent:
    """Hand-overs that were taken. Those from before this process started count as taken, too."""

    def __init__(self, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._since = clock()
        self._until: dict[str, datetime] = {}

    def take(self, nonce: str, end: datetime) -> bool:
        """Take a hand-over; False when it was taken before."""
        now = self._clock()
        self._until = {one: until for one, until in self._until.items() if until > now}
        if nonce in self._until or end - HAND_OVER_LIFE < self._since - timedelta(seconds=1):
            return False
        self._until[nonce] = end
        return True


class Gatekeeper:
    """Decides about visits by the edge's own files and the instance's keys; it needs no store."""

    def __init__(
        self, settings: Settings, spent: Spent, clock: Clock = utc_now, *, held: float = HELD_SECONDS
    ) -> None:
        self._held = held
        home = settings.edge_home
        self._sites, self._gates, self._visits = Sites(home), Gates(home), Visits(home)
        self._signer = open_signer(settings, clock)
        self._spent = spent
        self._clock = clock
        self._enter = f"{settings.url}{ENTER}"
        self._noted: dict[str, float] = {}
        self._pages = Environment(
            loader=FileSystemLoader(_TEMPLATES), undefined=StrictUndefined, autoescape=True
        )

    async def answer(self, asked: Mapping[str, str]) -> Reply:
        """What becomes of a request. Raises `KeyError` and `ValueError` for what the edge never sends."""
        visit = _Visit.read(asked)
        if visit.watch.is_guarded:
            reply = self._guard(visit)
            if reply is not _LEAVE:
                return reply
        if visit.watch.is_asleep:
            return await self._wake(visit)
        self._note(visit)
        return _LEAVE

    def _guard(self, visit: _Visit) -> Reply:
        gate = self._gates.get(visit.host)
        if gate is None:
            return self._refuse(visit)
        clean, token = _without_token(visit.uri)
        if token is not None:
            found = self._by_token(gate, visit.host, token)
            if found is not None:
                return _moved(clean, self._cookie(gate, visit, found))
            # An old link does no harm to who may come in anyhow.
            return _moved(clean) if self._by_cookie(gate, visit) else self._refuse(visit)
        if self._by_cookie(gate, visit):
            return _LEAVE
        return _LEAVE if visit.share and self._by_link(gate, visit.share) else self._refuse(visit)

    def _by_token(self, gate: Gate, host: str, token: str) -> Pass | None:
        over = self._signer.read_hand_over(token, host)
        if over is not None:
            taken = self._spent.take(over.nonce, over.until)
            return Pass(SIGNED_IN, self._clock() + SIGNED_IN_LIFE) if taken else None
        return self._by_link(gate, token)

    def _by_link(self, gate: Gate, token: str) -> Pass | None:
        found = self._signer.read_link(token, gate.scopes)
        return found if found is not None and _is_open(gate, found) else None

    def _by_cookie(self, gate: Gate, visit: _Visit) -> bool:
        # Another site of the same domain may have set cookies of that name, too: the right one is among them.
        found = (self._signer.read_cookie(value, visit.host, gate.app) for value in _cookies(visit.cookies))
        return any(one is not None and _is_open(gate, one) for one in found)

    def _cookie(self, gate: Gate, visit: _Visit, found: Pass) -> str:
        now = self._clock()
        until = min(found.until, now + _LONGEST_COOKIE)
        value = self._signer.cookie(visit.host, gate.app, found.by, until)
        name = SECURE_COOKIE if visit.secure else PLAIN_COOKIE
        seconds = int((until - now).total_seconds())
        secure = "; Secure" if visit.secure else ""
        return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}"

    def _refuse(self, visit: _Visit) -> Reply:
        clean, token = _without_token(visit.uri)
        enter = f"{self._enter}?{urlencode({'host': visit.host, 'to': _local(clean)})}"
        page = self._pages.get_template("protected.html").render(enter=enter, had_link=token is not None)
        challenge = ("WWW-Authenticate", 'Slipway-Share realm="preview"')
        return _page(401, page, challenge)

    async def _wake(self, visit: _Visit) -> Reply:
        deadline = time.monotonic() + self._held
        told = 0.0
        while self._sites.is_asleep(visit.host):
            now = time.monotonic()
            if now > deadline:
                return self._wakes(visit)
            if now - told > 1:
                self._visits.note(visit.host)
                told = now
            await asyncio.sleep(_LOOK_SECONDS)
        return _LEAVE

    def _wakes(self, visit: _Visit) -> Reply:
        retry = ("Retry-After", "2")
        if visit.wants_page:
            return _page(503, self._pages.get_template("waking.html").render(), retry)
        return Reply(503, (*_ALWAYS, ("Content-Type", "text/plain"), retry), b"This preview wakes up.\n")

    def _note(self, visit: _Visit) -> None:
        if visit.watch is Watch.TOLD:
            self._visits.note(visit.host)
            self._sites.tell(visit.host)
            return
        now = time.monotonic()
        if now - self._noted.get(visit.host, -NOTED_SECONDS) >= NOTED_SECONDS:
            self._noted[visit.host] = now
            self._visits.note(visit.host)


def _is_open(gate: Gate, found: Pass) -> bool:
    if found.link is None:
        return True
    return not gate.login and found.link not in gate.revoked


def _cookies(header: str) -> list[str]:
    pairs = (part.strip().partition("=") for part in re.split("[;,]", header))
    return [value for name, _, value in pairs if name in (PLAIN_COOKIE, SECURE_COOKIE)][:_MOST_COOKIES]


def _without_token(uri: str) -> tuple[str, str | None]:
    """An address without the link's parameter, and the token that stood there."""
    path, mark, query = uri.partition("?")
    parts = query.split("&") if mark else []
    tokens = [part.partition("=")[2] for part in parts if part.partition("=")[0] == PARAMETER]
    rest = "&".join(part for part in parts if part.partition("=")[0] != PARAMETER)
    return (f"{path}?{rest}" if rest else path), (tokens[0] if tokens else None)


def _local(uri: str) -> str:
    """An address of this very site: browsers read two slashes, of either kind, as another host's."""
    path, mark, query = uri.partition("?")
    plain = "/" + path.replace("\\", "/").lstrip("/")
    return _NOT_PRINTABLE.sub(lambda found: quote(found[0]), plain + mark + query)


def _moved(uri: str, cookie: str | None = None) -> Reply:
    given = (("Set-Cookie", cookie),) if cookie else ()
    return Reply(303, (*_ALWAYS, ("Location", _local(uri)), *given))


def _page(status: int, text: str, *more: tuple[str, str]) -> Reply:
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'"
    kind = (("Content-Type", "text/html; charset=utf-8"), ("Content-Security-Policy", policy))
    return Reply(status, (*_ALWAYS, *kind, *more), text.encode())
