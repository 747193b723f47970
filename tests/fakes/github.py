"""A GitHub to test against: a real HTTP server that validates each request as GitHub would.

What a well-behaved bot must never send is recorded in `unexpected`, which has to be empty at the end.
"""

import hashlib
import hmac
import json
import random
import socket
import threading
import time
from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import anyio
import httpx
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.fakes.github_asked import Asked, Reply
from tests.fakes.github_comments import Comment
from tests.fakes.github_routes import Routes
from tests.fakes.github_state import Attempt, Installation, Refusal, Repository, Token, World

PERMISSIONS = {
    "metadata": "read",
    "contents": "read",
    "statuses": "write",
    "deployments": "write",
    "pull_requests": "write",
    "checks": "read",
}
HOOK_ID = "77"
STATIC_TOKEN = "github_pat_" + "x" * 82


@dataclass
class Trouble:
    """What happens to a request instead of its usual answer. `after`: it was carried out all the same."""

    status: int = 0
    message: str = "Server Error"
    headers: Mapping[str, str] | None = None
    hang: float = 0.0
    after: bool = False
    methods: tuple[str, ...] = ("GET", "POST")
    path: str = ""


@dataclass
class Weather:
    """Bad luck: which part of the requests fail, before or after they were carried out."""

    luck: random.Random
    share: float

    def trouble(self) -> Trouble | None:
        if self.luck.random() >= self.share:
            return None
        return Trouble(status=self.luck.choice((500, 502, 503)), after=self.luck.random() < 0.5)


@dataclass
class Hook:
    """Where deliveries go, and with which secret they are signed."""

    url: str
    secret: str


