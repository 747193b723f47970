"""GitHub's sign-in of people by a GitHub App, and what it then tells of them."""

import secrets
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.answering import Answers, Headers, answering
from tests.fakes.codes import Codes


@dataclass
class GitHubPeople:
    """Who signs in there."""

    url: str = ""
    id: int = 42
    emails: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    installed: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    codes: Codes = field(default_factory=Codes)
    tokens: set[str] = field(default_factory=set[str])

    def sign_in(self, address: str) -> str:
        """What GitHub does with a browser that comes to sign in: where it is sent on to."""
        asked, on = self.codes.give(address, f"{self.url}/login/oauth/authorize")
        assert asked["client_id"] == "Iv1"
        return on

    def exchange(self, form: dict[str, str]) -> Any:
        # GitHub answers 200 with an error in the body.
        if self.codes.take(form) is None or form["client_secret"] != "a secret":
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
