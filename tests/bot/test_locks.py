"""Locks of environments, and approvals of commits, by what becomes of the deployments that wait."""

from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import approvals, by_hand, locks
from bot.approvals import Approval
from bot.domain.deployment import Commit, Deployment, Hold, State, Trigger
from bot.domain.environment import Environment
from bot.domain.ids import Sha
from bot.domain.trust import Trust, trust_of
from bot.errors import ErrorCode, UserError
from bot.intake.recipe import policy_to_json
from bot.intake.recipe_file import Policy, Previews
from bot.locks import Locker
from bot.orders import Order
from bot.previews import LONGEST_EXTENSION, extend, take_down
from bot.promotion import promote
from bot.store import apps, deployments, environments, releases
from bot.store.engine import reading, writing
from tests.bot.test_decide_pull import pull_of
from tests.bot.test_previews import ONE, SHA, House

OTHER = "b" * 40
MONA = Locker("mona", "github:mona", is_admin=False)
EVE = Locker("eve", "github:eve", is_admin=False)
ADA = Locker("ada", "github:ada", is_admin=True)
FORK = replace(pull_of(), head_repository_id=99, head_repository="stranger/shop")


@pytest.fixture
def house(tmp_path: Path) -> Generator[House]:
    house = House(tmp_path)
    yield house
    house.instance.close()


def lock(house: House, place: Environment, by: Locker = MONA, **more: object) -> Environment:
    with house.instance.lifecycle.change() as change:
        return locks.lock(change, place, by, **more)  # pyright: ignore[reportArgumentType]


def unlock(house: House, place: Environment, by: Locker = MONA) -> None:
    with house.instance.lifecycle.change() as change:
        locks.unlock(house.instance.lifecycle, change, place, by)


def approve(house: House, one: Deployment, sha: str | None = None, *, secrets: bool = False) -> Deployment:
    with house.instance.lifecycle.change() as change:
        approval = Approval("mona", sha, with_secrets=secrets)
        return approvals.approve(house.instance.lifecycle, change, one, approval)


def now(house: House, one: Deployment) -> Deployment:
    with reading(house.instance.engine) as tx:
        return deployments.get(tx, one.id)


def refused(code: ErrorCode) -> pytest.RaisesExc[UserError]:
    return pytest.RaisesExc(UserError, check=lambda error: error.code is code)


def test_what_waits_and_what_comes_waits_for_the_lock_and_goes_on_after_it(house: House):
    waiting = house.request()
    place = lock(house, house.environment(), reason="a\n move")
    held = now(house, waiting)
    assert (held.state, held.hold, held.reason) == (State.HELD, Hold.LOCKED, "locked by mona: a move")
    newer = house.request(OTHER)
    assert (newer.state, newer.hold, now(house, waiting).state) == (
        State.HELD,
        Hold.LOCKED,
        State.SUPERSEDED,
    )
    lock(house, place, reason="longer")
    assert now(house, newer).reason == "locked by mona: longer"
    unlock(house, place)
    gone_on = now(house, newer)
    assert (gone_on.state, gone_on.hold, gone_on.reason) == (State.QUEUED, None, "unlocked by mona")
    assert house.instance.claim().deployment.id == newer.id


def test_somebody_elses_lock_binds_all_but_admins(house: House):
    app = house.instance.app_named("shop")
    for sha in (SHA, OTHER):
        house.instance.push(app, sha)
        house.instance.succeed(house.instance.claim())
    with reading(house.instance.engine) as tx:
        place = environments.by_name(tx, app.id, "production")
        assert place is not None
        older = releases.of_app(tx, app.id)[-1]
    locked = lock(house, place)
    for act in (lambda: lock(house, locked, EVE), lambda: unlock(house, locked, EVE)):
        with refused(ErrorCode.ENVIRONMENT_LOCKED):
            act()
    lifecycle = house.instance.lifecycle
    with refused(ErrorCode.ENVIRONMENT_LOCKED), lifecycle.change() as change:
        by_hand.show(lifecycle, change, locked, older, by=EVE)
    with lifecycle.change() as change:
        back = by_hand.show(lifecycle, change, locked, older, by=ADA)
    assert back.state is State.QUEUED
    house.instance.leases.finish(house.instance.claim(), State.CANCELLED, "enough")
    with lifecycle.change() as change:
        promoted = promote(change, environments.get(change.tx, place.id), older, by="eve")
    assert (promoted.state, promoted.hold) == (State.HELD, Hold.LOCKED)
    unlock(house, locked, ADA)
    assert now(house, promoted).state is State.QUEUED


