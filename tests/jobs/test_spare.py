import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from jobs.spare import FAILED, Spare
from tests.waiting import wait_until


def _nothing() -> None:
    pass


def _exit_code(spare: Spare) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(spare.pid, 0)[1])


def test_it_makes_ready_at_once_and_works_when_it_is_told(tmp_path: Path):
    ready, done = tmp_path / "ready", tmp_path / "done"
    spare = Spare(lambda: done.write_text(str(os.getpid())), ready.touch)  # type: ignore[arg-type]
    wait_until(ready.exists, 10, "it is ready")
    assert spare.is_alive()
    assert not done.exists()
    assert os.getpgid(spare.pid) == spare.pid
    spare.begin()
    assert _exit_code(spare) == os.EX_OK
    assert done.read_text() == str(spare.pid)


def test_one_that_is_not_needed_ends_without_work(tmp_path: Path):
    spare = Spare((tmp_path / "done").touch, _nothing)
    spare.dismiss()
    assert not psutil.pid_exists(spare.pid)
    assert not (tmp_path / "done").exists()


def test_work_that_fails_is_told_by_the_exit_code_and_making_ready_may_fail():
    def fail() -> None:
        raise RuntimeError

    spare = Spare(fail, fail)
    spare.begin()
    assert _exit_code(spare) == FAILED


def test_one_that_was_killed_is_not_alive_and_begun_does_no_harm():
    spare = Spare(_nothing, _nothing)
    os.kill(spare.pid, signal.SIGKILL)
    wait_until(lambda: not spare.is_alive(), 10, "its end")
    spare.begin()


@pytest.mark.parametrize("begun", [False, True])
def test_it_ends_with_its_parent(tmp_path: Path, *, begun: bool):
    told = tmp_path / "told"
    parent = os.fork()
    if parent == 0:
        spare = Spare(lambda: time.sleep(60), lambda: told.write_text(str(os.getpid())))  # type: ignore[arg-type]
        if begun:
            spare.begin()
        signal.pause()
    wait_until(lambda: told.exists() and told.read_text() != "", 10, "the spare")
    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)
    wait_until(lambda: not psutil.pid_exists(int(told.read_text())), 10, "its end")
