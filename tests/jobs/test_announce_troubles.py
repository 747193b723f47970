import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.deployment import Blame, Failure, State
from bot.domain.ids import DeploymentId, EnvironmentId
from bot.domain.pull import PullNumber
from bot.github.client import connect
from bot.github.errors import GitHubError, NotFoundError, RetryLaterError, UnreachableError
from bot.settings import Settings
from bot.store import singletons
from bot.store.announcements import Announcement
from bot.store.engine import writing
from jobs.announce import OUTAGE_CAP, Announcing, announce, pause_after
from tests.fakes.github import FakeGitHub
from tests.jobs.announcer import CONTEXT, REPOSITORY, House, sha


def test_after_an_outage_github_shows_what_is_true(house: House, fake: FakeGitHub):
    fake.fail_next(1000, 503)
    found = [house.deploy(number) for number in (1, 2)]
    last = house.push(3)
    house.leases.finish(house.claim(), State.FAILED, "broken", failure=Failure("x", {}, Blame.USER))
    announce(house.tools, last)
    assert fake.said() == []
    assert set(house.owed()) == {*found, last}
    assert "503" in house.known(found[1]).note
    assert house.owed(due=True) == []
    fake.repair()
    house.now.moment += timedelta(minutes=10)
    house.sweep()
    assert house.owed() == []
    states = [fake.status_of(REPOSITORY, sha(number), CONTEXT) for number in (1, 2, 3)]
    assert [state and state[0] for state in states] == ["success", "success", "failure"]
    assert fake.deployment_states(REPOSITORY)[0][2] in ("failure", "success")
    live = [
        one
        for one in fake.world.repositories[REPOSITORY].deployments
        if one["statuses"][-1]["state"] == "success"
    ]
    assert [one["sha"] for one in live] == [sha(2)]
    assert house.known(last) == Announcement(
        last, house.known(last).github_deployment_id, house.known(last).shown, 0, None, ""
    )


@pytest.mark.parametrize("lost", ["/statuses/", "/deployments"])
def test_an_unanswered_write_is_not_made_twice_where_it_would_show(house: House, fake: FakeGitHub, lost: str):
    found = house.push(1)
    house.succeed(house.claim())
    fake.fail_next(1, 502, after=True, path=lost, methods=("POST",))
    announce(house.tools, found)
    assert house.owed() == [found]
    announce(house.tools, found)
    assert len(fake.deployment_states(REPOSITORY)) == 1
    assert fake.deployment_states(REPOSITORY)[0][2] == "success"
    assert len([one for one in fake.said() if one.startswith("status")]) <= 2
    assert house.owed() == []


def test_a_comment_that_was_written_unheard_is_not_written_again(house: House, fake: FakeGitHub):
    pull = PullNumber(7)
    first = house.open(1, pull)
    house.succeed(house.claim())
    fake.fail_next(1, 502, after=True, path="/issues/7/comments", methods=("POST",))
    announce(house.tools, first)
    assert house.owed() == [first]
    announce(house.tools, first)
    (comment,) = fake.comments_on(REPOSITORY, 7)
    assert (house.owed(), len(comment.bodies)) == ([], 1)
    second = house.open(2, pull)
    house.succeed(house.claim())
    fake.fail_next(9, 502, after=True, path="/issues/comments/", methods=("PATCH",))
    announce(house.tools, second)
    assert house.owed() == [second]
    fake.repair()
    announce(house.tools, second)
    assert (house.owed(), len(comment.bodies)) == ([], 2)
    assert sha(2)[:7] in comment.body


class Killed(BaseException):
    """The process ends here, in the middle of its work."""


