"""Both drivers alike: outcomes, streams, limits, stopping, and nothing left behind."""

import resource
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from bot.errors import ErrorCode, PlatformError
from jobs.sandbox import cgroup
from jobs.sandbox.box import Box, End, Limits
from jobs.sandbox.choose import choose
from jobs.sandbox.plain import Plain
from tests.jobs.boxes import LIMITS, Bench, own, processes_with, settings, working_bubblewrap
from tests.waiting import wait_until


def limits(**changes: int) -> Limits:
    values = {"seconds": 20, "memory": 512, "processes": 128, "file_size": 64}
    return Limits(**{**values, **changes})


@pytest.fixture(params=["bubblewrap", "plain"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Bench:
    if request.param == "plain":
        sandbox = Plain(cgroup.find(), "a test")
    else:
        sandbox = working_bubblewrap(tmp_path / "home")
        if sandbox is None:
            pytest.skip("bubblewrap does not work on this machine")
    work = tmp_path / "work"
    work.mkdir()
    own(work, sandbox)
    return Bench(sandbox, work, f"test-{time.monotonic_ns()}")


def needs_groups() -> None:
    if cgroup.find() is None:
        pytest.skip("no control groups on this machine")


def test_exit_codes_and_both_streams_come_back(bench: Bench):
    streams: list[tuple[str, bytes]] = []
    box = bench.box("sh", "-c", "echo out; echo err >&2; touch made; exit 3")
    outcome = bench.sandbox.run(box, lambda stream, chunk: streams.append((stream, chunk)), lambda: False)
    assert (outcome.end, outcome.code) == (End.EXITED, 3)
    assert sorted(streams) == [("stderr", b"err\n"), ("stdout", b"out\n")]
    assert (bench.work / "made").exists()


def test_a_signal_is_told_as_128_and_its_number(bench: Bench):
    assert bench.run("sh", "-c", "kill -9 $$").code == 137


def test_commands_are_nice_and_cannot_dump_core(bench: Bench):
    assert bench.shell("nice; ulimit -c").split() == ["19", "0"]


def test_a_file_cannot_grow_beyond_the_limit(bench: Bench):
    outcome = bench.run("dd", "if=/dev/zero", "of=big", "bs=1M", "count=8", limits=limits(file_size=2))
    assert outcome.code != 0
    assert (bench.work / "big").stat().st_size <= 2 * 1024 * 1024


def test_too_long_a_command_is_ended_even_when_it_ignores_sigterm(bench: Bench):
    started = time.monotonic()
    script = "trap '' TERM; sleep 4242.1 & setsid sleep 4242.1 & wait; sleep 4242.1"
    outcome = bench.run("sh", "-c", script, limits=limits(seconds=1))
    assert outcome.end is End.TIMED_OUT
    assert time.monotonic() - started < 6
    assert processes_with("4242.1") == []


def test_a_stopped_command_may_clean_up_and_is_gone_within_5_s(bench: Bench):
    begun = threading.Event()

    def output(_: str, chunk: bytes) -> None:
        bench.said.append(chunk)
        begun.set()

    box = bench.box("sh", "-c", "trap 'echo tidied; exit 0' TERM; echo up; while :; do sleep 0.1; done")
    started = time.monotonic()
    outcome = bench.sandbox.run(box, output, begun.is_set)
    assert outcome.end is End.STOPPED
    assert time.monotonic() - started < 5
    assert bench.text.startswith("up\n")
    # A shell may say besides that its own child was terminated.
    assert "tidied\n" in bench.text


def test_children_in_sessions_of_their_own_do_not_survive_nor_hold_the_run(bench: Bench):
    started = time.monotonic()
    orphan, unmarked = "(setsid sleep 4242.2 &)", "env -i sleep 4242.2 &"
    nested = "setsid sh -c 'sleep 4242.2 & sleep 4242.2' &"
    script = f"{orphan}; {nested} {unmarked} echo done"
    outcome = bench.run("sh", "-c", script)
    assert (outcome.end, outcome.code) == (End.EXITED, 0)
    # A shell that had yet to start its own children may complain that it can't any more.
    assert bench.text.startswith("done\n")
    assert time.monotonic() - started < 4
    assert processes_with("4242.2") == []


def test_a_fork_bomb_meets_the_limit_and_is_removed(bench: Bench):
    needs_groups()
    bomb = "import os,time\nfor i in range(400):\n if os.fork() == 0: time.sleep(4242)\n"
    outcome = bench.run("python3", "-c", bomb, limits=limits(processes=60, seconds=10))
    assert outcome.code != 0
    assert "Resource temporarily unavailable" in bench.text
    assert processes_with(bomb) == []


def test_a_memory_hog_is_told_as_out_of_memory(bench: Bench):
    needs_groups()
    outcome = bench.run("python3", "-c", "x = bytearray(900 * 2**20)", limits=limits(memory=128))
    assert outcome.end is End.OUT_OF_MEMORY


def test_100_mib_of_output_pass_through_without_being_kept(bench: Bench):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sizes: list[int] = []
    box = bench.box("sh", "-c", "head -c 104857600 /dev/zero")
    bench.sandbox.run(box, lambda _, chunk: sizes.append(len(chunk)), lambda: False)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert sum(sizes) == 104857600
    assert max(sizes) <= 64 * 1024
    assert grown < 16 * 1024  # KiB


def test_a_command_that_prints_without_end_is_stopped(bench: Bench):
    seen: list[int] = []
    box = bench.box("yes", "4242.8")
    bench.sandbox.run(box, lambda _, chunk: seen.append(len(chunk)), lambda: len(seen) > 100)
    assert processes_with("4242.8") == []


def test_an_error_while_output_is_taken_ends_the_box(bench: Bench):
    def output(_: str, chunk: bytes) -> None:
        raise ConnectionError(chunk)

    with pytest.raises(ConnectionError):
        bench.sandbox.run(bench.box("sh", "-c", "echo up; sleep 4242.3"), output, lambda: False)
    assert processes_with("4242.3") == []


def test_boxes_run_side_by_side(bench: Bench, tmp_path: Path):
    benches = [Bench(bench.sandbox, tmp_path / f"w{n}", f"{bench.name}.{n}") for n in range(4)]
    for one in benches:
        one.work.mkdir()
        own(one.work, one.sandbox)
    threads = [threading.Thread(target=one.run, args=("sh", "-c", f"echo {one.name}")) for one in benches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [one.text for one in benches] == [f"{one.name}\n" for one in benches]


WORKER = """
import sys, pathlib
from jobs.sandbox.choose import choose
from tests.jobs.boxes import Bench, settings
home, sandbox, name, word = sys.argv[1:]
bench = Bench(choose(settings(pathlib.Path(home), sandbox=sandbox)), pathlib.Path(home, "work"), name)
bench.run("sh", "-c", "setsid sleep %s & sleep %s" % (word[1:], word[1:]))
"""


def test_a_sweep_ends_what_a_killed_worker_left_and_nothing_else(bench: Bench):
    kind = "none" if bench.sandbox.name == "none" else "auto"
    boxes = {f"{bench.name}.a": "4242.4", f"{bench.name}b.a": "4242.5"}
    with ExitStack() as stack:
        workers: list[subprocess.Popen[bytes]] = []
        for name, word in boxes.items():
            argv = [sys.executable, "-c", WORKER, str(bench.work.parent), kind, name, f"_{word}"]
            workers.append(stack.enter_context(subprocess.Popen(argv)))
            stack.callback(workers[-1].kill)
        for word in boxes.values():
            wait_until(lambda word=word: len(processes_with(word)) == 2, 30, what=f"two sleeps of {word}")
        workers[0].kill()
        workers[0].wait()
        if bench.sandbox.name == "bubblewrap":
            # Without any sweep: bwrap does not outlive who started it.
            wait_until(lambda: processes_with("4242.4") == [], what="the end of the box")
        bench.sandbox.sweep(f"{bench.name}.")
        assert processes_with("4242.4") == []
        assert len(processes_with("4242.5")) == 2
        assert bench.sandbox.sweep(f"{bench.name}b.") >= 2
        assert processes_with("4242.5") == []


def test_a_box_needs_a_plain_name():
    with pytest.raises(ValueError, match="can't name a box"):
        Box(name="../x", argv=["true"], directory="/", limits=LIMITS, mounts=[])


def test_none_is_plain_with_a_warning(tmp_path: Path):
    chosen = choose(settings(tmp_path, sandbox="none"))
    assert chosen.name == "none"
    assert "without a sandbox" in (chosen.warning or "")


def test_auto_falls_back_and_bubblewrap_refuses_where_no_box_can_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    # Without a place for temporary folders no box can be tried.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    fallen = choose(settings(tmp_path))
    assert fallen.name == "none"
    assert "bubblewrap does not work here" in (fallen.warning or "")
    with pytest.raises(PlatformError) as refused:
        choose(settings(tmp_path, sandbox="bubblewrap"))
    assert refused.value.code is ErrorCode.START_REFUSED
