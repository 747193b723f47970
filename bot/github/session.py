"""Signing in to GitHub and sending requests: as the App, as one of its installations, or with a token.

githubkit signs and sends; what it would do by itself beyond that is switched off here: it would
sleep through rate limits inside a call, repeat POSTs, keep tokens that GitHub has revoked, and mint a
token per thread (`docs/design.md`). Tokens live in the memory of this process alone.
"""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
from githubkit import AppAuthStrategy, GitHub, TokenAuthStrategy, UnauthAuthStrategy
from githubkit.cache import MemCacheStrategy
from githubkit.exception import GitHubException, RequestFailed

from bot.clock import Clock, utc_now
from bot.github.call import Answer, Call, Grant
from bot.github.errors import (
    ForbiddenError,
    GitHubError,
    NotFoundError,
    RejectedError,
    RetryLaterError,
    SignInError,
    SuspendedError,
    UnreachableError,
)
from bot.github.pacing import Pacing, windows
from bot.github.wire import Patience, Wire
from bot.github_app import AppKey
from bot.log import logger
from bot.settings import Settings

_MARGIN = timedelta(minutes=10)
"""A token with less than this to live is not handed out: a long fetch may follow."""
_SECONDARY = 60.0
"""Seconds to wait after a limit that names none (rate-limits-for-the-rest-api: 'at least one minute')."""

Strategy = AppAuthStrategy | TokenAuthStrategy | UnauthAuthStrategy


class _Token(msgspec.Struct):
    token: str
    expires_at: datetime


class _Problem(msgspec.Struct):
    message: str = ""
    errors: Any = None


