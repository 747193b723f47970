import shutil
import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from bot.domain.deployment import Blame, Commit, Failure, State, Trigger
from bot.domain.ids import DeploymentId, Digest, EnvironmentId, ReleaseId, Sha
from bot.errors import ErrorCode
from bot.github.client import connect
from bot.github.errors import GitHubError, NotFoundError, RetryLaterError, UnreachableError
from bot.github.wire import Patience
from bot.leases import Claim, Leases
from bot.lifecycle import Lifecycle, Order
from bot.queue import Queue
from bot.queue import connect as connect_redis
from bot.settings import Settings
from bot.store import announcements, apps, deployments, environments, releases, singletons
from bot.store.announcements import Announcement
from bot.store.apps import NewApp
from bot.store.engine import open_engine, reading, writing
from bot.store.migrate import migrate
from bot.store.releases import NewRelease
from jobs.announce import OUTAGE_CAP, Announcing, announce, pause_after
from tests.fakes.github import FakeGitHub

REPOSITORY = "acme/shop"
CONTEXT = "slipway/shop/production"


class Now:
    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.moment


@pytest.fixture(scope="module")
def server() -> Generator[FakeGitHub]:
    with FakeGitHub().running() as server:
        yield server


@pytest.fixture
def fake(server: FakeGitHub) -> Generator[FakeGitHub]:
    server.reset()
    server.add_repository(REPOSITORY)
    yield server
    server.assert_nothing_unexpected()


class House:
    """A store, its lifecycle and an announcer; what a worker does is played by hand."""

    def __init__(self, engine: Engine, fake: FakeGitHub, folder: Path) -> None:
        self.engine, self.now = engine, Now()
        nobody = connect_redis(f"unix://{folder / 'nobody.sock'}")
        self.queue = Queue(nobody)
        self.lifecycle = Lifecycle(engine, self.queue, preview_domain="localhost", clock=self.now)
        self.leases = Leases(self.lifecycle, concurrency=2, clock=self.now)
        key = {"github_app_id": fake.world.app_id, "github_private_key": fake.world.pem}
        self.settings = Settings.model_validate({"github_api_url": fake.url, **key})
        with writing(engine) as tx:
            made = apps.insert(
                tx, NewApp("shop", REPOSITORY, "https://github.com/acme/shop.git", "main"), self.now()
            )
            apps.pin_repository(tx, made.id, 1, 9)
            self.app = apps.get(tx, made.id)
        self.opened: list[Announcing] = []
        self.tools = self.announcing()

    def close(self) -> None:
        for one in self.opened:
            one.github.session.close()
        self.engine.dispose()

    def announcing(self) -> Announcing:
        github = connect(
            self.settings, patience=Patience(connect=0.3, total=0.6, pauses=(0.01, 0.02)), clock=self.now
        )
        self.opened.append(Announcing(self.lifecycle, github, self.settings, self.now))
        return self.opened[-1]

    def push(self, number: int, environment: str = "production") -> DeploymentId:
        order = Order(
            self.app, environment, "main", Commit(sha(number)), Trigger.PUSH, "pushed to main", "somebody"
        )
        with self.lifecycle.change() as change:
            return self.lifecycle.request(change, order).deployment.id

    def claim(self) -> Claim:
        claim = self.leases.claim("host/1/0")
        assert claim is not None
        return claim

    def succeed(self, claim: Claim) -> ReleaseId:
        self.now.moment += timedelta(seconds=1)
        wanted = claim.deployment.release_id
        with writing(self.engine) as tx:
            key = Digest(f"key {claim.deployment.id}")
            new = NewRelease(
                self.app.id, key, Digest("m"), claim.deployment.sha, 1, 1, False, claim.deployment.id
            )
            release = wanted or releases.insert(tx, new, self.now()).id
        self.leases.switch(claim, release)
        assert self.leases.finish(claim, State.SUCCEEDED, "live")
        return release

    def deploy(self, number: int, environment: str = "production") -> DeploymentId:
        found = self.push(number, environment)
        announce(self.tools, found)
        claim = self.claim()
        announce(self.tools, found)
        self.succeed(claim)
        announce(self.tools, found)
        return found

    def known(self, deployment: DeploymentId) -> Announcement:
        with reading(self.engine) as tx:
            return announcements.get(tx, deployment)

    def owed(self, *, due: bool = False) -> list[DeploymentId]:
        with reading(self.engine) as tx:
            return deployments.owed(tx, 100, self.now() if due else None)

    def sweep(self) -> None:
        for found in self.owed(due=True):
            announce(self.tools, found)


