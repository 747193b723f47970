"""Makes GitHub show a deployment's present state, by level: what is shown already is not written again.

Each write is remembered before the next one, so that a crash repeats one write at most. No deployment
costs more than six writes in its life: one status while it waits, its creation and its start on
GitHub, and three at its end (status, deployment status, and later its retirement).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from bot.domain.app import App
from bot.domain.deployment import Deployment, Kind, State
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import reference
from bot.github.client import CommitStatus, DeploymentRequest, DeploymentStatus, Repository
from bot.github.states import DeploymentState, deployment_state, status_state
from bot.store.announcements import Announcement

_EARLY_STATUSES = 2
"""Writes after which the status waits for the last word."""
_EARLY_WRITES = 3
"""Writes after which everything waits for the last word, which may need three more."""
_SUPERSEDED_SHARE = 0.5
"""Nobody waits for the last word of a superseded deployment: it leaves half the writes to others."""

Keep = Callable[[Announcement], None]
"""Stores an announcement; raises when somebody else announces the deployment meanwhile."""


@dataclass(frozen=True)
class View:
    """The present state of a deployment, as GitHub is to show it.

    `says` is the description, `page` our page of the deployment, `site` where its environment is served.
    `is_latest`: nothing succeeded in its environment after it. `has_status`: no later deployment of
    this commit there, whose status it would overwrite. `outlived`: what is shown of earlier ones that
    GitHub still shows as live. `gone` says why the environment was taken down; empty while it is not.
    """

    app: App
    environment: Environment
    deployment: Deployment
    says: str
    page: str
    site: str
    instance: str
    is_latest: bool
    has_status: bool
    outlived: tuple[Announcement, ...] = ()
    gone: str = ""


def context_of(app: App, environment: Environment) -> str:
    """The commit status's context, which people name in branch rules: the same for all previews."""
    return f"slipway/{app.slug}/{_place(environment)}"


def environment_of(app: App, environment: Environment) -> str:
    """The environment's name on GitHub. The app's name is part of it: a repository may have several."""
    return f"{app.slug}/{_place(environment)}"


def show(repository: Repository, view: View, announcement: Announcement, keep: Keep) -> Announcement:
    """Make GitHub show the view; what is shown then. Raises `GitHubError` between two writes."""
    showing = _Showing(repository, view, keep)
    announcement = showing.status(announcement)
    announcement = showing.creation(announcement)
    announcement = showing.deployment(announcement)
    for earlier in view.outlived:
        showing.retire(earlier)
    return announcement


def would_write(view: View) -> str:
    """What would be told, for an instance that has nobody to tell."""
    failure = view.deployment.failure
    state = status_state(view.deployment.state, failure.blame if failure else None)
    return f"{context_of(view.app, view.environment)} {state} on {view.deployment.sha[:7]}: {view.says}"


