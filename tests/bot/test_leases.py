import os
import subprocess
import sys
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot import holder
from bot.domain.deployment import Blame, Deployment, Failure, State
from bot.domain.environment import Environment
from bot.domain.ids import DeploymentId, Digest, ReleaseId
from bot.leases import LEASE, Claim
from bot.store import deployments, environments, releases
from bot.store.engine import reading, writing
from bot.store.releases import NewRelease
from tests.instance import Instance

A, B, C = "a" * 40, "b" * 40, "c" * 40


@pytest.fixture
def instance(tmp_path: Path) -> Generator[Instance]:
    made = Instance(tmp_path)
    made.moment = datetime(2026, 1, 1, tzinfo=UTC)
    yield made
    made.close()


def state_of(instance: Instance, deployment: DeploymentId) -> State:
    with reading(instance.engine) as tx:
        return deployments.get(tx, deployment).state


def deployment_of(instance: Instance, deployment: DeploymentId) -> Deployment:
    with reading(instance.engine) as tx:
        return deployments.get(tx, deployment)


def pass_by(instance: Instance, time: timedelta) -> None:
    instance.moment = instance.now() + time


def production(instance: Instance) -> Environment:
    with reading(instance.engine) as tx:
        (found,) = environments.live(tx)
        return found


def release_of(instance: Instance, claim: Claim, key: str) -> ReleaseId:
    made = claim.deployment
    with writing(instance.engine) as tx:
        known = releases.by_key(tx, made.app_id, Digest(key))
        new = NewRelease(made.app_id, Digest(key), Digest("m"), made.sha, 1, 1, False, made.id)
        return (known or releases.insert(tx, new, instance.now())).id


def go_live(instance: Instance, claim: Claim, key: str) -> ReleaseId:
    release = release_of(instance, claim, key)
    instance.leases.switch(claim, release)
    assert instance.leases.finish(claim, State.SUCCEEDED, "live")
    return release


def roll_back(instance: Instance, slug: str = "shop") -> ReleaseId | None:
    app = instance.app_named(slug)
    with instance.lifecycle.change() as change:
        made = instance.lifecycle.rollback(change, app, "production", word=None, by="mona")
    claim = instance.claim()
    assert made.release_id is not None
    instance.leases.switch(claim, made.release_id)
    assert instance.leases.finish(claim, State.SUCCEEDED, "rolled back")
    return made.release_id


def test_a_claim_after_an_expired_lease_leaves_no_deployment_running_for_ever(instance: Instance):
    app = instance.app("shop")
    lost = instance.push(app, A)
    instance.claim()
    newer = instance.push(app, B)
    pass_by(instance, LEASE + timedelta(seconds=1))
    # Before any sweep: a permit comes first.
    claim = instance.claim()
    assert claim.deployment.id == newer.id
    instance.succeed(claim)
    assert instance.leases.reap() == []
    assert state_of(instance, lost.id) is State.SUPERSEDED


def test_work_that_is_handed_back_is_not_given_up_for_one_that_was_cancelled(instance: Instance):
    app = instance.app("shop")
    first = instance.push(app, A)
    claim = instance.claim()
    second = instance.push(app, B)
    with instance.lifecycle.change() as change:
        instance.lifecycle.cancel(change, second, "mona")
    instance.leases.hand_back(claim, "its worker stops")
    assert state_of(instance, first.id) is State.QUEUED
    assert state_of(instance, second.id) is State.CANCELLED


@pytest.mark.parametrize("ending", ["finish", "reap"])
def test_a_cancel_after_the_switch_leaves_what_was_live_before(instance: Instance, ending: str):
    app = instance.app("shop")
    instance.push(app, A)
    before = go_live(instance, instance.claim(), "1")
    pushed = instance.push(app, B)
    claim = instance.claim()
    shown = instance.leases.switch(claim, release_of(instance, claim, "2"))
    with instance.lifecycle.change() as change:
        instance.lifecycle.cancel(change, deployments.get(change.tx, pushed.id), "mona")
    if ending == "finish":
        instance.leases.finish(claim, State.CANCELLED, "cancelled")
    else:
        pass_by(instance, LEASE + timedelta(seconds=1))
        instance.leases.reap()
    assert state_of(instance, pushed.id) is State.CANCELLED
    assert production(instance).active_release_id == before
    assert production(instance).activation > shown


def test_the_first_deployment_that_fails_after_its_switch_leaves_nothing_live(instance: Instance):
    instance.push(instance.app("shop"), A)
    claim = instance.claim()
    instance.leases.switch(claim, release_of(instance, claim, "1"))
    instance.fail(claim, Failure("edge-silent", {}, Blame.PLATFORM))
    with reading(instance.engine) as tx:
        assert environments.live(tx) == []


