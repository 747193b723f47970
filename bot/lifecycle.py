"""The one door for state changes of deployments: what may happen, and what each change causes.

Every change is one transaction that also leaves an event and raises the deployment's version; the
queue is told only after it is committed. `bot.leases` decides who works on what.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from bot.change import Change
from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.deployment import Commit, Deployment, Kind, State, Trigger
from bot.domain.environment import PRODUCTION, Environment, EnvironmentKind, hostname_of
from bot.domain.ids import DeliveryId, DeploymentId, reference
from bot.domain.release import Release, previous
from bot.errors import ErrorCode, UserError
from bot.queue import Queue
from bot.store import apps, deployments, environments, releases
from bot.store.deployments import NewDeployment
from bot.store.engine import Engine, Tx, writing

_RESUMED = "the environment was resumed"


@dataclass(frozen=True)
class Order:
    """A wish to bring a commit into an environment."""

    app: App
    environment: str
    branch: str | None
    commit: Commit
    trigger: Trigger
    reason: str
    requested_by: str
    delivery_id: DeliveryId | None = None


@dataclass(frozen=True)
class Requested:
    """The deployment that answers an order; not new when one for the same commit is there already."""

    deployment: Deployment
    is_new: bool


class Lifecycle:
    """Applies what people and events ask for."""

    def __init__(self, engine: Engine, queue: Queue, *, preview_domain: str, clock: Clock = utc_now) -> None:
        self.engine = engine
        self._queue = queue
        self._domain = preview_domain
        self._clock = clock

    @contextmanager
    def change(self) -> Generator[Change]:
        """One transaction; permits and announcements go out after it is committed."""
        with writing(self.engine) as tx:
            change = Change(tx, self._clock())
            yield change
        for environment, token in change.permits.items():
            self._queue.permit(environment, token)
        for deployment, version in change.changed.items():
            self._queue.announce(deployment, version)

    def request(self, change: Change, order: Order) -> Requested:
        """Ask for a deployment: supersedes what waits in the environment, cancels a preview's running one.

        An automatic order for the commit that the environment's newest deployment is about gets that
        one, unless it failed or was cancelled.
        """
        environment = self._environment(change, order)
        newest = deployments.newest_of_branch(change.tx, environment.id)
        if order.trigger.is_automatic and newest is not None and _answers(newest, order.commit):
            return Requested(newest, is_new=False)
        return Requested(self._insert(change, order, environment), is_new=True)

    def _insert(self, change: Change, order: Order, environment: Environment) -> Deployment:
        pinned = environment.pinned and order.trigger.is_automatic
        state = State.HELD if pinned else State.QUEUED
        reason = environment.pin_reason or "pinned" if pinned else order.reason
        new = _new(order, environment, state, reason)
        deployment = deployments.insert(change.tx, new, change.now)
        change.changed[deployment.id] = deployment.version
        self._supersede(change, environment, deployment)
        if not pinned:
            change.permit(environment)
        return deployment

    def skip(self, change: Change, order: Order, sentence: str) -> Deployment:
        """Leave a deployment that was skipped before it began, so that GitHub is told the reason.

        It supersedes nothing. When the newest deployment of the environment is about the commit
        already, that one is the answer.
        """
        environment = self._environment(change, order)
        newest = deployments.newest_of_branch(change.tx, environment.id)
        if newest is not None and newest.sha == order.commit.sha:
            return newest
        return self._leave(change, order, environment, state=State.SKIPPED, reason=sentence)

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
        new = _new(order, environment, state, reason)
        inserted = deployments.insert(change.tx, new, change.now)
        left = deployments.change(change.tx, inserted.id, change.now, finished_at=change.now, **more)
        change.changed[left.id] = left.version
        return left

    def rollback(self, change: Change, app: App, name: str, *, word: str | None, by: str) -> Deployment:
        """Bring back a release in the environment of that name, and pin it.

        The release is the one that `word` names, else the one before the active.

        Raises `UserError` when the environment or the release does not exist.
        """
        environment = environments.by_name(change.tx, app.id, name)
        if environment is None:
            raise UserError(ErrorCode.UNKNOWN_NAME, field="environment", value=name)
        release = self._release_to_restore(change.tx, environment, word)
        reason = f"rolled back to {release.name} by {by}"
        environments.pin(change.tx, environment.id, reason)
        deployment = deployments.insert(
            change.tx,
            NewDeployment(
                app_id=app.id,
                environment_id=environment.id,
                kind=Kind.ROLLBACK,
                trigger=Trigger.MANUAL,
                state=State.QUEUED,
                commit=Commit(release.sha, message=f"rollback to {release.name}"),
                branch=environment.branch,
                reason=reason,
                requested_by=by,
                release_id=release.id,
            ),
            change.now,
        )
        change.changed[deployment.id] = deployment.version
        for other in deployments.unfinished(change.tx, environment.id):
            self._make_way(change, other, deployment)
        change.permit(environment)
        return deployment

    def resume(self, change: Change, environment: Environment, *, by: str = "slipway") -> Deployment | None:
        """Unpin an environment: automatic deploys go on, beginning with the one that waits.

        Where none waits, the head of the environment's branch is asked for again unless it is live: the
        rollback took it down, or stopped its build. The deployment that brings the head, if one must.
        """
        was_pinned = environments.get(change.tx, environment.id).pinned
        environments.pin(change.tx, environment.id, None)
        unfinished = deployments.unfinished(change.tx, environment.id)
        for deployment in unfinished:
            if deployment.state is State.HELD:
                change.move(deployment, State.QUEUED, _RESUMED)
                change.permit(environment)
        head = deployments.head_of_branch(change.tx, environment.id, environment.branch)
        if not was_pinned or head is None or head.state in (State.QUEUED, State.RUNNING):
            return head
        now = environments.get(change.tx, environment.id)
        is_live = now.active_release_id is not None and now.active_release_id == head.release_id
        if is_live and not any(one.kind is Kind.ROLLBACK for one in unfinished):
            return None
        app = apps.get(change.tx, environment.app_id)
        return self._insert(change, _again(head, app, now, by), now)

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
        """Remember that GitHub shows a deployment as of a version."""
        with writing(self.engine) as tx:
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
        if not order.trigger.is_automatic:
            # Bringing another branch there by hand does not make the environment follow it.
            return self.environment(change, order.app, order.environment, order.branch)
        hostname = hostname_of(order.app.slug, order.environment, self._domain)
        return environments.ensure(
            change.tx, order.app, order.environment, hostname=hostname, branch=order.branch
        )

    def _supersede(self, change: Change, environment: Environment, newest: Deployment) -> None:
        reason = f"superseded by {reference(newest.id)}"
        for older in deployments.unfinished(change.tx, environment.id):
            if older.id == newest.id or older.kind is Kind.ROLLBACK:
                continue
            if older.state.is_waiting:
                change.move(older, State.SUPERSEDED, reason, superseded_by=newest.id)
            elif environment.kind is EnvironmentKind.PREVIEW and older.state is State.RUNNING:
                self._replace_running(change, older, newest, reason)

    def _make_way(self, change: Change, other: Deployment, rollback: Deployment) -> None:
        if other.id == rollback.id:
            return
        if other.kind is Kind.ROLLBACK and other.state.is_waiting:
            reason = f"superseded by {reference(rollback.id)}"
            change.move(other, State.SUPERSEDED, reason, superseded_by=rollback.id)
        elif other.state is State.QUEUED:
            change.move(other, State.HELD, rollback.reason)
        elif other.state is State.RUNNING:
            # Whoever rolls back has an emergency: it does not wait for a build.
            self._replace_running(
                change, other, rollback, f"stopped for {reference(rollback.id)}, a rollback"
            )

    def _replace_running(self, change: Change, old: Deployment, new: Deployment, reason: str) -> None:
        change.move(old, State.CANCELLING, reason, cancel_requested=True, superseded_by=new.id)

    def _release_to_restore(self, tx: Tx, environment: Environment, word: str | None) -> Release:
        if word is not None:
            named = releases.by_word(tx, environment.app_id, word)
            if named is None:
                raise UserError(ErrorCode.UNKNOWN_NAME, field="release", value=word)
            return named
        kept = {release.id: release for release in releases.of_app(tx, environment.app_id)}
        history = deployments.shown(tx, environment.id)
        before = previous(history, environment.active_release_id, kept)
        if before is None:
            raise UserError(ErrorCode.NO_RELEASE, environment=environment.name)
        return kept[before]


def _new(order: Order, environment: Environment, state: State, reason: str) -> NewDeployment:
    return NewDeployment(
        app_id=order.app.id,
        environment_id=environment.id,
        kind=Kind.BUILD,
        trigger=order.trigger,
        state=state,
        commit=order.commit,
        branch=order.branch,
        reason=reason,
        requested_by=order.requested_by,
        delivery_id=order.delivery_id,
    )


def _again(head: Deployment, app: App, environment: Environment, by: str) -> Order:
    commit = Commit(head.sha, head.message, head.author)
    return Order(app, environment.name, head.branch, commit, Trigger.RECONCILE, _RESUMED, by)


def _answers(newest: Deployment, commit: Commit) -> bool:
    unwanted = (State.FAILED, State.CANCELLED, State.REJECTED, State.CANCELLING, State.SUPERSEDED)
    return newest.sha == commit.sha and newest.state not in unwanted