class FakeGitHub:
    """Start it with `running()`. `url` is the API's base."""

    def __init__(self, *, key: rsa.RSAPrivateKey | None = None, base_path: str = "") -> None:
        self._key = key or _key()
        self._lock = threading.RLock()
        self._base_path = base_path
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}{base_path}"
        self.reset()
        app = Starlette(
            routes=[Route("/{path:path}", self._serve, methods=["GET", "POST", "PATCH", "PUT", "DELETE"])]
        )
        config = uvicorn.Config(app, lifespan="off", log_config=None, timeout_graceful_shutdown=0, ws="none")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True
        )

    def reset(self) -> None:
        """Forget everything: a new world, at the same address."""
        self.world = World(self._key)
        self.hook: Hook | None = None
        self.unexpected: list[str] = []
        self.requests: list[str] = []
        self.unchanged = 0
        self.writes: list[float] = []
        self._weather: Weather | None = None
        self._troubles: deque[Trouble] = deque()
        self._routes = Routes(self.world, self.url, self._redeliver)
        self.apps = self._routes.apps

    @contextmanager
    def running(self) -> Generator["FakeGitHub"]:
        self._thread.start()
        try:
            yield self
        finally:
            self.stop()

    def stop(self) -> None:
        """Stop listening and cut every connection."""
        self._server.should_exit = True
        self._server.force_exit = True
        self._thread.join(10)
        self._socket.close()

    # What there is.

    def add_repository(
        self,
        full_name: str,
        number: int = 1,
        *,
        installation: int | None = 9,
        commits: set[str] | None = None,
    ) -> Repository:
        """Add a repository, and its installation of the App. With no set of commits, any SHA exists."""
        repository = Repository(number, full_name, installation, commits)
        self.world.repositories[full_name] = repository
        if installation is not None and installation not in self.world.installations:
            self.world.installations[installation] = Installation(installation, dict(PERMISSIONS))
        return repository

    def add_token(self, token: str = STATIC_TOKEN) -> str:
        """Accept a personal access token for every repository."""
        self.world.tokens[token] = Token(None, None, dict(PERMISSIONS), datetime.now(UTC) + timedelta(days=9))
        return token

    # Troubles.

    def fail_next(self, count: int, status: int, **trouble: Any) -> None:
        """Answer the next requests with an error."""
        self._troubles.extend(Trouble(status=status, **trouble) for _ in range(count))

    def hang(self, seconds: float, *, count: int = 1, **trouble: Any) -> None:
        """Let the next requests wait for their answer."""
        self._troubles.extend(Trouble(hang=seconds, **trouble) for _ in range(count))

    def limit(
        self, *, retry_after: int | None = None, reset_in: int | None = None, secondary: bool = False
    ) -> None:
        """Answer the next request with a rate limit: with the headers that are named, or with none."""
        headers: dict[str, str] = {}
        if retry_after is not None:
            headers["Retry-After"] = str(retry_after)
        if reset_in is not None:
            reset = int(datetime.now(UTC).timestamp()) + reset_in
            headers |= {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
        kind = "a secondary rate limit" if secondary else "API rate limit"
        message = f"You have exceeded {kind}. Please wait a few minutes before you try again."
        self.fail_next(1, 403, message=message, headers=headers)

    def storm(self, share: float, *, seed: int) -> None:
        """Let a part of all requests fail from now on."""
        self._weather = Weather(random.Random(seed), share)

    def repair(self) -> None:
        """No troubles any more."""
        self._troubles.clear()
        self._weather = None

    def busiest(self, seconds: float) -> int:
        """How many content writes came in at most in so many seconds, refused ones counted, too."""
        times = sorted(self.writes)
        return max((bisect_left(times, one + seconds) - place for place, one in enumerate(times)), default=0)

    def suspend(self, installation: int = 9, *, suspended: bool = True) -> None:
        """Suspend an installation of the App, or take that back."""
        self.world.installations[installation].suspended = suspended

    def revoke_tokens(self) -> None:
        """Let every installation token be refused from now on."""
        self.world.tokens = {name: one for name, one in self.world.tokens.items() if one.installation is None}

    # Deliveries.

    def deliver(self, event: str, payload: Mapping[str, Any], *, guid: str | None = None) -> Attempt:
        """Sign a payload and post it to the hook; the attempt as GitHub records it."""
        return self._post(event, json.dumps(payload).encode(), guid or str(uuid4()), redelivery=False)

    def lose(
        self, event: str, payload: Mapping[str, Any], *, age: timedelta = timedelta(), guid: str | None = None
    ) -> Attempt:
        """Record a delivery that never arrived: it timed out."""
        moment = datetime.now(UTC) - age
        body = json.dumps(payload).encode()
        return self._record(Attempt(0, guid or str(uuid4()), event, moment, "timed out", 0, False, body))

    # What was said.

    def said(self) -> list[str]:
        """What the bot made GitHub show, in order, in words."""
        with self._lock:
            return list(self.world.said)

    def check(self, full_name: str, sha: str, name: str, conclusion: str | None = None) -> dict[str, Any]:
        """Let a CI report a check run; without a conclusion it runs yet."""
        status = "completed" if conclusion else "in_progress"
        run = {"id": self.world.number(), "name": name, "head_sha": sha, "status": status}
        run |= {"conclusion": conclusion, "app": {"id": 15368}}
        self.world.repositories[full_name].check_runs.append(run)
        return run

    def status_of(self, full_name: str, sha: str, context: str) -> tuple[str, str] | None:
        """State and description of a commit's status as people see it: the last one counts."""
        statuses = self.world.repositories[full_name].statuses
        found = [one for one in statuses if one["sha"] == sha and one["context"].lower() == context.lower()]
        return (found[-1]["state"], found[-1]["description"]) if found else None

    def deployment_states(self, full_name: str) -> list[tuple[str, str, str | None]]:
        """Each GitHub Deployment, oldest first: environment, short SHA, last state."""
        return [
            (one["environment"], one["sha"][:7], one["statuses"][-1]["state"] if one["statuses"] else None)
            for one in self.world.repositories[full_name].deployments
        ]

    def comments_on(self, full_name: str, number: int) -> list[Comment]:
        """Every comment on a pull request, oldest first."""
        return [one for one in self.world.repositories[full_name].comments if one.number == number]

    def delete_comments(self, full_name: str) -> None:
        """Delete every comment in a repository, as a maintainer may."""
        self.world.repositories[full_name].comments.clear()

    def write_comment(self, full_name: str, number: int, body: str, *, author: str) -> Comment:
        """Comment as somebody."""
        made = Comment(self.world.number(), number, author, [body])
        self.world.repositories[full_name].comments.append(made)
        return made

    def assert_nothing_unexpected(self) -> None:
        """Fail when the bot sent something that no bot should send."""
        assert self.unexpected == [], self.unexpected

    async def _serve(self, request: Request) -> Response:
        raw = await request.body()
        path = unquote(request.url.path).removeprefix(self._base_path)
        asked = Asked(
            request.method, path, dict(request.query_params), request.headers.get("authorization", ""), raw
        )
        self.requests.append(f"{asked.method} {asked.path}")
        if asked.method != "GET" and not asked.path.startswith("/app"):
            self.writes.append(time.monotonic())
        trouble = self._trouble(asked)
        if trouble is None:
            return await self._answer(request, asked)
        answer = await self._answer(request, asked) if trouble.after else None
        await anyio.sleep(trouble.hang)
        if trouble.status:
            return JSONResponse({"message": trouble.message}, trouble.status, dict(trouble.headers or {}))
        return answer or await self._answer(request, asked)

    async def _answer(self, request: Request, asked: Asked) -> Response:
        reply = await anyio.to_thread.run_sync(lambda: self._checked(request.headers, asked))
        answer = JSONResponse(reply.body, reply.status, reply.headers)
        if asked.method == "GET" and reply.status == 200:
            answer.headers["ETag"] = f'W/"{hashlib.sha256(bytes(answer.body)).hexdigest()}"'
            if request.headers.get("if-none-match") == answer.headers["ETag"]:
                self.unchanged += 1
                return Response(status_code=304, headers={"ETag": answer.headers["ETag"]})
        return answer

    def _checked(self, headers: Mapping[str, str], asked: Asked) -> Reply:
        try:
            with self._lock:
                if headers.get("x-github-api-version") != "2022-11-28":
                    raise Refusal(400, "the version header is missing or another")  # noqa: TRY301
                if not headers.get("user-agent"):
                    raise Refusal(403, "Request forbidden by administrative rules: no User-Agent")  # noqa: TRY301
                return self._routes.answer(asked)
        except Refusal as refusal:
            if not refusal.expected:
                self.unexpected.append(f"{asked.method} {asked.path}: {refusal.status} {refusal.message}")
            return Reply(refusal.status, {"message": refusal.message}, refusal.headers)

    def _trouble(self, asked: Asked) -> Trouble | None:
        with self._lock:
            for trouble in self._troubles:
                if asked.method in trouble.methods and trouble.path in asked.path:
                    self._troubles.remove(trouble)
                    return trouble
            return self._weather.trouble() if self._weather else None

    def _redeliver(self, attempt: Attempt) -> None:
        # GitHub answers 202 first and delivers afterwards.
        arguments: Callable[[], object] = lambda: self._post(  # noqa: E731
            attempt.event, attempt.body, attempt.guid, redelivery=True
        )
        threading.Thread(target=arguments, daemon=True).start()

    def _post(self, event: str, body: bytes, guid: str, *, redelivery: bool) -> Attempt:
        assert self.hook is not None, "set hook first"
        try:
            code = _send(self.hook, event, body, guid)
        except httpx.HTTPError:
            code = 0
        status = (
            "OK" if 200 <= code < 300 else f"Invalid HTTP Response: {code}" if code else "failed to connect"
        )
        return self._record(Attempt(0, guid, event, datetime.now(UTC), status, code, redelivery, body))

    def _record(self, attempt: Attempt) -> Attempt:
        with self._lock:
            attempt.id = self.world.number()
            self.world.attempts.append(attempt)
        return attempt


def deliver_push(hook: Hook, payload: Mapping[str, Any], *, guid: str | None = None) -> int:
    """Sign a push and post it to a webhook, without any GitHub: the status code of the answer."""
    return _send(hook, "push", json.dumps(payload).encode(), guid or str(uuid4()))


def _send(hook: Hook, event: str, body: bytes, guid: str) -> int:
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/fake",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": guid,
        "X-GitHub-Hook-ID": HOOK_ID,
        "X-Hub-Signature-256": "sha256=" + hmac.new(hook.secret.encode(), body, hashlib.sha256).hexdigest(),
    }
    return httpx.post(
        hook.url, content=body, headers=headers, timeout=10, trust_env=False, verify=False
    ).status_code


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)
