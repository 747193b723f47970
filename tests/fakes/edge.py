"""An edge that answers with the release that the file system names, unless it is told to be silent."""

import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from jobs.sites import Sites


class FakeEdge(ThreadingHTTPServer):
    """Speaks HTTP on a free port of 127.0.0.1. Silent: it answers, but shows nothing."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.home: Path | None = None
        self.silent = False

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    @contextmanager
    def running(self) -> Generator["FakeEdge"]:
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_HEAD(self) -> None:
        edge = self.server
        assert isinstance(edge, FakeEdge)
        assert edge.home is not None
        entry = Sites(edge.home).active(self.headers["Host"])
        self.send_response(200 if entry else 404)
        if entry and not edge.silent:
            self.send_header("X-Slipway-Release", str(entry.release))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the default prints."""
