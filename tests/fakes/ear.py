"""A receiver of webhooks on the loopback, which keeps what it hears and answers as it is told."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Heard:
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def event(self) -> str:
        return json.loads(self.body)["type"]


@dataclass
class Ear:
    """A receiver that answers as it is told, by path; a path with a gate waits for that."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list[Heard])
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict[str, Any])
    gates: dict[str, threading.Event] = field(default_factory=dict[str, threading.Event])

    def events(self, path: str = "/") -> list[str]:
        return [one.event for one in self.heard if one.path == path]


@contextmanager
def listening() -> Generator[Ear]:
    """An ear on a free port of the loopback."""
    ear = Ear()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            ear.heard.append(Heard(self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            if gate := ear.gates.get(self.path):
                gate.wait(20)
            status, headers, answer = ear.answers.get(self.path, (200, {}, b"thanks"))
            self.send_response(status)
            for name, value in {**headers, "content-length": str(len(answer))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    ear.url = f"http://127.0.0.1:{server.server_port}"
    yield ear
    for gate in ear.gates.values():
        gate.set()
    server.shutdown()
    server.server_close()
    thread.join()
