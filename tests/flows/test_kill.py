import signal
from collections.abc import Generator
from pathlib import Path

import psutil
import pytest

from bot.domain.deployment import State
from tests.flows.conftest import MakeRepository
from tests.running import Slipway, alive
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Generator[Slipway]:
    """An instance of its own: its processes are killed."""
    instance = Slipway(tmp_path_factory.mktemp("killed") / "home").up()
    yield instance
    instance.down()


RECIPE = '[build]\ncommand = "sh build.sh"\noutput = "out"\n'
SURVIVE = "sleep {}\nmkdir out\necho {} > out/index.html\n"


def sleepers(*seconds: str) -> list[psutil.Process]:
    found: list[psutil.Process] = []
    for process in psutil.process_iter():
        try:
            if process.cmdline() in [["sleep", one] for one in seconds]:
                found.append(process)
        except psutil.Error:
            continue
    return found


def test_a_cancel_leaves_nothing_running(alone: Slipway, make_repository: MakeRepository):
    repository = make_repository("cancelled")
    script = "setsid sleep 7001 & sleep 7002\n"
    sha = repository.commit({"slipway.toml": RECIPE, "build.sh": script}, "Slow")
    alone.create_app(repository, "cancelled")
    deployment = alone.deployment_of(alone.push("cancelled", sha))
    wait_until(lambda: len(sleepers("7001", "7002")) == 2, 20, "the build to run")
    shown = alone.run("cancel", f"DEP-{deployment.id}")
    assert "cancelled" in shown
    assert sleepers("7001", "7002") == []
    assert alone.deployment(deployment.id).state is State.CANCELLED


def test_a_killed_worker_loses_nothing(alone: Slipway, make_repository: MakeRepository):
    repository = make_repository("survivor")
    sha = repository.commit(
        {"slipway.toml": RECIPE, "build.sh": SURVIVE.format("3.25", "survived")},
        "Slow",
    )
    app = alone.create_app(repository, "survivor")
    deployment = alone.deployment_of(alone.push("survivor", sha))
    wait_until(lambda: sleepers("3.25"), 20, "the build to run")
    for process in alone.find("jobs.worker"):
        process.kill()
    ended = alone.ended(deployment.id, 60)
    assert ended.state is State.SUCCEEDED, alone.log.read_text()
    assert ended.attempt == 2
    assert alone.get(alone.hostname(app)).text == "survived\n"


def test_a_killed_queue_loses_nothing(alone: Slipway, make_repository: MakeRepository):
    repository = make_repository("queued")
    sha = repository.commit(
        {"slipway.toml": RECIPE, "build.sh": SURVIVE.format("2.75", "survived")},
        "Slow",
    )
    app = alone.create_app(repository, "queued")
    deployment = alone.deployment_of(alone.push("queued", sha))
    wait_until(lambda: sleepers("2.75"), 20, "the build to run")
    for process in alone.find("valkey-server") or alone.find("redis-server"):
        process.kill()
    assert alone.ended(deployment.id, 60).state is State.SUCCEEDED, alone.log.read_text()
    assert alone.get(alone.hostname(app)).text == "survived\n"
    next_sha = repository.commit({"build.sh": "mkdir out\necho again > out/index.html\n"}, "Quick")
    assert alone.deploy("queued", next_sha, before=sha).state is State.SUCCEEDED


@pytest.mark.slow
def test_a_stop_hands_a_running_build_back_and_a_second_start_makes_it(
    tmp_path: Path, make_repository: MakeRepository
):
    slipway = Slipway(tmp_path / "home").up()
    repository = make_repository("handed")
    sha = repository.commit({"slipway.toml": RECIPE, "build.sh": SURVIVE.format("4.5", "handed")}, "Slow")
    app = slipway.create_app(repository, "handed")
    deployment = slipway.deployment_of(slipway.push("handed", sha))
    wait_until(lambda: sleepers("4.5"), 20, "the build to run")
    tree = slipway.processes()
    assert slipway.down(signal.SIGINT) == 0
    assert alive(tree) == []
    assert sleepers("4.5") == []
    assert slipway.deployment(deployment.id).state is State.QUEUED
    slipway.up()
    assert slipway.ended(deployment.id).state is State.SUCCEEDED
    assert slipway.get(slipway.hostname(app)).text == "handed\n"
    slipway.down()
