"""The one door for state changes of deployments: what may happen, and what each change causes.

Every change is one transaction that also leaves an event and raises the deployment's version; the
queue is told only after it is committed. `bot.leases` decides who works on what.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from bot import gates
from bot.change import Change
from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.deployment import Deployment, Hold, Kind, State
from bot.domain.environment import PRODUCTION, Environment, EnvironmentKind, hostname_of, kind_of
from bot.domain.ids import DeploymentId, reference
from bot.domain.pull import PullRequest
from bot.errors import ErrorCode, UserError
from bot.making_way import make_way, supersede, void_approvals
from bot.orders import (
    RESUMED,
    Order,
    Requested,
    again,
    answers,
    approved_before,
    commit_of,
    is_of_fork,
    new_deployment,
    new_rollback,
    release_to_restore,
    said_of_manual,
    says_otherwise,
)
from bot.queue import Queue
from bot.store import apps, deployments, environments, pulls
from bot.store.engine import Engine, Tx, writing


class Lifecycle:
    """Applies what people and events ask for."""

    def __init__(
        self,
        engine: Engine,
        queue: Queue,
        *,
        preview_domain: str,
        fork_domain: str | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.engine = engine
        self._queue = queue
        self._domain = preview_domain
        self._fork_domain = fork_domain or preview_domain
        self._clock = clock

    @contextmanager
    def change(self, *, synced: bool = True) -> Generator[Change]:
        """One transaction, `synced` as `writing` has it; who is to be told is told afterwards."""
        with writing(self.engine, synced=synced) as tx:
            change = Change(tx, self._clock())
            yield change
        for environment, token in change.permits.items():
            self._queue.permit(environment, token)
        for deployment, version in change.changed.items():
            self._queue.announce(deployment, version)
        if change.reroutes:
            self._queue.agree()
        for deployment in change.waiting:
            self._queue.checks(deployment)
        for errand in change.errands:
            self._queue.errand(errand)
        if change.message:
            self._queue.send(change.message)

    def has_worker(self) -> bool:
        """Whether a process takes deployments."""
        return self._queue.has_worker()

    def request(self, change: Change, order: Order) -> Requested:
        """Ask for a deployment: supersedes what waits in the environment, cancels a preview's running one.

        An automatic order for the commit that the environment's newest deployment is about gets that
        one, unless it failed or was cancelled. A preview that was taken down begins another life.

        Raises `UserError` PULL_CLOSED for the preview of a pull request that is not open.
        """
        environment = self._environment(change, order)
        _refuse_closed(change.tx, order.app, environment)
        newest = deployments.newest_of_branch(change.tx, environment.id)
        order = approved_before(order, newest)
        there = environment.archived_at is None or order.hold is Hold.APPROVAL
        if there and order.trigger.is_automatic and newest is not None and answers(newest, order):
            return Requested(newest, is_new=False)
        if environment.manual and order.trigger.is_automatic:
            return Requested(self.skip(change, order, said_of_manual(order.app, environment)), is_new=False)
        return Requested(self._insert(change, order, environment), is_new=True)

    def _insert(self, change: Change, order: Order, environment: Environment) -> Deployment:
        hold, reason = order.hold, order.reason
        if hold is None:
            kept = environment.waits_for(automatic=order.trigger.is_automatic)
            hold, reason = kept or (None, reason)
        if hold is None:
            change.use(environment)
        state = State.HELD if hold else State.QUEUED
        new = new_deployment(order, environment, state, reason, hold=hold)
        deployment = change.add(new)
        if hold is Hold.CHECKS:
            change.waiting.add(deployment.id)
        # What has passed its checks need not make way for what may never pass them.
        if hold is not Hold.CHECKS or environment.kind is EnvironmentKind.PREVIEW:
            supersede(change, environment, deployment)
        if hold is None:
            change.permit(environment)
        return deployment

    def skip(self, change: Change, order: Order, sentence: str) -> Deployment:
        """Leave a deployment that was skipped before it began, so that GitHub is told the reason.

        It supersedes nothing but what waits for approval. When the newest deployment of the environment
        is about the commit already, that one is the answer.
        """
        environment = self._environment(change, order)
        newest = deployments.newest_of_branch(change.tx, environment.id)
        if newest is not None and newest.sha == order.commit.sha and not says_otherwise(newest, sentence):
            return newest
        left = self._leave(change, order, environment, state=State.SKIPPED, reason=sentence)
        void_approvals(change, environment, left)
        return left

    def overtaken(self, change: Change, order: Order, newer: Deployment) -> Deployment:
        """Leave a deployment that a newer commit took the place of before it was asked for."""
        environment = self._environment(change, order)
        reason = f"superseded by {reference(newer.id)}"
        return self._leave(
            change, order, environment, state=State.SUPERSEDED, reason=reason, superseded_by=newer.id
        )

    def _leave(
        self,
        change: Change,
        order: Order,
        environment: Environment,
        *,
        state: State,
        reason: str,
        **more: Any,
    ) -> Deployment:
        new = new_deployment(order, environment, state, reason)
        inserted = change.add(new)
        left = deployments.change(change.tx, inserted.id, change.now, finished_at=change.now, **more)
        change.changed[left.id] = left.version
        return left

    def rollback(
        self,
        change: Change,
        app: App,
        name: str,
        *,
        word: str | None,
        by: str,
        note: str | None = None,
        heeds_lock: bool = False,
    ) -> Deployment:
        """Bring back a release in the environment of that name, and pin it.

        The release is the one that `word` names, else the one before the active. With `heeds_lock`
        nothing is brought back to a locked environment.

        Raises `UserError` when the environment or the release does not exist, or ENVIRONMENT_LOCKED.
        """
        environment = environments.by_name(change.tx, app.id, name)
        if environment is None:
            raise UserError(ErrorCode.UNKNOWN_NAME, field="environment", value=name)
        if heeds_lock and environment.lock is not None:
            raise UserError(ErrorCode.ENVIRONMENT_LOCKED, environment=name, lock=environment.lock)
        release = release_to_restore(change.tx, environment, word)
        reason = f"rolled back to {release.name} by {by}" + (f": {note}" if note else "")
        environments.pin(change.tx, environment.id, reason)
        change.keep_awake(environment)
        commit = commit_of(change.tx, release)
        deployment = change.add(new_rollback(environment, release, commit, reason=reason, by=by, note=note))
        for other in deployments.unfinished(change.tx, environment.id):
            make_way(change, other, deployment)
        change.permit(environment)
        return deployment

    def resume(self, change: Change, environment: Environment, *, by: str = "slipway") -> Deployment | None:
        """Unpin an environment: automatic deploys go on, beginning with the one that waits.

        Where none waits, the head of the environment's branch is asked for again unless it is live: the
        rollback took it down, or stopped its build. The deployment that brings the head, if one must.
        Who waits for something else than the pin goes on waiting; what is closed or taken down stays so.
        """
        was_pinned = environments.get(change.tx, environment.id).pinned
        environments.pin(change.tx, environment.id, None)
        unfinished = deployments.unfinished(change.tx, environment.id)
        for deployment in unfinished:
            if deployment.hold in (None, Hold.PINNED):
                self.go_on(change, deployment, RESUMED)
        head = deployments.head_of_branch(change.tx, environment.id, environment.branch)
        if not was_pinned or head is None or head.state in (State.QUEUED, State.RUNNING):
            return head
        now = environments.get(change.tx, environment.id)
        app = apps.get(change.tx, environment.app_id)
        is_over = now.archived_at is not None or now.manual or _closed_pull(change.tx, app, now) is not None
        if is_over or head.state is State.HELD:
            return None
        is_live = now.active_release_id is not None and now.active_release_id == head.release_id
        if is_live and not any(one.kind is Kind.ROLLBACK for one in unfinished):
            return None
        return self._insert(change, again(head, app, now, by), now)

    def let_go(self, change: Change, deployment: Deployment, reason: str, **changes: Any) -> Deployment:
        """Let a held deployment go on, for a reason; one that is not held is returned as it is.

        It may have to wait for something else then. What waits for less long makes way for it.

        Raises `UserError` PULL_CLOSED when it is of a pull request that is not open.
        """
        environment = environments.get(change.tx, deployment.environment_id)
        if deployment.state is State.HELD:
            _refuse_closed(change.tx, apps.get(change.tx, deployment.app_id), environment)
        return self.go_on(change, deployment, reason, **changes)

    def go_on(self, change: Change, deployment: Deployment, reason: str, **changes: Any) -> Deployment:
        """Let a held deployment be worked on, unless checks, a lock or a pin keep it then."""
        if deployment.state is not State.HELD:
            return deployment
        environment = environments.get(change.tx, deployment.environment_id)
        following = gates.after(change.tx, deployment, environment)
        if following is not None:
            moved = change.wait(deployment, *following, **changes)
        else:
            change.use(environment)
            moved = change.move(deployment, State.QUEUED, reason, hold=None, **changes)
            change.permit(environment)
        if moved.hold is not Hold.CHECKS:
            supersede(change, environment, moved)
        return moved

    def cancel(self, change: Change, deployment: Deployment, by: str) -> Deployment:
        """Cancel: at once while it waits, else the executing process is asked to stop.

        A deployment that has its last word is returned as it is.
        """
        reason = f"cancelled by {by}"
        if deployment.state.is_waiting:
            return change.move(deployment, State.CANCELLED, reason)
        if deployment.state is State.RUNNING:
            return change.move(deployment, State.CANCELLING, reason, cancel_requested=True)
        return deployment

    def announced(self, deployment: DeploymentId, version: int) -> None:
        """Remember that GitHub shows a deployment as of a version; forgotten, it is shown once more."""
        with writing(self.engine, synced=False) as tx:
            deployments.set_announced(tx, deployment, version)

    def environment(self, change: Change, app: App, name: str, branch: str | None = None) -> Environment:
        """The app's environment of that name, as it is; made at first use."""
        found = environments.by_name(change.tx, app.id, name)
        if found is not None:
            return found
        follows = app.production_branch if name == PRODUCTION else branch
        hostname = hostname_of(app.slug, name, self._domain)
        return environments.ensure(change.tx, app, name, hostname=hostname, branch=follows)

    def _environment(self, change: Change, order: Order) -> Environment:
        app, name = order.app, order.environment
        pull = order.pull if kind_of(name) is EnvironmentKind.PREVIEW else None
        if not order.trigger.is_automatic and pull is None:
            # Bringing another branch there by hand does not make the environment follow it.
            return self.environment(change, app, name, order.branch)
        # Pages of one domain share cookies: those of forks are on another.
        domain = self._fork_domain if is_of_fork(change.tx, app, pull) else self._domain
        hostname = hostname_of(app.slug, name, domain)
        return environments.ensure(change.tx, app, name, hostname=hostname, branch=order.branch, pull=pull)


def _closed_pull(tx: Tx, app: App, environment: Environment) -> PullRequest | None:
    if environment.pull is None:
        return None
    pull = pulls.of_app(tx, app, environment.pull)
    return pull if pull is not None and not pull.is_open else None


def _refuse_closed(tx: Tx, app: App, environment: Environment) -> None:
    pull = _closed_pull(tx, app, environment)
    if pull is not None:
        how = "merged" if pull.merged else "closed"
        raise UserError(ErrorCode.PULL_CLOSED, number=pull.number, how=how)
