import subprocess
import sys
import threading
from collections.abc import Generator
from pathlib import Path

import pytest
from rq import Queue as RqQueue
from rq import Worker
from rq.serializers import JSONSerializer

from bot.cli.instance import Instance
from bot.cli.waiting import await_end
from bot.domain.deployment import Deployment, State
from bot.errors import ErrorCode, PlatformError
from bot.queue import DEPLOY_QUEUE, Queue, connect
from bot.store import deployments
from bot.store.engine import reading
from tests.instance import Instance as Made
from tests.valkey import Valkey
from tests.waiting import wait_until

QUICK = 0.1


@pytest.fixture(scope="module")
def valkey() -> Generator[Valkey]:
    with Valkey() as running:
        yield running


class House:
    def __init__(self, folder: Path, valkey: Valkey) -> None:
        self.made = Made(folder, valkey.url)
        self.redis = connect(valkey.url)
        self.redis.flushall()
        self.instance = Instance(
            self.made.settings, self.made.engine, self.made.lifecycle, Queue(connect(valkey.url))
        )
        self.deployment = self.made.push(self.made.app("shop"), "a" * 40)

    def register(self) -> Worker:
        queue = RqQueue(DEPLOY_QUEUE, connection=self.redis, serializer=JSONSerializer)
        worker = Worker([queue], connection=self.redis, serializer=JSONSerializer)
        worker.register_birth()
        return worker

    def cancel(self) -> Deployment:
        with self.made.lifecycle.change() as change:
            found = deployments.get(change.tx, self.deployment.id)
            return self.made.lifecycle.cancel(change, found, "mona")

    def awaited(self) -> Deployment:
        return await_end(self.instance, self.deployment, patience=QUICK)

    def state(self) -> State:
        with reading(self.made.engine) as tx:
            return deployments.get(tx, self.deployment.id).state


@pytest.fixture
def house(tmp_path: Path, valkey: Valkey) -> Generator[House]:
    made = House(tmp_path, valkey)
    yield made
    made.made.close()


def refused(house: House) -> PlatformError:
    with pytest.raises(PlatformError) as caught:
        house.awaited()
    assert caught.value.code is ErrorCode.WORKER_AWAY
    return caught.value


def test_without_a_worker_the_wait_ends_and_what_was_asked_for_stays(house: House):
    assert refused(house).facts == {"deployment": "DEP-1", "state": "queued"}
    assert house.state() is State.QUEUED
    house.made.succeed(house.made.claim())
    assert house.awaited().state is State.SUCCEEDED


def test_a_worker_that_was_killed_is_none(house: House):
    with subprocess.Popen([sys.executable, "-c", "pass"]) as gone:
        pass
    worker = house.register()
    house.redis.hset(worker.key, "pid", gone.pid)
    refused(house)


def test_without_a_queue_there_is_no_worker(house: House, tmp_path: Path):
    house.instance = Instance(
        house.made.settings,
        house.made.engine,
        house.made.lifecycle,
        Queue(connect(f"unix://{tmp_path / 'no.sock'}", retries=0)),
    )
    refused(house)


def test_what_its_worker_left_behind_is_not_waited_for(house: House):
    dead = subprocess.run(
        [sys.executable, "-c", "from bot import holder; print(holder.this_process())"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert house.made.leases.claim(dead) is not None
    assert house.cancel().state is State.CANCELLING
    assert refused(house).facts["state"] == "cancelling"


@pytest.mark.parametrize("kind", ["busy", "at work"])
def test_while_a_worker_is_there_it_is_waited_for(
    house: House, kind: str, capsys: pytest.CaptureFixture[str]
):
    ended: list[Deployment] = []
    claim = house.made.claim() if kind == "at work" else None
    worker = house.register() if kind == "busy" else None
    waiting = threading.Thread(target=lambda: ended.append(house.awaited()))
    waiting.start()
    if worker is not None:
        wait_until(lambda: "DEP-1 waits for a worker" in capsys.readouterr().err)
    else:
        waiting.join(3 * QUICK)
    assert ended == []
    house.made.succeed(claim or house.made.claim())
    waiting.join()
    assert ended[0].state is State.SUCCEEDED
