"""Answers the edge's questions about sites that have rules or are watched, on a socket of its own.

`/rules`: a redirect is answered as the visitor is to get it; 204 means "serve a file", with the headers
that the site asks for, `X-Slipway-Path` when another file is meant and `X-Slipway-Status` with its status.
`/gate`: 204 means "go on"; all else is for the visitor.
`/spelling`: 308 to a hostname's plain spelling, or 404. `/tls-allowed?domain=`: whether a certificate may be
had for a name, 200 or 404.
"""

import os
import socket
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from pathlib import Path
from typing import Any, assert_never
from urllib.parse import parse_qs, unquote

import msgspec
import uvicorn

from bot.domain.hostname import is_hostname
from bot.domain.ids import ReleaseId
from bot.log import logger
from jobs.gatekeeper import Gatekeeper
from jobs.rulebook import Moved, Rulebook, Served
from jobs.site_patterns import Path as SitePath
from jobs.site_patterns import tidy
from jobs.site_rules import Rules, from_json
from jobs.sites import Sites

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = tuple[int, list[tuple[str, str]]]

_CACHED_RELEASES = 128
_EMPTY = (("Content-Length", "0"),)


class RulesApp:
    """The questions, as an ASGI application. Releases never change, so their rules are kept once read."""

    def __init__(self, edge_home: Path, gatekeeper: Gatekeeper) -> None:
        self._gatekeeper = gatekeeper
        self._sites = Sites(edge_home)
        self._releases = edge_home / "releases"
        self._book = lru_cache(_CACHED_RELEASES)(self._read)

    async def __call__(self, scope: MutableMapping[str, Any], _receive: object, send: Send) -> None:
        """Answer one request; there is nothing else (no lifespan, no web sockets)."""
        asked = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        body = b""
        match scope["path"]:
            case "/gate":
                reply = await self._gatekeeper.answer(asked)
                status, body = reply.status, reply.body
                length = [] if status == 204 else [("Content-Length", str(len(body)))]
                headers = [*reply.headers, *length]
            case "/rules":
                status, headers = self._rules(asked)
            case "/spelling":
                status, headers = self._spelling(asked)
            case "/tls-allowed":
                status, headers = self._tls_allowed(scope["query_string"].decode("latin-1"))
            case _:
                status, headers = 404, []
        encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": status, "headers": encoded})
        await send({"type": "http.response.body", "body": body})

    def _rules(self, asked: dict[str, str]) -> Answer:
        release = ReleaseId(int(asked["x-slipway-release"]))
        path, _, query = asked["x-slipway-uri"].partition("?")
        files = self._releases / str(release) / "files"
        answer = self._book(release).answer(_decoded(path), query, lambda wanted: _has_file(files, wanted))
        match answer:
            case Moved(status, location):
                return status, [("Location", location)]
            case Served(path, status, headers):
                meant = [] if path is None else [("X-Slipway-Path", path), ("X-Slipway-Status", str(status))]
                return 204, [*headers, *meant]
            case _:
                assert_never(answer)

    def _read(self, release: ReleaseId) -> Rulebook:
        try:
            return Rulebook(from_json((self._releases / str(release) / "rules.json").read_bytes()))
        except FileNotFoundError:
            logger.warning("rules.missing", release=release)
            return Rulebook(Rules())
        except msgspec.DecodeError as error:
            logger.warning("rules.unreadable", release=release, error=str(error))
            return Rulebook(Rules())

    def _spelling(self, asked: dict[str, str]) -> Answer:
        host, colon, port = asked["x-slipway-host"].partition(":")
        plain = host.lower().removesuffix(".")
        if not is_hostname(plain) or self._sites.active(plain) is None:
            return 404, []
        return 308, [*_EMPTY, ("Location", f"//{plain}{colon}{port}{asked['x-slipway-uri']}")]

    def _tls_allowed(self, query: str) -> Answer:
        domain = parse_qs(query).get("domain", [""])[0]
        return (200 if is_hostname(domain) and self._sites.active(domain) is not None else 404), []


def _decoded(path: str) -> SitePath:
    return tidy(unquote(path.encode("latin-1").decode("utf-8", "replace"), errors="replace"))


def _has_file(files: Path, path: SitePath) -> bool:
    """Whether the edge would find a file, as its own rules have it: itself, a page, a folder's index."""
    relative = "/".join(path.parts)
    names = [relative, f"{relative}.html", f"{relative}/index.html"] if relative else ["index.html"]
    try:
        return any((files / name).is_file() for name in names)
    except (OSError, ValueError):
        return False


class RulesServer:
    """Serves the questions from a thread. A successor may take the socket over before this one stops."""

    def __init__(
        self, edge_home: Path, path: Path, gatekeeper: Gatekeeper, *, ask_port: bool = False
    ) -> None:
        self._sockets = [_listen(path)]
        if ask_port:
            self._sockets.append(socket.create_server(("127.0.0.1", 0)))
        config = uvicorn.Config(
            RulesApp(edge_home, gatekeeper),
            http="httptools",
            loop="uvloop",
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=300,
            timeout_graceful_shutdown=1,
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=(self._sockets,), name="rules", daemon=True
        )

    @property
    def ask_port(self) -> int | None:
        """Port on 127.0.0.1 that answers `/tls-allowed`, if one was wanted."""
        return self._sockets[1].getsockname()[1] if len(self._sockets) > 1 else None

    def start(self) -> None:
        """Begin to answer; requests that came since the socket was opened are waiting."""
        self._thread.start()

    @property
    def alive(self) -> bool:
        """Whether it still answers."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Finish the requests in hand, within a second, and end."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(3)
        for listener in self._sockets:
            listener.close()


def _listen(path: Path) -> socket.socket:
    """A socket for this user alone, put in place in one step so that no request finds none."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(fresh))
    finally:
        os.umask(mask)
    listener.listen(1024)
    fresh.replace(path)
    return listener
