"""Lets deployments go on once the checks that they wait for have passed.

The truth is GitHub's API where there are credentials, else what events told. An event, or the beginning
of the wait, has it looked at at once; the sweep looks at what no event told of.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from bot import gates
from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.checks import Check, Verdict, listed, timed_out, verdict, waiting_for
from bot.domain.deployment import Commit, Deployment, Hold, State
from bot.domain.environment import Environment
from bot.domain.ids import DeploymentId, reference
from bot.errors import UserError
from bot.github import checks as reported
from bot.github.client import GitHub
from bot.github.errors import GitHubError, RejectedError
from bot.intake.recipe_file import Checks
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.orders import Order
from bot.store import apps, checks, deployments, environments
from bot.store.engine import Tx, reading, writing

MOST_HELD = timedelta(days=30)
"""How long anything is held: a commit's status must not be pending for ever."""
KEPT = timedelta(days=7)
"""How long what events told of checks is remembered."""
ASK_SECONDS = 300.0
"""How often GitHub is asked about one deployment where events tell of checks."""
MAX_LOOKS = 20
"""Deployments that one round of the sweep asks GitHub about."""

_FIRST_PAUSE = 15.0
_FORGET_SECONDS = 3600.0


@dataclass
class _Turn:
    due: float = 0.0
    failures: int = 0


@dataclass(frozen=True)
class _Found:
    """What is known of a commit's checks. `trouble`: why GitHub did not say.

    `is_sure`: it is all that will be known for now; else GitHub is to be asked again.
    """

    checks: list[Check]
    trouble: str = ""
    is_sure: bool = True


