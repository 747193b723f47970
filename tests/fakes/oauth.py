"""GitHub's sign-in of people by a GitHub App, and what it then tells of them."""

import base64
import hashlib
import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from tests.fakes.answering import Answers, Headers, answering


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

    def get(path: str, headers: Headers) -> Any:
        return github.get(path, headers.get("authorization", ""))

    def post(path: str, form: dict[str, str], headers: Headers) -> Any:
        assert headers["accept"] == "application/json"
        return github.exchange(form) if path == "/login/oauth/access_token" else None

    with answering(Answers(get, post, (404, {"message": "Not Found"}))) as url:
        github.url = url
        yield github
