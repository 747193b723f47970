from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.domain.app import App
from bot.domain.deployment import Blame, Commit, Deployment, Failure, Hold, State, Trigger
from bot.domain.environment import Environment
from bot.domain.ids import Sha
from bot.domain.pull import PullNumber, PullRequest, PullState, preview_name
from bot.errors import ErrorCode, UserError
from bot.leases import UnwantedError
from bot.lifecycle import Order
from bot.previews import take_down, tidy
from bot.store import apps, environments, pulls
from bot.store.engine import reading, writing
from tests.bot.test_decide_pull import pull_of
from tests.instance import Instance

SHA = "a" * 40
ONE = PullNumber(1)


class House:
    def __init__(self, home: Path) -> None:
        self.instance = Instance(home)
        self.instance.moment = datetime(2026, 1, 1, tzinfo=UTC)
        app = self.instance.app("shop")
        with writing(self.instance.engine) as tx:
            apps.pin_repository(tx, app.id, 4711, None)
            self.app: App = apps.get(tx, app.id)

    def know(self, pull: PullRequest) -> None:
        with writing(self.instance.engine) as tx:
            pulls.keep(tx, self.app.id, pull, self.instance.now())

    def request(self, sha: str = SHA, hold: Hold | None = None, number: PullNumber = ONE) -> Deployment:
        commit = Commit(Sha(sha), "A change", "mona")
        order = Order(self.app, preview_name(number), "feature", commit, Trigger.PULL, "opened", "mona")
        with self.instance.lifecycle.change() as change:
            made = self.instance.lifecycle.request(change, replace(order, pull=number, hold=hold))
            return made.deployment

    def live(self) -> Deployment:
        made = self.request()
        self.instance.succeed(self.instance.claim())
        return made

    def environment(self) -> Environment:
        with reading(self.instance.engine) as tx:
            found = environments.by_name(tx, self.app.id, preview_name(ONE))
        assert found is not None
        return found

    def tidy(self) -> list[str]:
        with self.instance.lifecycle.change() as change:
            return [one.archive_reason or "" for one in tidy(change)]

    def wait(self, **length: int) -> None:
        assert self.instance.moment is not None
        self.instance.moment += timedelta(**length)


@pytest.fixture
def house(tmp_path: Path) -> Generator[House]:
    made = House(tmp_path)
    yield made
    made.instance.close()


def test_what_is_known_of_a_pull_request_is_kept_whole(house: House):
    pull = pull_of(labels=("a", "b"), head_repository="stranger/shop", number=7)
    house.know(pull)
    house.know(replace(pull, state=PullState.CLOSED, merged=True))
    with reading(house.instance.engine) as tx:
        found = pulls.of_app(tx, house.app, PullNumber(7))
        assert pulls.open_of(tx, [house.app.id], 4711) == []
    assert found == replace(pull, state=PullState.CLOSED, merged=True)


def test_a_preview_that_is_too_old_goes_and_the_next_push_brings_it_back(house: House):
    house.live()
    house.wait(days=29)
    assert house.tidy() == []
    house.wait(days=1)
    assert house.tidy() == ["it is older than 30d, the most that a preview may be"]
    assert house.tidy() == []
    house.request("b" * 40)
    assert house.environment().archived_at is None
    house.wait(days=29)
    assert house.tidy() == []


def test_the_sweep_takes_down_what_a_lost_event_left(house: House):
    house.live()
    house.know(pull_of(action="closed"))
    assert house.tidy() == ["#1 was closed"]
    with pytest.raises(UserError) as refused:
        house.request("b" * 40)
    assert refused.value.code is ErrorCode.PULL_CLOSED


def test_a_release_is_kept_for_a_return_for_some_days(house: House):
    house.live()
    with house.instance.lifecycle.change() as change:
        assert take_down(change, house.environment(), "#1 was closed") is not None
        assert take_down(change, house.environment(), "again") is None
    week = timedelta(days=7)
    with writing(house.instance.engine) as tx:
        assert environments.forget_release(tx, house.instance.now() - week) == 0
        assert environments.live(tx) == []
    house.wait(days=8)
    with writing(house.instance.engine) as tx:
        assert environments.forget_release(tx, house.instance.now() - week) == 1


def test_a_held_commit_waits_for_its_own_release_from_the_hold(house: House):
    held = house.request(hold=Hold.APPROVAL)
    assert (held.state, held.hold) == (State.HELD, Hold.APPROVAL)
    assert house.request(hold=Hold.APPROVAL).id == held.id
    lifecycle = house.instance.lifecycle
    with lifecycle.change() as change:
        lifecycle.resume(change, house.environment())
    assert house.instance.leases.claim("host/1/0") is None
    assert house.environment().born_at is None
    with lifecycle.change() as change:
        gone_on = lifecycle.let_go(change, held, "approved by mona")
        assert lifecycle.let_go(change, gone_on, "approved again") == gone_on
    assert (gone_on.state, gone_on.hold) == (State.QUEUED, None)
    house.instance.succeed(house.instance.claim())
    # A push voids what was allowed for another commit.
    assert house.request("b" * 40, Hold.APPROVAL).state is State.HELD


def resume(house: House) -> Deployment | None:
    with house.instance.lifecycle.change() as change:
        return house.instance.lifecycle.resume(change, house.environment())


def pinned(house: House) -> None:
    with writing(house.instance.engine) as tx:
        environments.pin(tx, house.environment().id, "rolled back")


def test_resume_brings_a_previews_head_for_its_pull_request(house: House):
    house.live()
    failing = house.request("b" * 40)
    house.instance.fail(house.instance.claim(), Failure("build-failed", {}, Blame.USER))
    pinned(house)
    again = resume(house)
    assert again is not None
    assert (again.sha, again.pull, again.state) == (failing.sha, ONE, State.QUEUED)


def test_resume_allows_nothing_that_nobody_allowed(house: House):
    house.live()
    held = house.request("b" * 40, Hold.APPROVAL)
    pinned(house)
    assert resume(house) is None
    with house.instance.lifecycle.change() as change:
        house.instance.lifecycle.cancel(change, held, "mona")
    pinned(house)
    again = resume(house)
    assert again is not None
    assert (again.sha, again.state, again.hold) == (held.sha, State.HELD, Hold.APPROVAL)


def test_resume_leaves_a_preview_down_that_was_taken_down(house: House):
    house.live()
    pinned(house)
    with house.instance.lifecycle.change() as change:
        take_down(change, house.environment(), "#1 was closed")
    assert resume(house) is None
    assert house.environment().archived_at is not None
    assert house.instance.leases.claim("host/1/0") is None


def test_a_switch_in_an_environment_that_is_gone_is_refused(house: House):
    house.request()
    claim = house.instance.claim()
    with house.instance.lifecycle.change() as change:
        take_down(change, claim.environment, "#1 was merged")
    with pytest.raises(UnwantedError):
        house.instance.succeed(claim)
    house.instance.leases.finish(claim, State.CANCELLED, "cancelled")
    with reading(house.instance.engine) as tx:
        assert environments.live(tx) == []
