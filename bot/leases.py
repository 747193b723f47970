"""Who works on what: leases on environments with fencing tokens, decided in the store, not in the queue.

An executor claims the fairest ready environment and the deployment to make there, renews its lease
while it works, and gives it back with the deployment's last word. Whoever lost a lease has no say:
its token is old, and every change it asks for is refused.

No wall clock decides about a lease: clocks are set, and differ between machines. A lease has run out
for a process that saw nobody renew it for `LEASE` of that process's own steady time.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any

from bot import holder as holders
from bot.change import Change
from bot.clock import Clock, utc_now
from bot.domain.deployment import Blame, Commit, Deployment, Failure, Hold, Kind, Phase, State
from bot.domain.environment import Environment
from bot.domain.ids import EnvironmentId, ReleaseId, reference
from bot.errors import ErrorCode, PlatformError
from bot.lifecycle import Lifecycle
from bot.sightings import Sightings
from bot.store import deployments, environments, forks, lease_rows, steps
from bot.store.engine import Tx, reading, writing

LEASE = timedelta(seconds=30)
RENEWAL = timedelta(seconds=5)
MAX_LOSSES = 1
"""How often a deployment whose worker was lost is run once more."""

_Standing = tuple[EnvironmentId, int, datetime | None]
"""A lease as it stands: whoever renews it makes another of it."""


@dataclass(frozen=True)
class Claim:
    """The right to make one deployment in one environment, as long as the token is the newest."""

    environment: Environment
    deployment: Deployment
    token: int


class Standing(Enum):
    """What an executor learns when it looks at its lease."""

    HELD = auto()
    CANCEL_WANTED = auto()
    LOST = auto()


class UnwantedError(Exception):
    """What a deployment was made for is gone: its environment was taken down meanwhile."""


class Leases:
    """Claims, renewals, ends and reaping."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        *,
        concurrency: int,
        strangers: int = 1,
        clock: Clock = utc_now,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifecycle = lifecycle
        self._engine = lifecycle.engine
        self._concurrency = concurrency
        # With three and more the app's own previews never wait for one.
        self._strangers = min(strangers, max(1, concurrency - 2))
        self._clock = clock
        self._sightings = Sightings[_Standing](steady, LEASE)

    def claim(self, holder: str) -> Claim | None:
        """Take the fairest ready environment, and its deployment: a rollback first, else the newest.

        One executor stays free from previews where there is more than one, and `strangers` at most build
        strangers' code, when nothing else waits. A lease that ran out is nobody's to claim before it is
        taken back, with the deployment that it was held for.
        """
        # After a loss of power whoever held a lease is gone: nobody misses a claim that is not known.
        with self._lifecycle.change(synced=False) as change:
            _take_back(change, self._ran_out(lease_rows.leased(change.tx)))
            running = lease_rows.previews_running(change.tx)
            previews = self._concurrency == 1 or running < self._concurrency - 1
            strangers = previews and forks.strangers_running(change.tx) < self._strangers
            environment = lease_rows.claim_fairest(
                change.tx, holder, change.now, change.now + LEASE, previews=previews, strangers=strangers
            )
            if environment is None:
                return None
            deployment = _next_of(change.tx, environment)
            if deployment is None:
                lease_rows.release_lease(change.tx, environment.id, environment.lease_token)
                return None
            started = change.move(deployment, State.RUNNING, "started", started_at=change.now)
            self._sightings.saw(_standing_of(environment))
            return Claim(environment, started, environment.lease_token)

    def renew(self, claim: Claim) -> bool:
        """Prolong a claim; False when it was lost."""
        with writing(self._engine, synced=False) as tx:
            until = self._clock() + LEASE
            return lease_rows.renew_lease(tx, claim.environment.id, claim.token, until)

    def standing(self, claim: Claim) -> Standing:
        """Whether a claim still holds and its deployment is still wanted."""
        with reading(self._engine) as tx:
            environment = environments.get(tx, claim.environment.id)
            if environment.lease_token != claim.token or environment.lease_until is None:
                return Standing.LOST
            wanted = not deployments.get(tx, claim.deployment.id).cancel_requested
            return Standing.HELD if wanted else Standing.CANCEL_WANTED

    def enter(self, claim: Claim, phase: Phase) -> None:
        """Remember that a step begins, and that the one before has succeeded.

        Raises `PlatformError` when the claim was lost.
        """
        deployment, now = claim.deployment, self._clock()
        with writing(self._engine, synced=False) as tx:
            self._hold(tx, claim)
            steps.end_open(tx, deployment.id, now, state="succeeded")
            deployments.set_phase(tx, deployment.id, phase)
            steps.start(tx, deployment.id, deployment.attempt, phase, now=now)

    def identify(self, claim: Claim, commit: Commit) -> Claim:
        """Remember which commit the head of the branch is. Raises `PlatformError` when the claim was lost."""
        with self._lifecycle.change() as change:
            self._hold(change.tx, claim)
            known = deployments.change(change.tx, claim.deployment.id, change.now, **asdict(commit))
            change.changed[known.id] = known.version
        return replace(claim, deployment=known)

    def switch(self, claim: Claim, release: ReleaseId) -> int:
        """Point the environment at a release: the number of the switch, which orders it at the edge.

        Raises `PlatformError` when the claim was lost: an executor that was taken for dead can't
        undo what its successor did. Raises `UnwantedError` when the environment was taken down.
        """
        with writing(self._engine) as tx:
            self._hold(tx, claim)
            if environments.get(tx, claim.environment.id).archived_at is not None:
                raise UnwantedError
            activation = environments.activate(tx, claim.environment.id, release, claim.deployment.id)
            deployments.set_shown(tx, claim.deployment.id, release, activation)
            return activation

    def withdraw(self, claim: Claim) -> Environment | None:
        """Take back the switch of work that failed: the environment, as it is to be shown from now on.

        None when the work had not switched. Raises `PlatformError` when the claim was lost.
        """
        with self._lifecycle.change() as change:
            self._hold(change.tx, claim)
            withdrawn = change.withdraw(claim.deployment)
            return environments.get(change.tx, claim.environment.id) if withdrawn else None

    def finish(self, claim: Claim, state: State, reason: str, **changes: Any) -> bool:
        """Give the deployment its last word and the lease back; False when the claim was lost.

        With the last word go `failure` or `superseded_by`, where there is one. `CANCELLED` is taken
        as the wish it was: what a newer one asked for is superseded.
        """
        with self._lifecycle.change() as change:
            if not lease_rows.release_lease(change.tx, claim.environment.id, claim.token):
                return False
            deployment = deployments.get(change.tx, claim.deployment.id)
            if state is State.CANCELLED:
                _end_cancelled(change, deployment, reason)
            else:
                change.move(deployment, state, reason, **changes)
            _permit_next(change)
            return True

    def hand_back(self, claim: Claim, reason: str) -> None:
        """Put the deployment back into the queue: its worker stops, another will run it from the start."""
        with self._lifecycle.change() as change:
            if lease_rows.release_lease(change.tx, claim.environment.id, claim.token):
                _requeue(change, deployments.get(change.tx, claim.deployment.id), reason, losses=0)
                _permit_next(change)

    def put_off(self, claim: Claim, reason: str, pause: timedelta) -> bool:
        """Put the deployment back into the queue, to be tried again after a pause; False when it was lost."""
        with self._lifecycle.change() as change:
            if not lease_rows.release_lease(change.tx, claim.environment.id, claim.token):
                return False
            deployment = deployments.get(change.tx, claim.deployment.id)
            _requeue(change, deployment, reason, losses=0, ready_at=change.now + pause)
            _permit_next(change)
            return True

    def reap(self, is_gone: Callable[[str], bool] = holders.is_gone) -> list[Deployment]:
        """Take back leases that ran out or whose holder is dead; what was lost is run once more.

        The deployments concerned, as they stand afterwards. Only who looks again and again sees a lease
        of another machine run out: the sweep.
        """
        with self._lifecycle.change() as change:
            leased = lease_rows.leased(change.tx)
            dead = [one for one in leased if one.lease_holder is not None and is_gone(one.lease_holder)]
            lost = _take_back(change, [*self._ran_out(leased), *dead])
            if lost:
                _permit_next(change)
            return lost

    def _ran_out(self, leased: Sequence[Environment]) -> list[Environment]:
        old = self._sightings.lasting(map(_standing_of, leased))
        return [one for one in leased if _standing_of(one) in old]

    def _hold(self, tx: Tx, claim: Claim) -> None:
        until = self._clock() + LEASE
        if not lease_rows.renew_lease(tx, claim.environment.id, claim.token, until):
            raise PlatformError(ErrorCode.LEASE_LOST, deployment=reference(claim.deployment.id))


