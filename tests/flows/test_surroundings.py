"""What an instance lives in fails: disk, file system, store, file descriptors, clock, network, name server.

Each fault is made for real, on a running instance; nothing but the fault is undone before what it
stopped is expected to go on.
"""

import os
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from bot.domain.deployment import State
from tests.fakes.repository import Repository
from tests.flows.surroundings import SECONDS, GitServer, Place, register, telling
from tests.running import Slipway
from tests.waiting import wait_until

MIB = 1024 * 1024

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="mounts, limits of others: root on Linux"
    ),
]


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def unmount(path: Path) -> None:
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Generator[Place]:
    folder = tmp_path_factory.mktemp("surroundings")
    disk = folder / "disk"
    disk.mkdir()
    mount("-t", "tmpfs", "-o", "size=96m", "tmpfs", str(disk))
    try:
        with telling() as (github, options):
            slipway = Slipway(disk / "home", options)
            try:
                slipway.up()
                yield Place(slipway, github, Repository(folder / "shop"), disk)
            finally:
                if slipway.process is not None:
                    slipway.down()
    finally:
        unmount(disk)


@contextmanager
def filled(disk: Path, left: int) -> Generator[None]:
    """Fill a disk up but for so many bytes."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        # Others write, too: as much as there is at this moment, then the rest of it.
        with suppress(OSError):
            space = os.statvfs(disk)
            os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - left)
        with suppress(OSError):
            file.seek(0, os.SEEK_END)
            while left == 0:
                file.write(bytes(4096))
    try:
        yield
    finally:
        filler.unlink()


def test_a_build_waits_for_room_on_the_disk(place: Place):
    before = place.page()
    with filled(place.disk, 6 * MIB):
        made = place.push(size=20 * MIB)
        waiting = place.waits_for(made, "There is no space left on the disk")
        assert waiting.attempt > 1
        said = lambda: place.told(place.sha)[-1]  # noqa: E731
        wait_until(lambda: "no space left" in said()["description"], SECONDS, "GitHub to hear of it")
        assert said()["state"] == "pending"
        assert place.page() == before
        assert "Free some space" in place.doctor(code=1)
    ended = place.went_live(made, place.number)
    assert ended.attempt < 8


def test_a_full_disk_takes_no_delivery_and_loses_none(place: Place):
    large = os.urandom(3 * MIB).hex()
    before = place.page()
    with filled(place.disk, 0):
        place.commit()
        answer = place.send("while-full", large)
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] == "not-stored"
        assert "no space left on the disk" in answer.json()["detail"]
        assert not place.is_stored("while-full")
        assert place.page() == before
        assert "No space left on device" in place.doctor(code=1)
    # As GitHub redelivers, when a person or the sweep asks for it.
    assert wait_until(lambda: place.send("while-full", large).status_code == 202, 20)
    made = place.slipway.deployment_of("while-full", SECONDS)
    place.went_live(made.id, place.number)


def test_a_home_that_is_read_only_is_named_and_what_waited_goes_on(place: Place):
    home = place.slipway.home
    before = place.page()
    mount("--bind", str(home), str(home))
    try:
        mount("-o", "remount,bind,ro", str(home))
        sha = place.commit()
        place.send("while-read-only")
        told = place.doctor(code=1)
        assert "Read-only file system" in told
        assert "mount it writable again" in told
        refused = place.slipway.run("up", code=2)
        assert "Traceback" not in refused
        assert "can't be written" in refused
        assert place.page() == before
    finally:
        unmount(home)
    assert wait_until(lambda: place.send("while-read-only").status_code == 202, 20)
    made = place.slipway.deployment_of("while-read-only", SECONDS)
    assert made.sha == sha
    place.went_live(made.id, place.number)


LOCKER = """
import sqlite3, sys
store = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
store.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def locked(store: Path) -> Generator[None]:
    command = [sys.executable, "-c", LOCKER, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield
        process.kill()


def test_a_store_that_is_locked_for_20_seconds_refuses_deliveries_and_ends_no_work(place: Place):
    slipway = place.slipway
    before = place.page()
    made = place.push(seconds=2)
    number = place.number
    wait_until(lambda: slipway.deployment(made).phase == "build", SECONDS, "the build to run")
    answers: dict[str, int] = {}
    with locked(slipway.home / "slipway.db"):
        began = time.monotonic()
        while time.monotonic() - began < 20:
            asked = time.monotonic()
            answer = place.send(f"while-locked-{len(answers)}")
            assert time.monotonic() - asked < 9
            answers[f"while-locked-{len(answers)}"] = answer.status_code
            if len(answers) == 1:
                assert "database is locked" in answer.json()["detail"]
                assert "another program has it open" in place.doctor(code=1)
        assert place.page() == before
    assert set(answers.values()) == {503}
    assert [guid for guid in answers if place.is_stored(guid)] == []
    assert place.went_live(made, number).attempt == 1
    assert place.send("while-locked-0").status_code == 202


def test_work_waits_for_file_descriptors(place: Place):
    _deciding, _announcing, *executors = place.slipway.find("jobs.worker")[0].children()
    # Those that were forked ahead, too: the next deployment is one of theirs.
    deploying = [*executors, *(child for one in executors for child in one.children())]
    limits = [(one, one.rlimit(psutil.RLIMIT_NOFILE)) for one in deploying]
    for one, (_, hard) in limits:
        one.rlimit(psutil.RLIMIT_NOFILE, (one.num_fds() + 9, hard))
    try:
        made = place.push()
        place.waits_for(made, "Slipway ran out of file descriptors")
    finally:
        for one, limit in limits:
            with suppress(psutil.NoSuchProcess):
                one.rlimit(psutil.RLIMIT_NOFILE, limit)
    place.went_live(made, place.number)


def test_a_git_server_that_hangs_holds_up_nobody_else(place: Place, tmp_path: Path):
    slipway = place.slipway
    repository = Repository(tmp_path / "remote.git")
    sha = repository.commit({"index.html": "from afar"})
    with GitServer(repository).running() as server:
        place.github.add_repository("acme/remote", int.from_bytes(b"remote", "big"))
        register(slipway, "remote", f"http://127.0.0.1:{server.port}/remote.git")
        server.hanging.set()
        made = slipway.deployment_of(slipway.push("remote", sha), SECONDS)
        assert slipway.ended(place.push(), SECONDS).state is State.SUCCEEDED
        assert place.shows(place.number)
        place.waits_for(made.id, "does not answer")
        server.hanging.clear()
        ended = slipway.ended(made.id, 2 * SECONDS)
    assert ended.state is State.SUCCEEDED, ended.reason


def test_a_github_that_hangs_delays_words_and_no_site(place: Place):
    slipway = place.slipway
    place.github.hang(60, count=3)
    made = place.push()
    assert slipway.ended(made, 20).state is State.SUCCEEDED
    assert place.shows(place.number)
    assert "success" not in [one["state"] for one in place.told(place.sha)]
    place.github.repair()
    place.went_live(made, place.number)
