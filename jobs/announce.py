"""Makes GitHub show the present state of a deployment; whatever GitHub does, nothing is raised.

An outage, a limit or a refusal is noted with the time of the next attempt; the sweep enqueues what is
owed, and nothing is ever given up.
"""

from dataclasses import dataclass, replace
from datetime import timedelta

from bot.clock import Clock, utc_now
from bot.domain.app import Absence
from bot.domain.deployment import UNKNOWN_COMMIT, Deployment
from bot.domain.environment import Environment
from bot.domain.ids import DeploymentId, reference
from bot.github import feedback
from bot.github.client import GitHub
from bot.github.errors import GitHubError, RejectedError, RetryLaterError
from bot.github.feedback import View
from bot.github.states import DeploymentState
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.queue import Queue
from bot.render import MAX_STATUS, one_line
from bot.settings import Settings
from bot.store import announcements, apps, deployments, environments
from bot.store.announcements import Announcement
from bot.store.engine import Tx, reading, writing
from jobs import pull_comment
from jobs.saying import says
from jobs.turns import TakenError, Turn

OUTAGE_CAP = timedelta(minutes=10)
"""Longest pause between two attempts while GitHub does not answer."""
REFUSAL_CAP = timedelta(hours=1)
"""The same when GitHub says no: somebody must change something first."""
MAX_OWED = 200
"""How many announcements one sweep enqueues."""

_FIRST_PAUSE = timedelta(seconds=5)
_PATIENCE = 1.0
_ROUNDS = 3
_SEARCHED = 20


@dataclass(frozen=True)
class Announcing:
    """What announcing needs."""

    lifecycle: Lifecycle
    github: GitHub
    settings: Settings
    clock: Clock = utc_now

    @property
    def pull_comments(self) -> pull_comment.Commenting:
        """What commenting on pull requests needs."""
        return pull_comment.Commenting(self.lifecycle.engine, self.github, self.settings, self.clock)


def announce(tools: Announcing, deployment_id: DeploymentId) -> None:
    """Make GitHub show the deployment's present state, or note when to try again.

    Announcers of one environment take turns: two at once could create a thing twice, and a later
    deployment's word could be overwritten by an earlier one's. Who gets no turn in a second leaves it
    to the sweep.
    """
    with reading(tools.lifecycle.engine) as tx:
        deployment = deployments.find(tx, deployment_id)
    if deployment is None or deployment.announced >= deployment.version:
        return
    if deployment.sha == UNKNOWN_COMMIT:
        # GitHub has nothing yet to say it of; with the commit a new version comes.
        tools.lifecycle.announced(deployment_id, deployment.version)
        return
    try:
        turn = Turn(tools.lifecycle.engine, tools.clock, f"announce-{deployment.environment_id}")
        with turn.taken(_PATIENCE):
            for _ in range(_ROUNDS):
                # It may have changed while it was announced; its own job found the turn taken.
                if not _announce(_Turn(tools, turn), deployment_id):
                    return
    except TakenError:
        logger.info("another announces in this environment", deployment=reference(deployment_id))


def owed(tools: Announcing, queue: Queue) -> int:
    """Enqueue what GitHub must yet be told and is due; how many that are."""
    now = tools.clock()
    with reading(tools.lifecycle.engine) as tx:
        due = [deployments.get(tx, found) for found in deployments.owed(tx, MAX_OWED, now)]
    # A job id of its own each time: that of a job that was lost stays taken for a while.
    slot = f"-{int(now.timestamp() * 1000)}"
    for deployment in due:
        queue.announce(deployment.id, deployment.version, slot)
    return len(due)


@dataclass
class _Turn:
    tools: Announcing
    turn: Turn

    def keep(self, known: Announcement) -> None:
        """Store an announcement and prolong the turn. Raises `TakenError`."""
        with writing(self.tools.lifecycle.engine) as tx:
            written = int(announcements.get(tx, known.deployment_id).shown.get("writes", 0))
            if written > int(known.shown.get("writes", 0)) or not self.turn.prolong(tx):
                raise TakenError(self.turn.name)
            announcements.keep(tx, known)


