"""GitHub as the rest of Slipway sees it: a few verbs, our own small shapes, and errors of ours."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

import msgspec

from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.ids import Sha
from bot.domain.pull import PullNumber, PullRequest
from bot.github.errors import RetryLaterError, UnreachableError
from bot.github.pacing import Pacing
from bot.github.reach import MayUse, Reach, everybody
from bot.github.session import Answer, Call, Grant, Session
from bot.github.states import DeploymentState, StatusState
from bot.github.wire import Patience
from bot.github_app import AppKey
from bot.intake.pull_events import UnusableError, read_pull
from bot.settings import Settings

_NAP = 1.0
"""Longest wait, in seconds, that is slept inside a call; a longer one goes back to the caller."""
Permissions = tuple[tuple[str, str], ...]
_FEEDBACK: Permissions = (("deployments", "write"), ("statuses", "write"))
_READ: Permissions = (("contents", "read"),)
_PULLS: Permissions = (("pull_requests", "read"),)
COMMENTS: Permissions = (("pull_requests", "write"),)
"""What writing and reading comments on pull requests takes."""


@dataclass(frozen=True)
class CommitStatus:
    """A commit status. Description: 140 characters at most."""

    sha: Sha
    context: str
    state: StatusState
    description: str
    target_url: str


@dataclass(frozen=True)
class DeploymentRequest:
    """A GitHub Deployment to create. `reference` finds it again in its payload."""

    sha: Sha
    environment: str
    description: str
    reference: Mapping[str, str]
    production: bool
    transient: bool


@dataclass(frozen=True)
class DeploymentStatus:
    """A status of a GitHub Deployment. Description: 140 characters at most."""

    state: DeploymentState
    description: str
    log_url: str
    environment_url: str | None
    auto_inactive: bool


class HookDelivery(msgspec.Struct, frozen=True):
    """One attempt to deliver one event to the App's webhook. `status` is `OK` or a reason."""

    id: int
    guid: str
    delivered_at: datetime
    status: str
    event: str


class _Id(msgspec.Struct):
    id: int


class _AppName(msgspec.Struct):
    slug: str


class _User(msgspec.Struct):
    login: str


class _Deployment(msgspec.Struct):
    id: int
    payload: Any = None


@dataclass
class GitHub:
    """The way in: by a GitHub App, by a token, or by neither (`is_set` is False then)."""

    session: Session
    settings: Settings
    reach: Reach
    _own_name: list[str] = field(default_factory=list[str])

    @property
    def is_set(self) -> bool:
        """Whether there is an App or a token to speak with."""
        return self.session.has_app or self.session.static_token is not None

    def repository(self, app: App) -> "Repository":
        """The app's repository, to write feedback to."""
        return Repository(self, app)

    def git_token(self, app: App) -> str | None:
        """A token to read the app's repository by git over HTTPS; user name `x-access-token`.

        None without credentials, and for a clone address that is not on the GitHub of the settings: its
        token is nobody else's business. Raises `GitHubError`.
        """
        if not app.clone_url.lower().startswith(self.settings.github_url.rstrip("/").lower() + "/"):
            return None
        if not self.session.has_app:
            return self.session.static_token if self.reach.may_use(app.tenant_id, None) else None
        return self.reach.on(app, lambda number: self.session.token(_grant(app, number, _READ)))

    def hook_deliveries(self, cursor: str | None = None) -> tuple[list[HookDelivery], str | None]:
        """A page of the App's deliveries, newest first, and the cursor of the next page."""
        params = {"per_page": "100"} | ({"cursor": cursor} if cursor else {})
        answer = self.session.as_app(Call("GET", "app/hook/deliveries", params=params))
        following = re.search(r'<[^>]*[?&]cursor=([^&>]+)[^>]*>;\s*rel="next"', answer.link)
        return answer.read(list[HookDelivery]), following[1] if following else None

    def redeliver(self, delivery: int) -> None:
        """Ask GitHub to deliver once more. Repeating the wish is harmless: the ledger knows the GUID."""
        path = f"app/hook/deliveries/{delivery}/attempts"
        self.session.as_app(Call("POST", path, repeatable=True))

    def pull_request(self, app: App, number: PullNumber) -> PullRequest:
        """A pull request of the app's repository, as it is now. Raises `GitHubError`."""
        answer = self.send(app, Call("GET", f"repos/{quote(app.repository)}/pulls/{number}"), _PULLS)
        try:
            return read_pull(answer.content)
        except (msgspec.MsgspecError, UnusableError) as error:
            raise UnreachableError(f"GitHub's pull request could not be read: {error}") from None

    def send(self, app: App, call: Call, permissions: Permissions = _FEEDBACK) -> Answer:
        """Send a request about an app's repository, as whoever may. Raises `GitHubError`."""
        if not self.session.has_app:
            self.reach.check(app, None)
            return self.session.with_token(call)
        return self.reach.on(
            app, lambda number: self.session.as_installation(_grant(app, number, permissions), call)
        )

    def installation(self, app: App) -> dict[str, Any]:
        """Which installation the app's repository is read with, as GitHub's events say it; else nothing.

        Raises `GitHubError`.
        """
        return {"installation": {"id": self.reach.of(app)}} if self.session.has_app else {}

    def own_name(self) -> str:
        """The name under which GitHub shows what we write: the App's bot, or the token's user."""
        if not self._own_name:
            if self.session.has_app:
                name = self.session.as_app(Call("GET", "app")).read(_AppName).slug + "[bot]"
            else:
                name = self.session.with_token(Call("GET", "user")).read(_User).login
            self._own_name.append(name)
        return self._own_name[0]

    def key(self, app: App) -> str:
        """Under which name an app's writes are paced."""
        return str(self.reach.of(app)) if self.session.has_app else "token"