@dataclass(frozen=True)
class _Showing:
    repository: Repository
    view: View
    keep: Keep

    def status(self, known: Announcement) -> Announcement:
        deployment = self.view.deployment
        wanted = true_status(self.view)
        told = {"sha": wanted.sha, "state": wanted.state.value, "description": wanted.description}
        # That it waits for something, people must hear; once what else comes early is written, the last
        # word needs two writes, and one is left.
        waits = deployment.state is State.QUEUED and deployment.attempt > 1
        spare = waits and known.github_deployment_id is not None
        most = _EARLY_WRITES + 1 if spare else _EARLY_STATUSES
        early = not deployment.state.is_final and _writes(known) >= most
        if known.shown.get("status") == told or early or not speaks_on_commit(self.view):
            return known
        self.repository.set_status(wanted, share=self._share)
        return self._kept(known, status=told)

    def creation(self, known: Announcement) -> Announcement:
        if known.github_deployment_id is not None or not _belongs_on_github(self.view):
            return known
        wanted = _request(self.view)
        found = None
        if known.shown.get("asked"):
            found = self.repository.find_deployment(wanted)
        else:
            known = self._kept(known, writes=0, asked=True)
        number = found or self.repository.create_deployment(wanted, share=self._share)
        return self._kept(replace(known, github_deployment_id=number))

    def deployment(self, known: Announcement) -> Announcement:
        deployment = self.view.deployment
        number, wanted = known.github_deployment_id, true_deployment_status(self.view)
        told = {"state": wanted.state.value, "description": wanted.description}
        early = not deployment.state.is_final and _writes(known) >= _EARLY_WRITES
        if number is None or known.shown.get("deployment") == told or early:
            return known
        self.repository.set_deployment_status(number, wanted, share=self._share)
        return self._kept(known, deployment=told)

    def retire(self, earlier: Announcement) -> None:
        assert earlier.github_deployment_id is not None
        said = f"Replaced by {reference(self.view.deployment.id)}"
        page = f"{self.view.instance}/deployments/{reference(earlier.deployment_id)}"
        status = DeploymentStatus(DeploymentState.INACTIVE, said, page, None, auto_inactive=False)
        self.repository.set_deployment_status(earlier.github_deployment_id, status)
        self._kept(earlier, deployment={"state": status.state.value, "description": said})

    @property
    def _share(self) -> float:
        return _SUPERSEDED_SHARE if self.view.deployment.state is State.SUPERSEDED else 1.0

    def _kept(self, known: Announcement, *, writes: int = 1, **shown: Any) -> Announcement:
        told = {**known.shown, **shown, "writes": _writes(known) + writes}
        kept = replace(known, shown=told)
        self.keep(kept)
        return kept


def speaks_on_commit(view: View) -> bool:
    """Whether the deployment has the say about its commit's status."""
    # A commit is not at fault when a rollback to it waits, fails or is cancelled: its verdict stands.
    undone = view.deployment.kind is Kind.ROLLBACK and view.deployment.state is not State.SUCCEEDED
    return view.has_status and not undone


def _belongs_on_github(view: View) -> bool:
    deployment = view.deployment
    if deployment.started_at is None or deployment.state.is_waiting:
        return False
    # Created late, one that another has outlived would stand above the live one.
    worth_it = view.is_latest and not view.gone and deployment.state in (State.SUCCEEDED, State.FAILED)
    return worth_it or not deployment.state.is_final


def true_status(view: View) -> CommitStatus:
    """The commit status that is to be shown."""
    failure = view.deployment.failure
    state = status_state(view.deployment.state, failure.blame if failure else None)
    return CommitStatus(
        view.deployment.sha, context_of(view.app, view.environment), state, view.says, view.page
    )


def _request(view: View) -> DeploymentRequest:
    return DeploymentRequest(
        sha=view.deployment.sha,
        environment=environment_of(view.app, view.environment),
        description=view.says,
        reference={"slipway": reference(view.deployment.id), "instance": view.instance},
        production=view.environment.kind is EnvironmentKind.PRODUCTION,
        transient=view.environment.kind is EnvironmentKind.PREVIEW,
    )


def true_deployment_status(view: View) -> DeploymentStatus:
    """The status of the GitHub Deployment that is to be shown."""
    failure, final = view.deployment.failure, view.deployment.state.is_final
    state = deployment_state(view.deployment.state, failure.blame if failure else None, live=view.is_latest)
    if view.gone and final:
        state = DeploymentState.INACTIVE
    return DeploymentStatus(
        state=state,
        description=view.gone if view.gone and final else view.says,
        log_url=view.page,
        environment_url=view.site if state is DeploymentState.SUCCESS else None,
        auto_inactive=retires_itself(view.environment),
    )


def retires_itself(environment: Environment) -> bool:
    """Whether GitHub marks earlier deployments inactive by itself: neither production nor transient ones."""
    return environment.kind is EnvironmentKind.BRANCH


def _place(environment: Environment) -> str:
    return environment.kind.value if environment.kind is EnvironmentKind.PREVIEW else environment.name


def _writes(announcement: Announcement) -> int:
    return int(announcement.shown.get("writes", 0))
