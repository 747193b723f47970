"""The power is lost at any moment: what was said is still true, and what was begun comes to its end."""

import random
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from hashlib import sha256

import pytest

from bot.domain.contents import decode
from bot.domain.deployment import Deployment, Phase, State
from bot.domain.ids import AppId, DeploymentId, Sha
from bot.store import apps, deliveries, environments, releases
from bot.store.engine import reading
from jobs.artifacts.disk import DiskStore
from tests.fakes.github import STATIC_TOKEN, FakeGitHub
from tests.fakes.repository import Repository
from tests.flows.power import COMPILER, Mains
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.timeout(300),
    pytest.mark.skipif(COMPILER is None, reason="what is synced is seen by a library that is compiled here"),
]

RECIPE = '[build]\ncommand = "sh build.sh"\noutput = "out"\n'
BUILD = "sleep 0.3\nmkdir out\necho {0} > out/index.html\n"


@dataclass
class House:
    """An instance, what it is plugged into, and what was said by it before the power was lost."""

    slipway: Slipway
    mains: Mains
    github: FakeGitHub
    repository: Repository
    app: AppId
    sha: Sha
    number: int = 0
    accepted: list[str] = field(default_factory=list[str])
    ended: dict[DeploymentId, Deployment] = field(default_factory=dict[DeploymentId, Deployment])

    def push(self) -> str:
        self.number += 1
        sha = self.repository.commit({"build.sh": BUILD.format(self.number)}, f"Text {self.number}")
        self.accepted.append(self.slipway.push("power", sha, before=self.sha))
        self.sha = sha
        return self.accepted[-1]

    def newest(self) -> Deployment | None:
        """The newest commit's deployment, if there is one."""
        return next((one for one in self.slipway.deployments(self.app) if one.sha == self.sha), None)

    def cut(self) -> None:
        self.ended |= {one.id: one for one in self.slipway.deployments(self.app) if one.state.is_final}
        self.slipway.engine.dispose()
        self.mains.cut(self.slipway)
        self.mains.look(self.slipway, self.check_what_is_left)
        self.slipway.up()

    def check_what_is_left(self) -> None:
        """What people were told is in the store that is left."""
        left = {one.id: one for one in self.slipway.deployments(self.app)}
        with reading(self.slipway.engine) as tx:
            assert [guid for guid in self.accepted if not deliveries.by_guid(tx, guid)] == []
        assert {number: (left[number].state, left[number].release_id) for number in self.ended} == {
            number: (one.state, one.release_id) for number, one in self.ended.items()
        }

        self.check_artifacts()

    def check_artifacts(self) -> None:
        """Whatever may be shown again is there whole."""
        store = DiskStore(self.slipway.settings.artifacts)
        with reading(self.slipway.engine) as tx:
            kept = releases.of_app(tx, self.app)
        assert kept
        for release in kept:
            for file in decode(store.read(release.manifest)).files.values():
                assert sha256(store.read(file.digest)).hexdigest() == file.digest

    def settle(self) -> Deployment:
        """Wait until nothing is open any more; the newest commit's deployment."""
        slipway = self.slipway
        wait_until(lambda: slipway.undecided() == 0, 30, "every delivery to be decided about")
        made = wait_until(self.newest, 30, "a deployment")
        assert made is not None
        ended = slipway.ended(made.id, 60)
        wait_until(lambda: all(one.state.is_final for one in slipway.deployments(self.app)), 60)
        wait_until(lambda: slipway.unannounced() == 0, 60, "GitHub to be told")
        return ended

    def shown(self) -> tuple[str, str]:
        hostname = self.slipway.hostname(self.app)
        return self.slipway.get(hostname).text.strip(), self.slipway.release_at(hostname) or ""

    def agrees(self) -> bool:
        """Whether the edge shows what the store says."""
        with reading(self.slipway.engine) as tx:
            environment = environments.by_name(tx, self.app, "production")
        assert environment is not None
        return self.shown()[1] == str(environment.active_release_id)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    folder = tmp_path_factory.mktemp("power")
    mains = Mains(folder / "mains")
    with FakeGitHub().running() as github:
        github.add_token()
        github.add_repository("acme/power", int.from_bytes(b"power", "big"))
        options = {
            "SLIPWAY_GITHUB_API_URL": github.url,
            "SLIPWAY_GITHUB_TOKEN": STATIC_TOKEN,
            "SLIPWAY_GITHUB_WRITES_PER_MINUTE": "10000",
            "SLIPWAY_GITHUB_WRITES_PER_HOUR": "10000",
        }
        slipway = Slipway(folder / "home", {**options, **mains.options}).up()
        repository = Repository(folder / "power")
        sha = repository.commit({"slipway.toml": RECIPE, "build.sh": BUILD.format(0)}, "Text 0")
        app = slipway.create_app(repository, "power")
        assert slipway.deploy("power", sha).state is State.SUCCEEDED
        yield House(slipway, mains, github, repository, app, sha)
        if slipway.process is not None:
            slipway.down()