def test_a_lock_ends_with_its_time_and_with_its_preview(house: House):
    waiting = house.request()
    until = house.instance.now() + timedelta(hours=2)
    lock(house, house.environment(), until=until)
    assert "until 1 Jan 2026, 02:00 UTC" in now(house, waiting).reason
    for hours, state in ((1, State.HELD), (1, State.QUEUED)):
        house.instance.pass_by(timedelta(hours=hours))
        with house.instance.lifecycle.change() as change:
            locks.end_locks(house.instance.lifecycle, change)
        assert now(house, waiting).state is state
    lock(house, house.environment())
    with house.instance.lifecycle.change() as change:
        take_down(change, house.environment(), "closed")
    assert house.environment().lock is None


def test_a_lock_comes_before_the_pin_and_after_the_approval(house: House):
    held = house.request(hold=Hold.APPROVAL)
    place = lock(house, house.environment())
    assert now(house, held).hold is Hold.APPROVAL
    approve(house, held)
    assert (now(house, held).hold, now(house, held).approved_by) == (Hold.LOCKED, "mona")
    with house.instance.lifecycle.change() as change:
        environments.pin(change.tx, place.id, "rolled back")
    unlock(house, place)
    assert (now(house, held).state, now(house, held).hold) == (State.HELD, Hold.PINNED)
    with house.instance.lifecycle.change() as change:
        house.instance.lifecycle.resume(change, place)
    assert now(house, held).state is State.QUEUED


def test_an_approval_is_for_one_commit(house: House):
    house.know(FORK)
    held = house.request(hold=Hold.APPROVAL)
    with refused(ErrorCode.COMMIT_DIFFERS):
        approve(house, held, "b" * 7)
    newer = house.request(OTHER, hold=Hold.APPROVAL)
    with refused(ErrorCode.NOT_HELD):
        approve(house, now(house, held), SHA[:7])
    assert approve(house, newer, OTHER[:7]).state is State.QUEUED
    # Told of once more, the approved commit is not held again; another one is.
    assert house.request(OTHER, hold=Hold.APPROVAL).id == newer.id
    assert house.request("c" * 40, hold=Hold.APPROVAL).state is State.HELD


def test_seven_letters_that_two_commits_begin_with_approve_neither(house: House):
    house.know(FORK)
    looked_at, made_like_it = "abcdef1" + "1" * 33, "abcdef1" + "2" * 33
    house.request(looked_at, hold=Hold.APPROVAL)
    held = house.request(made_like_it, hold=Hold.APPROVAL)
    with refused(ErrorCode.COMMIT_AMBIGUOUS):
        approve(house, held, "abcdef1")
    assert now(house, held).state is State.HELD
    assert approve(house, held, made_like_it).state is State.QUEUED


def test_what_was_rejected_stays_so(house: House):
    held = house.request(hold=Hold.APPROVAL)
    with house.instance.lifecycle.change() as change:
        approvals.reject(change, held, "mona", "a miner")
    assert (now(house, held).state, now(house, held).reason) == (State.REJECTED, "rejected by mona: a miner")
    assert house.request(hold=Hold.APPROVAL).id == held.id
    with refused(ErrorCode.NOT_HELD):
        approve(house, now(house, held))
    with refused(ErrorCode.NOT_APPROVED), house.instance.lifecycle.change() as change:
        by_hand.retry(house.instance.lifecycle, change, now(house, held), "eve")