def test_work_that_failed_takes_its_switch_back_before_the_last_word(instance: Instance):
    app = instance.app("shop")
    instance.push(app, A)
    before = go_live(instance, instance.claim(), "1")
    instance.push(app, B)
    claim = instance.claim()
    instance.leases.switch(claim, release_of(instance, claim, "2"))
    shown = instance.leases.withdraw(claim)
    assert shown is not None
    assert shown.active_release_id == before
    assert instance.leases.withdraw(claim) is None
    assert instance.leases.finish(claim, State.FAILED, "the edge is silent")
    assert production(instance).active_release_id == before


def test_what_is_live_does_not_depend_on_clocks(instance: Instance):
    app = instance.app("shop")
    instance.push(app, A)
    go_live(instance, instance.claim(), "1")
    pass_by(instance, -timedelta(minutes=10))
    instance.push(app, B)
    second = go_live(instance, instance.claim(), "2")
    instance.push(app, C)
    claim = instance.claim()
    instance.leases.switch(claim, release_of(instance, claim, "3"))
    instance.fail(claim, Failure("edge-silent", {}, Blame.PLATFORM))
    assert production(instance).active_release_id == second


def resume(instance: Instance, slug: str = "shop") -> Deployment | None:
    app = instance.app_named(slug)
    with instance.lifecycle.change() as change:
        found = environments.by_name(change.tx, app.id, "production")
        assert found is not None
        return instance.lifecycle.resume(change, found)


def test_resume_builds_again_what_a_rollback_stopped(instance: Instance):
    app = instance.app("shop")
    for sha, key in ((A, "1"), (B, "2")):
        instance.push(app, sha)
        go_live(instance, instance.claim(), key)
    stopped = instance.push(app, C)
    claim = instance.claim()
    with instance.lifecycle.change() as change:
        instance.lifecycle.rollback(change, app, "production", word=None, by="mona")
    instance.leases.finish(claim, State.CANCELLED, "cancelled")
    assert state_of(instance, stopped.id) is State.SUPERSEDED
    rollback = instance.claim()
    assert rollback.deployment.release_id is not None
    instance.leases.switch(rollback, rollback.deployment.release_id)
    instance.leases.finish(rollback, State.SUCCEEDED, "rolled back")
    again = resume(instance)
    assert again is not None
    assert (again.sha, again.state) == (C, State.QUEUED)
    assert resume(instance) == again
    assert instance.claim().deployment.id == again.id


def test_resume_brings_back_the_head_that_was_rolled_back_from(instance: Instance):
    app = instance.app("shop")
    for sha, key in ((A, "1"), (B, "2")):
        instance.push(app, sha)
        go_live(instance, instance.claim(), key)
    roll_back(instance)
    again = resume(instance)
    assert again is not None
    assert (again.sha, again.message, again.state) == (B, "A change", State.QUEUED)
    go_live(instance, instance.claim(), "2")
    assert resume(instance) == deployment_of(instance, again.id)


def test_resume_leaves_a_head_alone_that_is_live(instance: Instance):
    app = instance.app("shop")
    for sha, key in ((A, "1"), (B, "2")):
        instance.push(app, sha)
        go_live(instance, instance.claim(), key)
    roll_back(instance)
    with instance.lifecycle.change() as change:
        instance.lifecycle.rollback(change, app, "production", word="#2", by="mona")
    claim = instance.claim()
    instance.leases.switch(claim, ReleaseId(2))
    instance.leases.finish(claim, State.SUCCEEDED, "brought back")
    assert resume(instance) is None


def test_a_rollback_after_a_revert_brings_back_what_was_live_before(instance: Instance):
    app = instance.app("shop")
    instance.push(app, A)
    first = go_live(instance, instance.claim(), "one")
    instance.push(app, B)
    second = go_live(instance, instance.claim(), "two")
    instance.push(app, C)
    assert go_live(instance, instance.claim(), "one") == first
    assert roll_back(instance) == second
    assert roll_back(instance) == first


def test_a_living_process_is_not_taken_for_dead_when_the_clock_was_set():
    shown = subprocess.run(
        [
            sys.executable,
            "-c",
            "import bot.holder as h, time; print(h.this_process(), flush=True); time.sleep(0.01)",
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert holder.is_gone(shown)
    mine = holder.this_process()
    assert not holder.is_gone(mine)
    host, pid, started = mine.rsplit("/", 2)
    # Counted from the machine's start: no clock that people or NTP set is part of it.
    ticks = os.sysconf("SC_CLK_TCK")
    assert abs(float(started) / ticks - time.clock_gettime(time.CLOCK_BOOTTIME)) < 10_000
    assert holder.is_gone(f"{host}/{pid}/{int(started) + 1}")
