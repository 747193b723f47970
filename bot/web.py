"""The web process: `slipway web`, or `python -m bot.web`."""

import asyncio
import gc
import resource
import sys
from typing import cast

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from bot import program
from bot.api.handover import HANDOVER, Taker
from bot.app import create_app
from bot.log import set_up_logging
from bot.settings import Settings

REQUEST_SECONDS = 30.0
"""How long a request may take to arrive, from its first byte (or the connection) to its last."""
MAX_CONNECTIONS = 8192
RESERVED_FILES = 64
"""File descriptors that connections leave to the store, the queue and logs that are read."""
MAX_HEAD = 64 * 1024
"""Most bytes of a request besides its body: its line, its headers, what frames its chunks."""
_TOO_MUCH = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
GRACEFUL_SECONDS = 1
SWITCH_SECONDS = 0.001
"""How long a thread may keep the interpreter from the loop, which answers GitHub."""
_SHARE = 16
"""Of so many connections one goes when room is made, and one is the room."""


class PatientProtocol(HttpToolsProtocol):
    """HTTP that closes connections whose request does not arrive, or brings headers without end.

    uvicorn limits only the idle time between requests and the number of connections: a client that
    sends nothing, or a header a minute, it would keep for ever, and of headers any number. When there
    are as many connections as may be, those go first whose request has been awaited longest.
    """

    request_seconds = REQUEST_SECONDS

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._arriving = False
        self._is_headed = False
        self._head = 0
        self._since = 0.0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client came: its first request must arrive in time."""
        super().connection_made(transport)
        self._arriving = True
        self._since = self.loop.time()
        self._watch()
        limit = self.config.limit_concurrency
        # Below uvicorn's own limit, from which on it refuses every request.
        if limit is not None and len(self.connections) > limit - limit // _SHARE - 1:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client went."""
        self._arriving = False
        self._watch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came; what began and is not complete has until the deadline."""
        self._head += len(data)
        super().data_received(data)
        if self._arriving and self._head > MAX_HEAD:
            self._refuse()
        self._watch()

    def on_body(self, body: bytes) -> None:
        """A part of a body came; how large that may be, who reads it decides."""
        self._head -= len(body)
        super().on_body(body)

    def on_message_begin(self) -> None:
        """A request begins."""
        self._arriving = True
        # What came with it in one piece is not counted: it is there already.
        self._head = 0
        self._is_headed = False
        super().on_message_begin()
        cast("dict[str, object]", self.scope)["extensions"] = {HANDOVER: self._hand_over}

    def on_headers_complete(self) -> None:
        """All headers are there: from here on, the answer is the application's."""
        self._is_headed = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """A request has arrived."""
        self._arriving = False
        super().on_message_complete()

    def _hand_over(self, taker: Taker) -> None:
        """Give the connection to what writes the rest of an answer without an end; see `bot.api.handover`.

        It counts among the connections, as this did. What the client sends from now on is no request.
        """
        if self.cycle.disconnected:
            return
        # Else uvicorn would say that the answer is not complete.
        self.cycle.disconnected = True
        self._arriving = False
        self._watch()
        self.flow.resume_reading()
        self.transport.set_protocol(taker)
        self.connections.discard(self)
        self.connections.add(taker)  # type: ignore[arg-type]
        taker.take(self.transport, self.connections.discard)
        # Each points at this object, which at each of them: only the garbage collector would find them.
        self.parser = self.scope = self.cycle = None  # type: ignore[assignment]

    def _make_room(self) -> None:
        others = [one for one in self.connections if isinstance(one, PatientProtocol) and one is not self]
        idle = sorted((one for one in others if one.awaits_request), key=PatientProtocol.came)
        # Some at once: to look for the oldest at each new connection would be what a flood wants.
        for one in idle[: len(others) // _SHARE + 1]:
            one.transport.abort()

    @property
    def awaits_request(self) -> bool:
        """Whether no whole request is there that is not answered yet."""
        return self._arriving or not self._is_headed or self.cycle.response_complete

    def came(self) -> float:
        """When the connection was made, by the loop's clock."""
        return self._since

    def _refuse(self) -> None:
        if not self._is_headed:
            self.transport.write(_TOO_MUCH)
        self.transport.close()

    def _watch(self) -> None:
        if self._arriving and self._deadline is None:
            self._deadline = self.loop.call_later(self.request_seconds, self.transport.close)
        elif not self._arriving and self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def serve(settings: Settings) -> None:
    """Listen until a signal ends the process; open requests get some seconds to end."""
    run(create_app(settings), settings)


def run(app: ASGIApp, settings: Settings) -> None:
    """Serve an application as the web process is served."""
    connections = _allow_connections()
    # What is there by now stays: the collector of garbage need not look at it again and again.
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(SWITCH_SECONDS)
    host, _, port = settings.web_address.rpartition(":")
    config = uvicorn.Config(
        app,
        host="" if host == "*" else host.strip("[]"),
        port=int(port),
        loop="uvloop",
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        limit_concurrency=connections,
        timeout_graceful_shutdown=GRACEFUL_SECONDS,
    )
    uvicorn.Server(config).run()


def main() -> None:
    """Read the settings and serve."""
    set_up_logging("web")
    serve(Settings())


def _allow_connections() -> int:
    """Raise the limit of open files as far as is useful; how many connections there may be at once."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, MAX_CONNECTIONS * 2)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(1, min(MAX_CONNECTIONS, max(soft, wanted) - RESERVED_FILES))


if __name__ == "__main__":
    program.run(main)