def _next_of(tx: Tx, environment: Environment) -> Deployment | None:
    queued = [one for one in deployments.unfinished(tx, environment.id) if one.state is State.QUEUED]
    rollbacks = [one for one in queued if one.kind is Kind.ROLLBACK]
    return next(iter(rollbacks or queued), None)


def _permit_next(change: Change) -> None:
    # One permit for the executor that came free; the claim, not the permit, decides for which environment.
    for environment in lease_rows.ready_ids(change.tx, change.now)[:1]:
        change.permit(environments.get(change.tx, environment))


def _standing_of(environment: Environment) -> _Standing:
    return environment.id, environment.lease_token, environment.lease_until


def _take_back(change: Change, held: Sequence[Environment]) -> list[Deployment]:
    lost: list[Deployment] = []
    for environment in held:
        if lease_rows.release_lease(change.tx, environment.id, environment.lease_token):
            open_there = deployments.unfinished(change.tx, environment.id)
            lost += [_lose(change, one) for one in open_there if not one.state.is_waiting]
    return lost


def _lose(change: Change, deployment: Deployment) -> Deployment:
    if deployment.state is State.CANCELLING:
        return _end_cancelled(change, deployment, deployment.reason)
    if deployment.losses < MAX_LOSSES:
        return _requeue(change, deployment, "its worker was lost: run once more from the start", losses=1)
    failure = Failure(ErrorCode.WORKER_LOST, {"attempts": deployment.attempt}, Blame.PLATFORM)
    return change.move(deployment, State.FAILED, "its worker was lost twice", failure=failure)


