import os
import signal
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import psutil
import pytest
from redis import Redis
from rq import Queue as RqQueue
from rq.job import Job
from rq.serializers import JSONSerializer

from bot.domain.ids import EnvironmentId
from bot.queue import DEPLOY_QUEUE, PERMIT, Queue, connect
from jobs.horses import HorseWorker
from jobs.worker import job_class_for
from tests.running import alive
from tests.valkey import Valkey
from tests.waiting import wait_until


class Stable:
    """A queue of permits, and workers that take them."""

    def __init__(self, folder: Path, url: str) -> None:
        self.redis = Redis.from_url(url)
        self.queue = Queue(connect(url))
        self.said = folder / "said"
        self.said.touch()

    def say(self, word: str) -> None:
        with self.said.open("a") as file:
            file.write(f"{word} {os.getpid()}\n")

    def words(self) -> list[str]:
        return [line.split()[0] for line in self.said.read_text().splitlines()]

    def pids(self, word: str) -> list[int]:
        rows = [line.split() for line in self.said.read_text().splitlines()]
        return [int(pid) for name, pid in rows if name == word]

    def work(self, count: int, work: Callable[[], None]) -> int:
        """Let a process take so many jobs; its pid."""
        pid = os.fork()
        if pid == 0:
            self._take(count, work)
        return pid

    def _take(self, count: int, work: Callable[[], None]) -> None:
        def killed(_job: Job, _pid: int, _status: int, _usage: Any) -> None:
            self.say("killed")

        worker = HorseWorker(
            [RqQueue(DEPLOY_QUEUE, connection=self.redis, serializer=JSONSerializer)],
            connection=self.redis,
            serializer=JSONSerializer,
            job_class=job_class_for({PERMIT: work}),
            work_horse_killed_handler=killed,
            work=work,
            prepare=lambda: self.say("ready"),
        )
        worker.work(logging_level="CRITICAL", max_jobs=count)
        os._exit(0)

    def is_clean(self) -> bool:
        return not self.redis.keys("rq:job:*") and not self.redis.keys("rq:execution:*")


@pytest.fixture(scope="module")
def valkey() -> Generator[Valkey]:
    with Valkey() as running:
        yield running


@pytest.fixture
def stable(valkey: Valkey, tmp_path: Path) -> Stable:
    stable = Stable(tmp_path, valkey.url)
    stable.redis.flushall()
    return stable


def test_each_permit_is_used_by_a_process_that_was_there_before(stable: Stable):
    worker = stable.work(2, lambda: stable.say("worked"))
    wait_until(lambda: stable.words() == ["ready"], 20, "the first process")
    for number in (1, 2):
        stable.queue.permit(EnvironmentId(number), 0)
        wait_until(lambda number=number: stable.words().count("worked") == number, 20, "the work")
    os.waitpid(worker, 0)
    assert stable.pids("worked") == stable.pids("ready")
    assert len(set(stable.pids("worked"))) == 2
    assert stable.is_clean()


def test_work_that_is_killed_or_fails_is_told_and_the_next_permit_is_taken(stable: Stable):
    def work() -> None:
        stable.say("began")
        if len(stable.pids("began")) == 1:
            time.sleep(60)
        elif len(stable.pids("began")) == 2:
            raise RuntimeError

    worker = stable.work(3, work)
    stable.queue.permit(EnvironmentId(1), 0)
    wait_until(lambda: stable.pids("began"), 20, "the first work")
    os.kill(stable.pids("began")[0], signal.SIGKILL)
    wait_until(lambda: "killed" in stable.words(), 20, "its end")
    for number in (2, 3):
        stable.queue.permit(EnvironmentId(number), 0)
    os.waitpid(worker, 0)
    assert stable.words().count("began") == 3
    assert stable.words().count("killed") == 2


def test_a_message_that_is_no_permit_is_refused(stable: Stable):
    queue = RqQueue(DEPLOY_QUEUE, connection=stable.redis, serializer=JSONSerializer)
    queue.enqueue_call("os.getcwd", job_id="strange")
    queue.enqueue_call(PERMIT, args=(1,), job_id="laden")
    worker = stable.work(2, lambda: stable.say("worked"))
    os.waitpid(worker, 0)
    assert "worked" not in stable.words()


def test_what_waits_ends_with_its_worker(stable: Stable):
    worker = stable.work(1, lambda: stable.say("worked"))
    wait_until(lambda: stable.pids("ready"), 20, "the process")
    waiting = stable.pids("ready")[0]
    os.kill(worker, signal.SIGTERM)
    os.waitpid(worker, 0)
    wait_until(lambda: not Path(f"/proc/{waiting}").exists(), 20, "its end")


def test_one_that_was_killed_while_it_waited_leaves_nothing_open(stable: Stable):
    worker = stable.work(9, lambda: stable.say("worked"))
    open_files: list[int] = []
    for number in (1, 2, 3, 4):
        wait_until(lambda number=number: len(stable.pids("ready")) == 2 * number - 1, 20, "a process")
        open_files.append(psutil.Process(worker).num_fds())
        waiting = psutil.Process(stable.pids("ready")[-1])
        waiting.kill()
        wait_until(lambda waiting=waiting: not alive([waiting]), 20, "its end")
        stable.queue.permit(EnvironmentId(number), 0)
        # Another one did it.
        wait_until(lambda number=number: stable.words().count("worked") == number, 20, "the work")
    os.kill(worker, signal.SIGKILL)
    os.waitpid(worker, 0)
    # The first permit opens a connection more.
    assert open_files[1:] == [open_files[1]] * 3