def _announce(turn: _Turn, deployment_id: DeploymentId) -> bool:
    """One round; whether there was anything to say and it was said."""
    tools = turn.tools
    with reading(tools.lifecycle.engine) as tx:
        deployment = deployments.get(tx, deployment_id)
        known = announcements.get(tx, deployment_id)
        view = view_of(tx, deployment, tools.settings)
        is_wanted = deployment.pull is None or pull_comment.is_wanted(tx, view.app)
        # Nobody is there any more to be told.
        is_wanted = is_wanted and view.app.absence is not Absence.DELETED
    if deployment.announced >= deployment.version:
        return False
    if not tools.github.is_set:
        logger.info("would have told GitHub: " + feedback.would_write(view))
    elif is_wanted and not _show(turn, view, known):
        return False
    tools.lifecycle.announced(deployment_id, deployment.version)
    return True


def _show(turn: _Turn, view: View, known: Announcement) -> bool:
    repository = turn.tools.github.repository(view.app)
    try:
        shown = feedback.show(repository, view, known, turn.keep)
        if view.deployment.pull is not None:
            pull_comment.show(turn.tools.pull_comments, view.app, view.deployment.pull)
    except GitHubError as error:
        _put_off(turn, view.deployment, error)
        return False
    if shown.note or shown.attempts:
        turn.keep(replace(shown, attempts=0, retry_at=None, note=""))
    return True


def _put_off(turn: _Turn, deployment: Deployment, error: GitHubError) -> None:
    now = turn.tools.clock()
    with reading(turn.tools.lifecycle.engine) as tx:
        known = announcements.get(tx, deployment.id)
    retry_at = now + pause_after(error, known.attempts)
    note = f"GitHub does not show this yet: {error}"
    turn.keep(replace(known, attempts=known.attempts + 1, retry_at=retry_at, note=note))
    logger.warning(
        "GitHub was not told",
        deployment=reference(deployment.id),
        why=str(error),
        attempts=known.attempts + 1,
        retry_at=retry_at.isoformat(),
    )


def pause_after(error: GitHubError, attempts: int) -> timedelta:
    """How long to wait after a failed attempt, when so many failed before."""
    if isinstance(error, RetryLaterError):
        return timedelta(seconds=error.seconds)
    cap = REFUSAL_CAP if isinstance(error, RejectedError) else OUTAGE_CAP
    return min(cap, _FIRST_PAUSE * 2 ** min(attempts, 16))


def view_of(tx: Tx, deployment: Deployment, settings: Settings) -> View:
    """The present state as GitHub is to show it."""
    app, environment = apps.get(tx, deployment.app_id), environments.get(tx, deployment.environment_id)
    public = settings.url
    last = deployments.last_succeeded(tx, environment.id)
    is_latest = (
        last is None
        or last.id == deployment.id
        or deployment.finished_at is None
        or announcements.happened_after(tx, deployment.id, last.id)
    )
    return View(
        app=app,
        environment=environment,
        deployment=deployment,
        says=says(tx, deployment, environment.name),
        page=f"{public}/deployments/{reference(deployment.id)}",
        site=settings.site_url(environment.hostname),
        instance=public,
        is_latest=is_latest,
        has_status=deployments.newest_of_commit(tx, environment.id, deployment.sha) in (None, deployment.id),
        outlived=_outlived(tx, deployment) if last and last.id == deployment.id else (),
        gone=_gone(environment),
    )


def _gone(environment: Environment) -> str:
    if environment.archived_at is None:
        return ""
    return one_line(f"Taken down: {environment.archive_reason}", MAX_STATUS)


def _outlived(tx: Tx, live: Deployment) -> tuple[Announcement, ...]:
    if feedback.retires_itself(environments.get(tx, live.environment_id)):
        return ()
    shown = announcements.of_environment(tx, live.environment_id, _SEARCHED)
    return tuple(
        one
        for one in shown
        if one.deployment_id != live.id
        and one.shown.get("deployment", {}).get("state") == DeploymentState.SUCCESS
    )