def _end_cancelled(change: Change, deployment: Deployment, reason: str) -> Deployment:
    if deployment.superseded_by is not None:
        return change.move(deployment, State.SUPERSEDED, deployment.reason)
    wish = deployment.reason if deployment.state is State.CANCELLING else reason
    return change.move(deployment, State.CANCELLED, wish)


def _requeue(
    change: Change, deployment: Deployment, reason: str, *, losses: int, ready_at: datetime | None = None
) -> Deployment:
    if deployment.state is State.CANCELLING:
        return _end_cancelled(change, deployment, deployment.reason)
    newer = _newer_waiting(change.tx, deployment)
    if deployment.kind is Kind.BUILD and newer is not None:
        text = f"superseded by {reference(newer.id)}"
        return change.move(deployment, State.SUPERSEDED, text, superseded_by=newer.id)
    steps.end_open(change.tx, deployment.id, change.now)
    return change.move(
        deployment,
        State.QUEUED,
        reason,
        attempt=deployment.attempt + 1,
        losses=deployment.losses + losses,
        phase=None,
        ready_at=ready_at,
    )


def _newer_waiting(tx: Tx, deployment: Deployment) -> Deployment | None:
    open_there = deployments.unfinished(tx, deployment.environment_id)
    waiting = (one for one in open_there if one.kind is Kind.BUILD and one.hold is not Hold.CHECKS)
    return next((one for one in waiting if one.id > deployment.id), None)