@pytest.mark.parametrize("survived", range(5))
def test_a_crash_between_two_writes_repeats_one_at_most(house: House, fake: FakeGitHub, survived: int):
    found = house.push(1)
    house.succeed(house.claim())
    dying = house.announcing()
    remaining = iter(range(survived))

    def clock() -> datetime:
        # The clock is asked once for each time that something is stored.
        if next(remaining, None) is None:
            raise Killed
        return house.now()

    with pytest.raises(Killed):
        announce(Announcing(house.lifecycle, dying.github, house.settings, clock), found)
    house.now.moment += timedelta(minutes=1)
    announce(house.tools, found)
    assert house.owed() == []
    assert len(fake.deployment_states(REPOSITORY)) == 1
    assert fake.deployment_states(REPOSITORY)[0][2] == "success"
    assert 3 <= len(fake.said()) <= 4


def test_two_announcers_at_once_create_one_deployment(house: House, fake: FakeGitHub):
    found = house.push(1)
    house.succeed(house.claim())
    fake.hang(0.2, path="/deployments", methods=("POST",))
    tools = [house.announcing() for _ in range(4)]
    threads = [threading.Thread(target=announce, args=(one, found)) for one in tools]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(fake.deployment_states(REPOSITORY)) == 1
    assert len(fake.said()) == 3
    assert house.owed() == []


def test_who_gets_no_turn_leaves_it_to_the_sweep(house: House, fake: FakeGitHub):
    found = house.push(1)
    environment = EnvironmentId(1)
    with writing(house.engine) as tx:
        until = house.now() + timedelta(seconds=30)
        singletons.lead(tx, f"announce-{environment}", "somebody else", now=house.now(), until=until)
    announce(house.tools, found)
    assert fake.said() == []
    assert house.owed(due=True) == [found]
    house.now.moment += timedelta(seconds=31)
    house.sweep()
    assert len(fake.said()) == 1


def test_a_limit_is_waited_for_by_the_sweep(house: House, fake: FakeGitHub):
    found = house.push(1)
    fake.limit(secondary=True)
    announce(house.tools, found)
    assert house.known(found).retry_at == house.now() + timedelta(seconds=60)
    assert "rate limit" in house.known(found).note
    assert house.owed(due=True) == []


def test_a_suspended_installation_is_noted_and_comes_back(house: House, fake: FakeGitHub):
    found = house.push(1)
    fake.suspend()
    for _ in range(3):
        announce(house.tools, found)
    assert house.known(found).attempts == 3
    assert (
        house.known(found).note
        == "GitHub does not show this yet: The GitHub App's installation is suspended."
    )
    fake.suspend(suspended=False)
    announce(house.tools, found)
    assert house.owed() == []


def test_a_github_that_hangs_holds_nobody_up_for_long(house: House, fake: FakeGitHub):
    found = house.push(1)
    fake.hang(30)
    started = datetime.now(UTC)
    announce(house.tools, found)
    assert datetime.now(UTC) - started < timedelta(seconds=2)
    assert house.owed() == [found]


def test_with_nobody_to_tell_it_is_logged(house: House, fake: FakeGitHub, capsys: pytest.CaptureFixture[str]):
    found = house.push(1)
    settings = Settings.model_validate({"github_api_url": fake.url})
    mute = Announcing(house.lifecycle, connect(settings), settings, house.now)
    announce(mute, found)
    announce(mute, found)
    said = capsys.readouterr()
    assert (said.out + said.err).count(
        "would have told GitHub: slipway/shop/production pending on 0000000"
    ) == 1
    assert house.owed() == []
    assert fake.requests == []


def test_an_unknown_deployment_is_no_error(house: House):
    announce(house.tools, DeploymentId(404))


@given(
    st.sampled_from([UnreachableError("down"), NotFoundError("gone"), RetryLaterError(7, "limit")]),
    st.integers(0, 10_000),
)
def test_pauses_grow_to_a_cap(error: GitHubError, attempts: int):
    pause = pause_after(error, attempts)
    assert timedelta(seconds=5) <= pause <= timedelta(hours=1)
    assert pause <= pause_after(error, attempts + 1)
    if isinstance(error, UnreachableError):
        assert pause <= OUTAGE_CAP