Moment = Callable[[House], bool]


def accepted(_house: House) -> bool:
    return True


def claimed(house: House) -> bool:
    made = house.newest()
    return made is not None and made.state is not State.QUEUED


def building(house: House) -> bool:
    made = house.newest()
    return made is not None and made.phase is Phase.BUILD


def released(house: House) -> bool:
    made = house.newest()
    return made is not None and made.release_id is not None


def visible(house: House) -> bool:
    return house.shown()[0] == str(house.number)


def told(house: House) -> bool:
    statuses = house.github.world.repositories["acme/power"].statuses
    return any(one["sha"] == house.sha and one["state"] == "success" for one in statuses)


def reached(moment: Moment, house: House) -> None:
    deadline = time.monotonic() + 30
    while not moment(house):
        assert time.monotonic() < deadline
        time.sleep(0.001)


def check_end(house: House) -> None:
    ended = house.settle()
    assert ended.state is State.SUCCEEDED, f"{ended}\n{house.slipway.log.read_text()[-4000:]}"
    assert wait_until(lambda: house.shown()[0] == str(house.number), 20, "the newest text")
    assert wait_until(house.agrees, 20, "the edge to agree with the store")
    states = house.github.world.repositories["acme/power"].statuses
    assert [one["state"] for one in states if one["sha"] == house.sha][-1] == "success"
    assert house.github.deployment_states("acme/power")[-1][2] == "success"
    house.github.assert_nothing_unexpected()
    assert "error" not in house.slipway.run("doctor")


@pytest.mark.slow
@pytest.mark.parametrize("moment", [accepted, claimed, building, released, visible, told])
def test_what_was_said_outlives_a_loss_of_power(house: House, moment: Moment):
    house.push()
    reached(moment, house)
    house.cut()
    check_end(house)


@pytest.mark.slow
def test_a_rollback_that_was_asked_for_is_done(house: House):
    house.push()
    check_end(house)
    before = int(house.shown()[0])
    with reading(house.slipway.engine) as tx:
        app = apps.get(tx, house.app)
    house.slipway.run("rollback", app.slug, "--no-wait")
    house.cut()
    wait_until(lambda: all(one.state.is_final for one in house.slipway.deployments(house.app)), 60)
    earlier = {str(number) for number in range(before)}
    assert wait_until(lambda: house.shown()[0] in earlier, 20, "the release of before")
    assert wait_until(house.agrees, 20, "the edge to agree with the store")


@pytest.mark.long
def test_the_power_goes_at_any_moment(house: House):
    dice = random.Random(20)
    for _ in range(20):
        for _ in range(dice.randint(1, 3)):
            house.push()
        time.sleep(dice.random() * 1.2)
        house.cut()
        if dice.random() < 0.3:
            time.sleep(dice.random())
            house.cut()
    check_end(house)
