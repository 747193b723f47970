"""GitHub's sign-in of people by a GitHub App, and what it then tells of them."""

import base64
import hashlib
import json
import secrets
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit


@dataclass
class GitHubPeople:
    """Who signs in there."""

    url: str = ""
    id: int = 42
    emails: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    installed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    codes: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    tokens: set[str] = field(default_factory=set[str])

    def sign_in(self, address: str) -> str:
        """What GitHub does with a browser that comes to sign in: where it is sent on to."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert address.startswith(f"{self.url}/login/oauth/authorize?")
        assert asked["client_id"] == "Iv1"
        code = secrets.token_hex(10)
        self.codes[code] = asked
        return f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}"

    def exchange(self, form: dict[str, str]) -> Any:
        # GitHub answers 200 with an error in the body.
        asked = self.codes.pop(form["code"], None)
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        fits = asked is not None and asked["code_challenge"] == (
            base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        )
        if not fits or form["client_secret"] != "a secret":
            return {"error": "bad_verification_code"}
        token = f"ghu_{secrets.token_hex(8)}"
        self.tokens.add(token)
        return {"access_token": token, "token_type": "bearer", "scope": ""}

    def get(self, path: str, authorization: str) -> Any:
        if authorization.removeprefix("Bearer ") not in self.tokens:
            return None
        return {
            "/user": {"id": self.id, "login": "mona", "name": None},
            "/user/emails": self.emails,
            "/user/installations": {"total_count": len(self.installed), "installations": self.installed},
        }.get(path.partition("?")[0])


@contextmanager
def signing_in() -> Generator[GitHubPeople]:
    """GitHub on a port of the loopback."""
    github = GitHubPeople()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(github.get(self.path, self.headers.get("authorization", "")))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            form = {name: values[0] for name, values in parse_qs(body).items()}
            assert self.headers["accept"] == "application/json"
            self._answer(github.exchange(form) if self.path == "/login/oauth/access_token" else None)

        def _answer(self, content: Any) -> None:
            body = json.dumps(content if content is not None else {"message": "Not Found"}).encode()
            self.send_response(200 if content is not None else 404)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    github.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield github
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)