def test_a_forks_commit_can_be_trusted_further_and_keeps_that(house: House):
    house.know(FORK)
    held = house.request(hold=Hold.APPROVAL)
    lifecycle = house.instance.lifecycle
    with lifecycle.change() as change:
        lifecycle.cancel(change, held, "eve")
    with refused(ErrorCode.NOT_APPROVED), lifecycle.change() as change:
        by_hand.retry(lifecycle, change, now(house, held), "eve")
    held = house.request(hold=Hold.APPROVAL)
    approve(house, held)
    house.instance.succeed(house.instance.claim())
    with refused(ErrorCode.NOT_HELD):
        approve(house, now(house, held))
    further = approve(house, now(house, held), secrets=True)
    assert (further.id != held.id, further.with_secrets, further.pull) == (True, True, ONE)
    house.instance.succeed(house.instance.claim())
    with lifecycle.change() as change:
        again = by_hand.retry(lifecycle, change, now(house, further), "eve")
    assert (again.approved_by, again.with_secrets) == ("mona", True)


def test_where_forks_are_built_at_once_an_approval_gives_secrets_alone(house: House):
    house.know(FORK)
    with writing(house.instance.engine) as tx:
        policy = Policy(previews=Previews(forks="sandboxed"))
        apps.keep_policy(tx, house.app.id, policy_to_json(policy))
    lifecycle = house.instance.lifecycle
    # Nothing of this commit was ever run, as after a draft that waited.
    order = Order(house.app, "preview/pr-1", "feature", Commit(Sha(SHA)), Trigger.MANUAL, "asked for", "eve")
    house.request(OTHER)
    with lifecycle.change() as change:
        strange = by_hand.deploy(lifecycle, change, order)
    assert (strange.state, trust_of(strange)) == (State.QUEUED, Trust.STRANGER)
    with refused(ErrorCode.NOT_HELD):
        approve(house, strange)
    trusted = approve(house, strange, secrets=True)
    assert (trusted.state, trust_of(trusted)) == (State.QUEUED, Trust.FULL)
    with refused(ErrorCode.NOT_HELD):
        approve(house, trusted, secrets=True)
    with lifecycle.change() as change:
        lifecycle.cancel(change, trusted, "eve")
    # Told of once more, the commit keeps its trust; another one has none.
    assert trust_of(house.request()) is Trust.FULL
    assert trust_of(house.request("c" * 40)) is Trust.STRANGER


@pytest.mark.parametrize(
    ("from_fork", "approved_by", "forks", "hold"),
    [
        (True, "mona", "hold", Hold.APPROVAL),
        (True, None, "off", Hold.APPROVAL),
        (True, "mona", "sandboxed", None),
        # A bot's commit, which somebody had to approve.
        (False, "mona", "sandboxed", Hold.APPROVAL),
        (False, None, "hold", None),
    ],
)
def test_a_commit_that_takes_the_place_of_an_approved_one_waits_anew(
    house: House, from_fork: bool, approved_by: str | None, forks: Any, hold: Hold | None
):
    before = replace(house.request(), from_fork=from_fork, approved_by=approved_by)
    assert approvals.hold_of_newer(before, Previews(forks=forks)) is hold


def test_a_preview_lives_as_long_as_somebody_said(house: House):
    house.live()
    with house.instance.lifecycle.change() as change:
        until = extend(change, house.environment(), timedelta(days=999)).expires_at
    assert until is not None
    assert until - house.instance.now() == LONGEST_EXTENSION
    house.instance.pass_by(timedelta(days=31))
    assert house.tidy() == []
    with house.instance.lifecycle.change() as change:
        extend(change, house.environment(), timedelta(hours=1))
    house.instance.pass_by(timedelta(hours=1))
    assert house.tidy() == ["its time is over, as somebody set it"]
    assert house.environment().expires_at is None
