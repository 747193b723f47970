"""Makes GitHub show the present state of a deployment; whatever GitHub does, nothing is raised.

An outage, a limit or a refusal is noted with the time of the next attempt; the sweep enqueues what is
owed, and nothing is ever given up.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import uuid4

from bot.clock import Clock, utc_now
from bot.domain.deployment import Deployment
from bot.domain.environment import Environment
from bot.domain.ids import DeploymentId, EnvironmentId, reference
from bot.github import feedback
from bot.github.client import GitHub
from bot.github.errors import GitHubError, RejectedError, RetryLaterError
from bot.github.feedback import View
from bot.github.states import DeploymentState
from bot.holder import is_gone, this_process
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.queue import Queue
from bot.render import MAX_STATUS, as_sentence, one_line, sentence_or, text
from bot.settings import Settings
from bot.store import announcements, apps, deployments, environments, releases, singletons
from bot.store.announcements import Announcement
from bot.store.engine import Tx, reading, writing

TURN = timedelta(seconds=30)
"""How long an announcer may be silent before another takes its turn; longer than any one request."""
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


class LostTurnError(Exception):
    """Another process announces in this environment now."""


@dataclass(frozen=True)
class Announcing:
    """What announcing needs."""

    lifecycle: Lifecycle
    github: GitHub
    settings: Settings
    clock: Clock = utc_now


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
    try:
        with _turn(tools, deployment.environment_id) as turn:
            for _ in range(_ROUNDS):
                # It may have changed while it was announced; its own job found the turn taken.
                if not _announce(turn, deployment_id):
                    return
    except LostTurnError:
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
    environment: EnvironmentId
    holder: str

    def take(self) -> bool:
        with writing(self.tools.lifecycle.engine) as tx:
            return self._lead(tx, TURN)

    def give_back(self) -> None:
        with writing(self.tools.lifecycle.engine) as tx:
            self._lead(tx, timedelta(0))

    def keep(self, known: Announcement) -> None:
        """Store an announcement and prolong the turn. Raises `LostTurnError`."""
        with writing(self.tools.lifecycle.engine) as tx:
            written = int(announcements.get(tx, known.deployment_id).shown.get("writes", 0))
            if written > int(known.shown.get("writes", 0)) or not self._lead(tx, TURN):
                raise LostTurnError
            announcements.keep(tx, known)

    def _lead(self, tx: Tx, length: timedelta) -> bool:
        now = self.tools.clock()
        name = f"announce-{self.environment}"
        return singletons.lead(tx, name, self.holder, now=now, until=now + length, is_gone=_is_gone)


def _is_gone(holder: str) -> bool:
    process, _, _turn = holder.rpartition("/")
    return process.count("/") == 2 and is_gone(process)


@contextmanager
def _turn(tools: Announcing, environment: EnvironmentId) -> Generator[_Turn]:
    turn = _Turn(tools, environment, f"{this_process()}/{uuid4().hex}")
    deadline = time.monotonic() + _PATIENCE
    while not turn.take():
        if time.monotonic() > deadline:
            raise LostTurnError
        time.sleep(0.05)
    try:
        yield turn
    finally:
        turn.give_back()


def _announce(turn: _Turn, deployment_id: DeploymentId) -> bool:
    """One round; whether there was anything to say and it was said."""
    tools = turn.tools
    with reading(tools.lifecycle.engine) as tx:
        deployment = deployments.get(tx, deployment_id)
        known = announcements.get(tx, deployment_id)
        view = view_of(tx, deployment, tools.settings)
    if deployment.announced >= deployment.version:
        return False
    if not tools.github.is_set:
        logger.info("would have told GitHub: " + feedback.would_write(view))
    elif not _show(turn, view, known):
        return False
    tools.lifecycle.announced(deployment_id, deployment.version)
    return True


def _show(turn: _Turn, view: View, known: Announcement) -> bool:
    repository = turn.tools.github.repository(view.app)
    try:
        shown = feedback.show(repository, view, known, turn.keep)
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
    finished = deployment.finished_at
    is_latest = last is None or last.id == deployment.id or _is_before(last.finished_at, finished)
    return View(
        app=app,
        environment=environment,
        deployment=deployment,
        says=_says(tx, deployment, environment.name),
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


def _is_before(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and (other is None or one <= other)


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


def _says(tx: Tx, deployment: Deployment, environment: str) -> str:
    failure = deployment.failure
    superseded_by = deployment.superseded_by
    release = releases.find(tx, deployment.release_id) if deployment.release_id else None
    facts = {
        "kind": deployment.kind.value,
        "environment": environment,
        "reason": deployment.reason,
        "release": release.name if release else None,
        "superseded_by": reference(superseded_by) if superseded_by else None,
        "sentence": as_sentence(deployment.reason or "the deployment failed"),
    }
    if failure is not None:
        facts["sentence"] = sentence_or(failure.code, failure.facts, str(facts["sentence"]))
    return one_line(text(f"status/{deployment.state}.j2", facts), MAX_STATUS)