class Session:
    """One way into one GitHub. Make one per process; it may be used by several threads."""

    def __init__(
        self,
        settings: Settings,
        pacing: Pacing | None = None,
        *,
        made_app: Callable[[], AppKey | None] = lambda: None,
        patience: Patience | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.pacing = pacing or Pacing(None, windows(settings))
        self._base_url = settings.github_api_url
        self._patience = patience or Patience()
        self._wire = Wire(self._base_url, self._patience)
        self._clock = clock
        self._cache = MemCacheStrategy()
        self._set_app = _app_of(settings)
        self._made_app = made_app
        self.static_token = settings.github_token.get_secret_value() if settings.github_token else None
        self._tokens: dict[Grant, _Token] = {}
        self._minting = threading.Lock()

    @property
    def has_app(self) -> bool:
        """Whether a GitHub App is set up. One may be made, or forgotten, while this process runs."""
        return self._key() is not None

    def as_app(self, call: Call) -> Answer:
        """Send as the App. Raises `GitHubError`."""
        key = self._key()
        if key is None:
            raise SignInError("There is no GitHub App to sign in as.")
        strategy = AppAuthStrategy(key.id, key.private_key)
        try:
            return self._deliver(strategy, call, "app")
        except SignInError:
            # The JWT may be older than a change of key or of the clock.
            self._cache.cleanup()
            return self._deliver(strategy, call, "app")

    def as_installation(self, grant: Grant, call: Call) -> Answer:
        """Send with an installation's token; one that GitHub no longer takes is minted anew, once."""
        token = self.token(grant)
        key = str(grant.installation)
        try:
            return self._deliver(TokenAuthStrategy(token), call, key)
        except SignInError:
            self.forget(grant, token)
            return self._deliver(TokenAuthStrategy(self.token(grant)), call, key)

    def as_nobody(self, call: Call) -> Answer:
        """Send without signing in."""
        return self._deliver(UnauthAuthStrategy(), call, "nobody")

    def with_token(self, call: Call) -> Answer:
        """Send with the token of the settings, or without any."""
        strategy = TokenAuthStrategy(self.static_token) if self.static_token else UnauthAuthStrategy()
        return self._deliver(strategy, call, "token")

    def token(self, grant: Grant) -> str:
        """A token for what is granted, with ten minutes to live at least. Raises `GitHubError`."""
        with self._minting:
            known = self._tokens.get(grant)
            if known is None or known.expires_at - self._clock() < _MARGIN:
                path = f"app/installations/{grant.installation}/access_tokens"
                known = self.as_app(Call("POST", path, grant.body, repeatable=True)).read(_Token)
                self._tokens[grant] = known
            return known.token

    def forget(self, grant: Grant, token: str) -> None:
        """Drop a token that GitHub no longer takes, unless another one took its place."""
        with self._minting:
            known = self._tokens.get(grant)
            if known is not None and known.token == token:
                del self._tokens[grant]

    def close(self) -> None:
        """Close all connections."""
        self._wire.shut()

    def _key(self) -> AppKey | None:
        return self._set_app or self._made_app()

    def _deliver(self, strategy: Strategy, call: Call, key: str) -> Answer:
        held = self.pacing.held(key)
        if held > 0:
            raise RetryLaterError(held, "GitHub asked for a pause")
        pauses = iter(self._patience.pauses if call.method == "GET" or call.repeatable else ())
        while True:
            try:
                return self._send(strategy, call)
            except RetryLaterError as error:
                self.pacing.hold(key, error.seconds)
                raise
            except _QuickFaultError as error:
                pause = next(pauses, None)
                if pause is None:
                    raise UnreachableError(str(error)) from None
                time.sleep(pause)

    def _send(self, strategy: Strategy, call: Call) -> Answer:
        github: GitHub[Any] = GitHub(
            strategy,
            base_url=self._base_url,
            transport=self._wire,
            cache_strategy=self._cache,
            http_cache=False,
            auto_retry=False,
            user_agent="slipway",
        )
        body = dict(call.body) if call.body is not None else None
        headers = {"If-None-Match": call.etag} if call.etag else None
        try:
            response = github.request(
                call.method, call.path, json=body, params=call.params, headers=headers
            ).raw_response
        except RequestFailed as error:
            raise self._failure(error.response.raw_response) from None
        except GitHubException as error:
            raise _unsent(getattr(error, "exc", error)) from None
        if response.request.method != call.method:
            # A 301 turns a POST into a GET: the answer would look like success though nothing was written.
            raise RejectedError(f"GitHub moved {call.path} elsewhere; check the repository's name.")
        told = response.headers
        return Answer(response.status_code, response.content, told.get("link", ""), told.get("etag", ""))

    def _failure(self, response: httpx.Response) -> GitHubError:
        text = _problem(response)
        match response.status_code:
            case 401:
                return SignInError(f"GitHub did not accept the credentials: {text}")
            case 403 | 429 if (wait := self._wait(response, text)) is not None:
                return RetryLaterError(wait, f"GitHub limits requests: {text}")
            case 403:
                return _forbidden(response, text)
            case 404:
                return NotFoundError(f"GitHub knows no {response.request.url.path}, or hides it from us.")
            case status if status >= 500:
                return _QuickFaultError(f"GitHub answered {status}")
            case status:
                return RejectedError(f"GitHub refused ({status}): {text}")

    def _wait(self, response: httpx.Response, text: str) -> float | None:
        headers = response.headers
        if "retry-after" in headers:
            return max(1.0, float(headers["retry-after"]))
        if headers.get("x-ratelimit-remaining") == "0" and "x-ratelimit-reset" in headers:
            reset = datetime.fromtimestamp(int(headers["x-ratelimit-reset"]), UTC)
            return max(1.0, (reset - self._clock()).total_seconds() + 1)
        limited = response.status_code == 429 or "rate limit" in text.lower() or "abuse" in text.lower()
        return _SECONDARY if limited else None


class _QuickFaultError(UnreachableError):
    """A fault that came at once, so that asking again at once is worth a try."""


def _app_of(settings: Settings) -> AppKey | None:
    if settings.github_app_id is None:
        return None
    if settings.github_private_key is not None:
        return AppKey(settings.github_app_id, settings.github_private_key.get_secret_value())
    if settings.github_private_key_file is not None:
        return AppKey(settings.github_app_id, settings.github_private_key_file.read_text())
    return None


def _unsent(error: Exception) -> GitHubError:
    match error:
        case httpx.TimeoutException():
            return UnreachableError("GitHub did not answer in time.")
        case httpx.ConnectError() | httpx.RemoteProtocolError() | httpx.ReadError() | httpx.WriteError():
            return _QuickFaultError(f"GitHub could not be reached: {error or type(error).__name__}")
        case httpx.HTTPError():
            return UnreachableError(f"GitHub could not be reached: {error or type(error).__name__}")
        case _:
            return SignInError(
                f"The request could not be signed, look at the App's private key: {type(error).__name__}"
            )


def _forbidden(response: httpx.Response, text: str) -> ForbiddenError:
    if "suspended" in text.lower():
        return SuspendedError("The GitHub App's installation is suspended.")
    wanted = response.headers.get("x-accepted-github-permissions", "")
    logger.warning("GitHub refused a request", path=response.request.url.path, says=text, wanted=wanted)
    return ForbiddenError(f"GitHub forbids it: {text}" + (f" (needs {wanted})" if wanted else ""))


def _problem(response: httpx.Response) -> str:
    try:
        problem = msgspec.json.decode(response.content, type=_Problem)
    except msgspec.DecodeError:
        return response.reason_phrase
    return problem.message + (f" {msgspec.json.encode(problem.errors).decode()}" if problem.errors else "")