def sha(number: int) -> Sha:
    return Sha(f"{number:040x}")


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "empty.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture
def house(fake: FakeGitHub, empty_store: Path, tmp_path: Path) -> Generator[House]:
    shutil.copy(empty_store, tmp_path / "store.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'store.db'}")
    house = House(engine, fake, tmp_path)
    yield house
    house.close()


def test_a_push_is_told_from_waiting_to_live(house: House, fake: FakeGitHub):
    first = house.deploy(1)
    number = fake.world.repositories[REPOSITORY].deployments[0]["id"]
    assert [one.replace(str(number), "N") for one in fake.said()] == [
        f"status {CONTEXT} on 0000000: pending, Deploying to production",
        "deployment N to shop/production of 0000000",
        "deployment N: in_progress, Deploying to production",
        f"status {CONTEXT} on 0000000: success, {house_says(house, first)}",
        f"deployment N: success, {house_says(house, first)}",
    ]
    (made,) = fake.world.repositories[REPOSITORY].deployments
    assert made["auto_merge"] is False
    assert made["required_contexts"] == []
    assert made["production_environment"] is True
    assert made["transient_environment"] is False
    assert made["payload"] == {"slipway": "DEP-1", "instance": "http://localhost:8000"}
    assert made["statuses"][-1]["environment_url"] == "http://shop.localhost:8080"
    assert made["statuses"][-1]["log_url"] == "http://localhost:8000/deployments/DEP-1"
    assert fake.world.repositories[REPOSITORY].statuses[0]["target_url"] == made["statuses"][-1]["log_url"]
    assert house.owed() == []


def house_says(house: House, deployment: DeploymentId) -> str:
    with reading(house.engine) as tx:
        release = deployments.get(tx, deployment).release_id
        assert release is not None
        return f"Deployed to production as {releases.get(tx, release).name}"


def test_the_one_before_is_made_inactive(house: House, fake: FakeGitHub):
    for number in (1, 2, 3):
        house.deploy(number)
    assert [state for _, _, state in fake.deployment_states(REPOSITORY)] == [
        "inactive",
        "inactive",
        "success",
    ]
    assert len(fake.said()) <= 6 * 3


def test_github_itself_retires_those_of_a_branch_environment(house: House, fake: FakeGitHub):
    house.deploy(1, "staging")
    house.deploy(2, "staging")
    assert fake.deployment_states(REPOSITORY) == [
        ("shop/staging", "0000000", "inactive"),
        ("shop/staging", "0000000", "success"),
    ]
    assert len(fake.said()) == 10


def test_quick_changes_are_told_in_few_writes(house: House, fake: FakeGitHub):
    found = house.push(1)
    house.succeed(house.claim())
    announce(house.tools, found)
    assert [one.split(":")[0].split(" ")[0] for one in fake.said()] == ["status", "deployment", "deployment"]
    assert fake.deployment_states(REPOSITORY) == [("shop/production", "0000000", "success")]
    announce(house.tools, found)
    assert len(fake.said()) == 3


def test_no_way_through_the_states_costs_more_than_six_writes(house: House, fake: FakeGitHub):
    house.deploy(1)
    before = len(fake.said())
    found = house.push(2)
    with house.lifecycle.change() as change:
        house.lifecycle.rollback(change, house.app, "production", "#1", "somebody")
    rollback = house.claim()
    announce(house.tools, found)
    for _ in range(2):
        with house.lifecycle.change() as change:
            house.lifecycle.resume(change, environments.get(change.tx, EnvironmentId(1)))
        announce(house.tools, found)
        with house.lifecycle.change() as change:
            change.move(deployments.get(change.tx, found), State.HELD, "held again")
        announce(house.tools, found)
    with house.lifecycle.change() as change:
        change.move(deployments.get(change.tx, found), State.QUEUED, "resumed")
    house.leases.finish(rollback, State.CANCELLED, "cancelled by somebody")
    for _ in range(3):
        announce(house.tools, found)
        house.leases.hand_back(house.claim(), "its worker stops")
        announce(house.tools, found)
    claim = house.claim()
    announce(house.tools, found)
    house.succeed(claim)
    announce(house.tools, found)
    house.sweep()
    assert len(fake.said()) - before <= 6
    assert fake.status_of(REPOSITORY, sha(2), CONTEXT) == ("success", house_says(house, found))
    assert [state for _, _, state in fake.deployment_states(REPOSITORY)] == ["inactive", "success"]


