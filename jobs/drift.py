"""Compares what GitHub shows with what is true, and has it put right by the announcer, within its pace.

What was written once may be lost in an outage of GitHub's, overwritten or deleted. Only what differs is
written again; how far back is looked, and how much, is bounded.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256

from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.deployment import Deployment, State
from bot.domain.ids import AppId, DeploymentId, Sha, reference
from bot.domain.pull import PullNumber
from bot.github import feedback, shown
from bot.github.client import GitHub
from bot.github.errors import GitHubError, RejectedError
from bot.github.feedback import View
from bot.github.shown import ShownStatus
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.settings import Settings
from bot.store import announcements, comments, deployments, drift, environments
from bot.store.announcements import Announcement
from bot.store.drift import Compared
from bot.store.engine import Tx, reading, writing
from jobs import pull_comment
from jobs.announce import view_of
from jobs.turns import TakenError, Turn

LOOK_BACK = timedelta(days=3)
"""How long ago a deployment may have ended that is compared; what is live is compared however old it is."""
MAX_LOOKED = 100
"""Deployments that one comparison looks at."""

_CANDIDATES = 300
_PATIENCE = 1.0


@dataclass
class _Schedule:
    was_away: bool = False


@dataclass
class _Run:
    """One comparison: what was read already, and what was found."""

    looked: int = 0
    repaired: int = 0
    statuses: dict[tuple[str, Sha], dict[str, ShownStatus]] = field(
        default_factory=dict[tuple[str, Sha], dict[str, ShownStatus]]
    )
    contexts: set[tuple[Sha, str]] = field(default_factory=set[tuple[Sha, str]])
    pulls: set[tuple[AppId, PullNumber]] = field(default_factory=set[tuple[AppId, PullNumber]])
    refused: set[str] = field(default_factory=set[str])


@dataclass(frozen=True)
class Drift:
    """What comparing needs."""

    lifecycle: Lifecycle
    github: GitHub
    settings: Settings
    clock: Clock = utc_now
    schedule: _Schedule = field(default_factory=_Schedule)

    def run(self) -> None:
        """Compare when it is time to, or when GitHub has come back after it was away."""
        every = self.settings.drift_seconds
        if every <= 0 or not self.github.is_set:
            return
        with reading(self.lifecycle.engine) as tx:
            last = drift.last(tx)
            is_away = announcements.is_troubled(tx)
        came_back = self.schedule.was_away and not is_away
        self.schedule.was_away = is_away
        now = self.clock()
        due = last.compared_at is None or not timedelta() <= now - last.compared_at < timedelta(seconds=every)
        if (due or came_back) and not is_away:
            self.compare()

    def compare(self) -> Compared:
        """Compare, and let the announcer write again what differs. Nothing of GitHub's is raised."""
        run = _Run()
        note = ""
        with reading(self.lifecycle.engine) as tx:
            subjects = [deployment.id for deployment in _subjects(tx, self.clock() - LOOK_BACK)]
        for deployment in subjects[:MAX_LOOKED]:
            try:
                self._compare(run, deployment)
            except RejectedError as error:
                note = str(error)
            except GitHubError as error:
                note = str(error)
                break
        compared = Compared(self.clock(), run.looked, run.repaired, note)
        with writing(self.lifecycle.engine) as tx:
            drift.keep(tx, compared)
        if run.repaired or note:
            logger.warning("compared what GitHub shows", looked=run.looked, repaired=run.repaired, why=note)
        return compared

    def _compare(self, run: _Run, deployment_id: DeploymentId) -> None:
        with reading(self.lifecycle.engine) as tx:
            deployment = deployments.get(tx, deployment_id)
            view = view_of(tx, deployment, self.settings)
            known = announcements.get(tx, deployment_id)
        if deployment.announced < deployment.version or not known.shown or not _is_reached(view.app):
            return
        if view.app.repository in run.refused:
            return
        run.looked += 1
        try:
            mended = self._mended(run, view, known)
            comment = self._comment_differs(run, view)
        except RejectedError:
            run.refused.add(view.app.repository)
            raise
        if (mended != known or comment) and self._repair(view, known, mended, comment=comment):
            run.repaired += 1

    def _mended(self, run: _Run, view: View, known: Announcement) -> Announcement:
        """What is known to be shown, without what is not."""
        mended = known
        if "status" in known.shown and not self._has_status(run, view):
            mended = _without(mended, "status")
        number = known.github_deployment_id
        if number is None or "deployment" not in known.shown:
            return mended
        state = shown.deployment_state(self.github, view.app, number)
        if state is None:
            # It was deleted; whether it is worth another one, the announcer knows.
            return replace(_without(mended, "deployment", "asked"), github_deployment_id=None)
        if state != feedback.true_deployment_status(view).state:
            return _without(mended, "deployment")
        return mended

    def _has_status(self, run: _Run, view: View) -> bool:
        wanted = feedback.true_status(view)
        key = (wanted.sha, wanted.context)
        # Of two pull requests with one head the later has the say.
        if key in run.contexts or not feedback.speaks_on_commit(view):
            return True
        run.contexts.add(key)
        place = (view.app.repository, wanted.sha)
        if place not in run.statuses:
            run.statuses[place] = shown.statuses(self.github, view.app, wanted.sha)
        found = run.statuses[place].get(wanted.context.lower())
        return found == ShownStatus(wanted.state, wanted.description)

    def _comment_differs(self, run: _Run, view: View) -> bool:
        pull = view.deployment.pull
        if pull is None or view.app.repository_id is None:
            return False
        with reading(self.lifecycle.engine) as tx:
            first = pull_comment.keeper(tx, view.app)
            number, before = comments.get(tx, first, pull)
        if (first, pull) in run.pulls:
            return False
        run.pulls.add((first, pull))
        if number is None or before is None:
            return False
        body = shown.comment(self.github, view.app, number)
        if body is None:
            return True
        return sha256(body.encode()).hexdigest() != before.digest

    def _repair(self, view: View, known: Announcement, mended: Announcement, *, comment: bool) -> bool:
        """Have the announcer write what differs; False when somebody wrote meanwhile."""
        deployment, app = view.deployment, view.app
        turn = Turn(self.lifecycle.engine, self.clock, f"announce-{deployment.environment_id}")
        try:
            with turn.taken(_PATIENCE), self.lifecycle.change() as change:
                if announcements.get(change.tx, deployment.id) != known:
                    return False
                announcements.keep(change.tx, mended)
                if comment and app.repository_id is not None and deployment.pull is not None:
                    comments.doubt(change.tx, pull_comment.keeper(change.tx, app), deployment.pull)
                change.touch(deployment.id)
        except TakenError:
            return False
        logger.warning("GitHub shows something else than is true", deployment=reference(deployment.id))
        return True


def _is_reached(app: App) -> bool:
    return app.absence is None and app.archived_at is None


def _without(known: Announcement, *surfaces: str) -> Announcement:
    return replace(known, shown={name: value for name, value in known.shown.items() if name not in surfaces})


def _subjects(tx: Tx, since: datetime) -> Iterator[Deployment]:
    """Deployments that people may look at, newest first: what ended lately, what waits, what is live."""
    live = {one.active_deployment_id for one in environments.live(tx)}
    recent = deployments.latest(tx, _CANDIDATES)
    older = [
        deployments.get(tx, one) for one in live if one is not None and one not in {d.id for d in recent}
    ]
    for one in [*recent, *sorted(older, key=lambda found: -found.id)]:
        ended = one.finished_at
        if one.state is State.HELD or one.id in live or (ended is not None and ended >= since):
            yield one
