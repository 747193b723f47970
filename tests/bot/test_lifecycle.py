from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.domain.app import App
from bot.domain.deployment import Commit, State, Trigger
from bot.domain.ids import Digest, Sha
from bot.leases import LEASE, Leases, Standing
from bot.lifecycle import Lifecycle, Order
from bot.queue import Queue, connect
from bot.store import apps, deployments, environments, releases
from bot.store.apps import NewApp
from bot.store.engine import Engine, open_engine, reading, writing
from bot.store.releases import NewRelease
from tests.stores import migrate


class Now:
    def __init__(self) -> None:
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    engine = open_engine(f"sqlite:///{tmp_path / 'store.db'}")
    migrate(engine)
    return engine


@pytest.fixture
def now() -> Now:
    return Now()


@pytest.fixture
def lifecycle(engine: Engine, now: Now, tmp_path: Path) -> Lifecycle:
    # Nobody listens there: what is enqueued is lost, and nothing may depend on it.
    queue = Queue(connect(f"unix://{tmp_path / 'nothing.sock'}"))
    return Lifecycle(engine, queue, preview_domain="localhost", clock=now)


@pytest.fixture
def leases(lifecycle: Lifecycle, now: Now) -> Leases:
    return Leases(lifecycle, concurrency=2, clock=now, steady=lambda: now().timestamp())


@pytest.fixture
def app(engine: Engine, now: Now) -> App:
    with writing(engine) as tx:
        return apps.insert(tx, NewApp("shop", "acme/shop", "file:///nowhere", "main"), now())


def push(lifecycle: Lifecycle, app: App, number: int, environment: str = "production"):
    commit = Commit(Sha(f"{number:040x}"), "a change", "somebody")
    with lifecycle.change() as change:
        return lifecycle.request(
            change, Order(app, environment, "main", commit, Trigger.PUSH, "pushed to main", "somebody")
        )


def state_of(engine: Engine, number: int) -> State:
    with reading(engine) as tx:
        return deployments.get(tx, deployments.DeploymentId(number)).state


def succeed(lifecycle: Lifecycle, leases: Leases, app: App, number: int) -> int:
    push(lifecycle, app, number)
    claim = leases.claim("host/1/0")
    assert claim is not None
    with writing(lifecycle.engine) as tx:
        new = NewRelease(
            app.id, Digest(f"{number}"), Digest("m"), claim.deployment.sha, 1, 1, False, claim.deployment.id
        )
        release = releases.insert(tx, new, datetime(2026, 1, 1, tzinfo=UTC))
    leases.switch(claim, release.id)
    assert leases.finish(claim, State.SUCCEEDED, "live")
    return release.number


def test_the_running_one_finishes_the_middle_is_dropped_and_the_newest_is_built(
    engine: Engine, lifecycle: Lifecycle, leases: Leases, app: App
):
    push(lifecycle, app, 1)
    first = leases.claim("host/1/0")
    assert first is not None
    push(lifecycle, app, 2)
    push(lifecycle, app, 3)
    assert leases.claim("host/2/0") is None
    assert leases.finish(first, State.SUCCEEDED, "live")
    second = leases.claim("host/2/0")
    assert second is not None
    assert second.deployment.sha == f"{3:040x}"
    assert second.token > first.token
    assert [state_of(engine, number) for number in (1, 2, 3)] == ["succeeded", "superseded", "running"]


def test_a_push_of_the_same_commit_again_is_answered_by_the_same_deployment(lifecycle: Lifecycle, app: App):
    first = push(lifecycle, app, 1)
    again = push(lifecycle, app, 1)
    assert first.is_new
    assert not again.is_new
    assert again.deployment.id == first.deployment.id


def test_a_lost_lease_runs_once_more_and_then_fails(
    engine: Engine, lifecycle: Lifecycle, leases: Leases, app: App, now: Now
):
    push(lifecycle, app, 1)
    first = leases.claim("elsewhere/1/0")
    assert first is not None
    assert leases.reap() == []
    now.moment += LEASE + timedelta(seconds=1)
    assert [one.state for one in leases.reap()] == [State.QUEUED]
    assert leases.standing(first) is Standing.LOST
    assert not leases.finish(first, State.SUCCEEDED, "too late")
    second = leases.claim("elsewhere/2/0")
    assert second is not None
    assert second.deployment.attempt == 2
    now.moment += LEASE + timedelta(seconds=1)
    assert [one.state for one in leases.reap()] == [State.FAILED]
    assert state_of(engine, 1) is State.FAILED


def test_a_cancel_is_seen_by_the_holder_of_the_lease(lifecycle: Lifecycle, leases: Leases, app: App):
    requested = push(lifecycle, app, 1)
    claim = leases.claim("host/1/0")
    assert claim is not None
    assert leases.standing(claim) is Standing.HELD
    with lifecycle.change() as change:
        lifecycle.cancel(change, deployments.get(change.tx, requested.deployment.id), "somebody")
    assert leases.standing(claim) is Standing.CANCEL_WANTED


def test_a_rollback_goes_first_and_pins_until_resume(
    engine: Engine, lifecycle: Lifecycle, leases: Leases, app: App
):
    old, new = succeed(lifecycle, leases, app, 1), succeed(lifecycle, leases, app, 2)
    assert (old, new) == (1, 2)
    push(lifecycle, app, 3)
    with lifecycle.change() as change:
        rollback = lifecycle.rollback(change, app, "production", word=None, by="somebody")
    assert state_of(engine, 3) is State.HELD
    claim = leases.claim("host/1/0")
    assert claim is not None
    assert claim.deployment.id == rollback.id
    assert claim.deployment.release_id == 1
    leases.switch(claim, releases.ReleaseId(1))
    leases.finish(claim, State.SUCCEEDED, "rolled back")
    push(lifecycle, app, 4)
    assert leases.claim("host/1/0") is None
    with lifecycle.change() as change:
        environment = environments.by_name(change.tx, app.id, "production")
        assert environment is not None
        lifecycle.resume(change, environment)
    resumed = leases.claim("host/1/0")
    assert resumed is not None
    assert resumed.deployment.sha == f"{4:040x}"
