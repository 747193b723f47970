"""A stand-in for GitHub, so that the demo can show a pull request without an account.

It keeps what it is told in memory, and answers with it; it checks nothing. On loopback only.
"""

import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import urlsplit

NAME = "slipway-demo"
TOKEN = "the-demo-needs-none"  # noqa: S105  it opens nothing
"""What the demo signs in with; anything will do."""
_COMMIT_STATUSES = re.compile(r"(/repos/[^/]+/[^/]+)/commits/([0-9a-f]+)/statuses")


@dataclass
class World:
    """What GitHub would know: rows by the path of their collection, and how often each was written."""

    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict[str, list[dict[str, Any]]])
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        """Carry out a request: the status code, and what is answered."""
        if (asked := _COMMIT_STATUSES.fullmatch(path)) is not None:
            path = f"{asked[1]}/statuses/{asked[2]}"
        with self.lock:
            if method == "POST":
                return 201, self._add(path, body)
            if method == "PATCH":
                return self._edit(int(path.rpartition("/")[2]), body)
            return self._read(path)

    def comments(self, number: int) -> list[dict[str, Any]]:
        """Every comment on a pull request."""
        with self.lock:
            return [
                row
                for path, rows in self.rows.items()
                if path.endswith(f"/issues/{number}/comments")
                for row in rows
            ]

    def _add(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        number = 1 + sum(len(rows) for rows in self.rows.values())
        row = {**body, "id": number, "sha": body.get("ref", ""), "user": {"login": NAME}, "writes": 1}
        self.rows.setdefault(path, []).append(row)
        return row

    def _edit(self, number: int, body: dict[str, Any]) -> tuple[int, Any]:
        for row in (row for rows in self.rows.values() for row in rows if row["id"] == number):
            row.update(body, writes=row["writes"] + 1)
            return 200, row
        return 404, {"message": "Not Found"}

    def _read(self, path: str) -> tuple[int, Any]:
        last = path.rpartition("/")[2]
        if path == "/user":
            return 200, {"login": NAME}
        if path.endswith("/pulls"):
            return 200, [pull for pull in self.pulls.values() if pull["state"] == "open"]
        if last.isdigit():
            pull = self.pulls.get(int(last)) if "/pulls/" in path else None
            return (200, pull) if pull else (404, {"message": "Not Found"})
        return 200, list(reversed(self.rows.get(path, [])))


class StandIn:
    """Listens while it is entered."""

    def __init__(self) -> None:
        self.world = World()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.world))
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """The base of its API."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def _handler(world: World) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body: dict[str, Any] = json.loads(self.rfile.read(length)) if length else {}
            status, found = world.answer(self.command, urlsplit(self.path).path, body)
            content = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = _answer  # noqa: N815 as http.server names them

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 as http.server names it
            pass

    return Handler
