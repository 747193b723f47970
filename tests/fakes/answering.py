"""An HTTP server on the loopback that answers in JSON, of which a fake says what."""

import json
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

Headers = dict[str, str]
"""By names in small letters."""


@dataclass(frozen=True)
class Answers:
    """What is answered: to a GET of a path, to a form that is posted there; to None a refusal."""

    get: Callable[[str, Headers], Any]
    post: Callable[[str, dict[str, str], Headers], Any]
    refusal: tuple[int, dict[str, str]]


@contextmanager
def answering(answers: Answers) -> Generator[str]:
    """A server, by its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(answers.get(self.path, self._headers()))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            self._answer(answers.post(self.path, form, self._headers()))

        def _headers(self) -> Headers:
            return {name.lower(): value for name, value in self.headers.items()}

        def _answer(self, content: Any) -> None:
            refused, why = answers.refusal
            body = json.dumps(content if content is not None else why).encode()
            self.send_response(200 if content is not None else refused)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