@dataclass(frozen=True)
class Checking:
    """What looking at checks needs. `seconds`: how often the sweep asks about one deployment."""

    lifecycle: Lifecycle
    github: GitHub
    seconds: float = ASK_SECONDS
    clock: Clock = utc_now
    monotonic: Callable[[], float] = time.monotonic
    turns: dict[int, _Turn] = field(default_factory=dict[int, _Turn])

    def look(self, deployment_id: DeploymentId) -> None:
        """See what came of the checks that a deployment waits for, and move it on. No error is raised."""
        with reading(self.lifecycle.engine) as tx:
            deployment = deployments.find(tx, deployment_id)
            if deployment is None or deployment.hold is not Hold.CHECKS:
                return
            app = apps.get(tx, deployment.app_id)
            environment = environments.get(tx, deployment.environment_id)
            wanted = gates.checks_for(tx, app.id, environment.name)
        if deployment.state is State.HELD:
            self._decide(app, deployment, wanted)
        elif deployment.state is State.SKIPPED and wanted is not None:
            self._retry(app, environment, deployment, wanted)

    def sweep(self) -> int:
        """Look at deployments that are due to be asked about, or whose time is over; how many those are."""
        with reading(self.lifecycle.engine) as tx:
            held = {one.id: one for one in checks.waiting(tx)}
        for gone in [one for one in self.turns if one not in held and one != 0]:
            del self.turns[gone]
        due = [one for one in held if self.turns.setdefault(one, _Turn()).due <= self.monotonic()]
        for deployment in due[:MAX_LOOKS]:
            self.turns[deployment].due = self.monotonic() + self.seconds
            self.look(deployment)
        self._forget()
        return len(due[:MAX_LOOKS])

    def _decide(self, app: App, deployment: Deployment, wanted: Checks | None) -> None:
        if wanted is None:
            self._let_go(deployment, "no checks are required any more")
            return
        found = self._found(app, deployment)
        said = verdict(wanted.require, found.checks)
        if said.failed:
            self._end(deployment, State.SKIPPED, f"skipped: {listed(said.failed)} failed")
        elif not said.missing:
            self._let_go(deployment, f"{listed(wanted.require)} passed")
        else:
            self._wait_on(deployment, wanted, said, found)

    def _wait_on(self, deployment: Deployment, wanted: Checks, said: Verdict, found: _Found) -> None:
        with reading(self.lifecycle.engine) as tx:
            left = checks.since(tx, deployment.id) + wanted.patience - self.clock()
        # Nobody knows what is missing while GitHub is away: it is asked again, however long that takes.
        if left <= timedelta() and found.is_sure:
            self._end(deployment, State.CANCELLED, timed_out(said.missing, wanted.patience, found.trouble))
            return
        self._plan(deployment, left.total_seconds(), found)
        reason = waiting_for(said.missing)
        if not found.trouble and reason != deployment.reason:
            with writing(self.lifecycle.engine) as tx:
                present = deployments.get(tx, deployment.id)
                if present.state is State.HELD and present.hold is Hold.CHECKS:
                    checks.say(tx, deployment.id, reason)

    def _plan(self, deployment: Deployment, left: float, found: _Found) -> None:
        turn = self.turns.setdefault(deployment.id, _Turn())
        turn.failures = 0 if found.is_sure else turn.failures + 1
        pause = (
            self.seconds if found.is_sure else min(ASK_SECONDS, _FIRST_PAUSE * 2 ** min(turn.failures - 1, 8))
        )
        turn.due = self.monotonic() + (min(pause, max(left, 0.0)) if found.is_sure else pause)

    def _found(self, app: App, deployment: Deployment) -> _Found:
        if not self.github.is_set:
            return _Found(self._told(app, deployment))
        try:
            return _Found(reported.of_commit(self.github, app, deployment.sha))
        except RejectedError as error:
            logger.warning(
                "GitHub does not tell of checks", deployment=reference(deployment.id), why=str(error)
            )
            return _Found(self._told(app, deployment), str(error))
        except GitHubError as error:
            logger.warning(
                "GitHub was not asked for checks", deployment=reference(deployment.id), why=str(error)
            )
            return _Found([], str(error), is_sure=False)

    def _told(self, app: App, deployment: Deployment) -> list[Check]:
        with reading(self.lifecycle.engine) as tx:
            return checks.of_commit(tx, app.id, deployment.sha)

    def _let_go(self, deployment: Deployment, reason: str) -> None:
        try:
            with self.lifecycle.change() as change:
                present = _waiting(change.tx, deployment.id)
                if present is not None:
                    self.lifecycle.let_go(change, present, reason)
        except UserError:
            # Its pull request was closed meanwhile; taking down the preview ends the deployment, too.
            return
        logger.info("checks passed", deployment=reference(deployment.id), why=reason)

    def _end(self, deployment: Deployment, state: State, reason: str) -> None:
        with self.lifecycle.change() as change:
            present = _waiting(change.tx, deployment.id)
            if present is not None:
                change.move(present, state, reason)
        logger.info("checks did not pass", deployment=reference(deployment.id), why=reason)

    def _retry(self, app: App, environment: Environment, before: Deployment, wanted: Checks) -> None:
        """Deploy after all what a failed check kept back, once that was run again and passed."""
        found = self._found(app, before)
        said = verdict(wanted.require, found.checks)
        if said.failed or said.missing or found.trouble:
            return
        with self.lifecycle.change() as change:
            newest = deployments.newest_of_branch(change.tx, environment.id)
            present = environments.get(change.tx, environment.id)
            gone = present.archived_at is not None
            if newest is None or newest.id != before.id or gone or not apps.get(change.tx, app.id).enabled:
                return
            self.lifecycle.request(change, _again(app, present, newest, wanted))

    def _forget(self) -> None:
        turn = self.turns.setdefault(0, _Turn())
        if turn.due > self.monotonic():
            return
        turn.due = self.monotonic() + _FORGET_SECONDS
        with writing(self.lifecycle.engine) as tx:
            checks.forget(tx, self.clock() - KEPT)
        with self.lifecycle.change() as change:
            for one in checks.held_since(change.tx, change.now - MOST_HELD):
                reason = f"nobody let it go within {MOST_HELD.days} days; it was held: {one.reason}"
                change.move(one, State.CANCELLED, reason)


def _again(app: App, environment: Environment, before: Deployment, wanted: Checks) -> Order:
    return Order(
        app=app,
        environment=environment.name,
        branch=before.branch,
        commit=Commit(before.sha, before.message, before.author),
        trigger=before.trigger,
        reason=f"{listed(wanted.require)} passed when run again",
        requested_by=before.requested_by,
        delivery_id=before.delivery_id,
        pull=before.pull,
    )


def _waiting(tx: Tx, deployment: DeploymentId) -> Deployment | None:
    present = deployments.get(tx, deployment)
    return present if present.state is State.HELD and present.hold is Hold.CHECKS else None