@dataclass(frozen=True)
class Repository:
    """One repository, to write to. Every write is paced; `share` as in `Pacing.acquire`.

    All raise `GitHubError`; no write is ever repeated here.
    """

    github: GitHub
    app: App

    def set_status(self, status: CommitStatus, *, share: float = 1.0) -> None:
        """Set a commit status."""
        body = {
            "state": status.state,
            "context": status.context,
            "description": status.description,
            "target_url": status.target_url,
        }
        self._write(f"statuses/{status.sha}", body, share)

    def create_deployment(self, wanted: DeploymentRequest, *, share: float = 1.0) -> int:
        """Create a GitHub Deployment and return its id.

        Without `auto_merge: false` GitHub would merge the default branch into ours, and without an
        empty list of contexts it would wait for every status, our own too.
        """
        body = {
            "ref": wanted.sha,
            "environment": wanted.environment,
            "description": wanted.description,
            "payload": dict(wanted.reference),
            "production_environment": wanted.production,
            "transient_environment": wanted.transient,
            "auto_merge": False,
            "required_contexts": list[str](),
        }
        return self._write("deployments", body, share).read(_Id).id

    def find_deployment(self, wanted: DeploymentRequest) -> int | None:
        """The GitHub Deployment that an earlier, unanswered request made after all, if it did."""
        params = {"sha": str(wanted.sha), "environment": wanted.environment, "per_page": "100"}
        call = Call("GET", f"repos/{self.app.repository}/deployments", params=params)
        found = self.github.send(self.app, call).read(list[_Deployment])
        return next((one.id for one in found if _payload(one) == dict(wanted.reference)), None)

    def set_deployment_status(self, deployment: int, status: DeploymentStatus, *, share: float = 1.0) -> None:
        """Add a status to a GitHub Deployment."""
        body: dict[str, Any] = {
            "state": status.state,
            "description": status.description,
            "log_url": status.log_url,
            "auto_inactive": status.auto_inactive,
        }
        if status.environment_url is not None:
            body["environment_url"] = status.environment_url
        self._write(f"deployments/{deployment}/statuses", body, share)

    def _write(self, path: str, body: Mapping[str, Any], share: float) -> Answer:
        self.wait_for_turn(share)
        return self.github.send(self.app, Call("POST", f"repos/{quote(self.app.repository)}/{path}", body))

    def wait_for_turn(self, share: float = 1.0) -> None:
        """Take a place among the writes of this minute and hour. Raises `RetryLaterError`."""
        pacing, key = self.github.session.pacing, self.github.key(self.app)
        wait = pacing.acquire(key, share=share)
        if 0 < wait <= _NAP:
            time.sleep(wait)
            wait = pacing.acquire(key, share=share)
        if wait > 0:
            raise RetryLaterError(wait, "the writes to GitHub are paced")


def connect(
    settings: Settings,
    pacing: Pacing | None = None,
    *,
    made_app: Callable[[], AppKey | None] = lambda: None,
    patience: Patience | None = None,
    clock: Clock = utc_now,
    may_use: MayUse = everybody,
) -> GitHub:
    """Get ready to speak with the GitHub of the settings; nothing is sent yet.

    `made_app` tells, each time it is asked, the App that was made for this instance by a click; `may_use`,
    whose apps may be worked on with which sign-in.
    """
    session = Session(settings, pacing, made_app=made_app, patience=patience, clock=clock)
    return GitHub(session, settings, Reach(session, may_use))


def _grant(app: App, installation: int, permissions: Permissions) -> Grant:
    return Grant(installation, app.repository, app.repository_id, permissions)


def _payload(deployment: _Deployment) -> object:
    # GitHub returns the payload as it was given or as a string of JSON, by age and version.
    if isinstance(deployment.payload, str):
        try:
            return msgspec.json.decode(deployment.payload)
        except msgspec.DecodeError:
            return None
    return deployment.payload