def test_one_that_never_started_gets_only_its_status(house: House, fake: FakeGitHub):
    running = house.push(1)
    house.claim()
    dropped, newest = house.push(2), house.push(3)
    house.sweep()
    assert house.known(dropped).github_deployment_id is None
    assert fake.status_of(REPOSITORY, sha(2), CONTEXT) == (
        "error",
        f"Superseded by DEP-{newest}, not deployed",
    )
    assert len(fake.deployment_states(REPOSITORY)) == 1
    assert house.known(running).github_deployment_id is not None
    with house.lifecycle.change() as change:
        house.lifecycle.cancel(change, deployments.get(change.tx, newest), "Ada")
    house.sweep()
    assert fake.status_of(REPOSITORY, sha(3), CONTEXT) == ("error", "Cancelled by Ada")


@pytest.mark.parametrize(("blame", "state"), [(Blame.USER, "failure"), (Blame.PLATFORM, "error")])
def test_a_failure_says_whose_it_is(house: House, fake: FakeGitHub, blame: Blame, state: str):
    found = house.push(1)
    failure = Failure("no-text-for-this", {"code": 1}, blame)
    house.leases.finish(house.claim(), State.FAILED, "the build " + "failed " * 40, failure)
    announce(house.tools, found)
    shown = fake.status_of(REPOSITORY, sha(1), CONTEXT)
    assert shown is not None
    assert shown[0] == state
    assert shown[1].startswith("The build failed failed")
    assert len(shown[1]) <= 140
    assert fake.deployment_states(REPOSITORY)[0][2] == state


def test_a_skipped_one_is_green(house: House, fake: FakeGitHub):
    found = house.push(1)
    with house.lifecycle.change() as change:
        change.move(deployments.get(change.tx, found), State.SKIPPED, "[skip ci] in the message")
    announce(house.tools, found)
    assert fake.status_of(REPOSITORY, sha(1), CONTEXT) == ("success", "Skipped: [skip ci] in the message")


def test_a_rollback_is_a_deployment_of_the_released_commit(house: House, fake: FakeGitHub):
    house.deploy(1)
    house.deploy(2)
    with house.lifecycle.change() as change:
        rollback = house.lifecycle.rollback(change, house.app, "production", None, "Ada")
    announce(house.tools, rollback.id)
    assert len(fake.said()) == 11, "a commit that is live already is not pending again"
    claim = house.claim()
    announce(house.tools, rollback.id)
    house.succeed(claim)
    announce(house.tools, rollback.id)
    shown = fake.status_of(REPOSITORY, sha(1), CONTEXT)
    assert shown is not None
    assert shown[1].startswith("Rolled back to production as ")
    assert [state for _, _, state in fake.deployment_states(REPOSITORY)] == [
        "inactive",
        "inactive",
        "success",
    ]
    assert fake.world.repositories[REPOSITORY].deployments[-1]["sha"] == sha(1)


def test_an_older_deployment_of_a_commit_does_not_speak_over_a_newer_one(house: House, fake: FakeGitHub):
    older = house.push(1)
    house.leases.finish(
        house.claim(), State.FAILED, "broken", Failure(ErrorCode.UNEXPECTED, {}, Blame.PLATFORM)
    )
    newer = house.deploy(1)
    announce(house.tools, older)
    assert newer != older
    shown = fake.status_of(REPOSITORY, sha(1), CONTEXT)
    assert shown is not None
    assert shown[0] == "success"
    assert [state for _, _, state in fake.deployment_states(REPOSITORY)] == ["success"]


def test_after_an_outage_github_shows_what_is_true(house: House, fake: FakeGitHub):
    fake.fail_next(1000, 503)
    found = [house.deploy(number) for number in (1, 2)]
    last = house.push(3)
    house.leases.finish(house.claim(), State.FAILED, "broken", Failure("x", {}, Blame.USER))
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


class Killed(BaseException):
    """The process ends here, in the middle of its work."""


@pytest.mark.parametrize("survived", range(6))
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
        singletons.lead(tx, f"announce-{environment}", "somebody else", house.now(), until)
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
