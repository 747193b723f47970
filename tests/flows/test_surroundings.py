"""What an instance lives in fails: disk, file system, store, file descriptors, clock, network, name server.

Each fault is made for real, on a running instance; nothing but the fault is undone before what it
stopped is expected to go on.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from bot.clock import utc_now
from bot.domain.deployment import Deployment, State
from bot.domain.ids import AppId, DeploymentId, Sha
from bot.store import deliveries
from bot.store.engine import reading
from tests.fakes import payloads
from tests.fakes.github import STATIC_TOKEN, FakeGitHub
from tests.fakes.repository import Repository
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="mounts, limits of others: root on Linux"
    ),
]

MIB = 1024 * 1024
SECONDS = 90
RECIPE = '[build]\ncommand = "sh build.sh"\noutput = "out"\n'
BUILD = """\
sleep {seconds}
mkdir out
head -c {size} /dev/urandom > out/large || exit 1
echo text {number} > out/index.html
"""


@dataclass
class Place:
    """An instance whose home is a small disk of its own, that tells a GitHub, with one app that is live."""

    slipway: Slipway
    github: FakeGitHub
    repository: Repository
    disk: Path
    app: AppId = field(init=False)
    sha: Sha = field(init=False)
    number: int = 0

    def __post_init__(self) -> None:
        self.app = self.slipway.create_app(self.repository, "shop")
        self.commit()
        assert self.slipway.deploy("shop", self.sha).state is State.SUCCEEDED

    def commit(self, *, size: int = 100, seconds: float = 0) -> Sha:
        self.number += 1
        script = BUILD.format(seconds=seconds, size=size, number=self.number)
        self.sha = self.repository.commit({"slipway.toml": RECIPE, "build.sh": script}, f"Text {self.number}")
        return self.sha

    def push(self, **options: Any) -> DeploymentId:
        sha = self.commit(**options)
        return self.slipway.deployment_of(self.slipway.push("shop", sha), SECONDS).id

    def send(self, guid: str, more: str = "") -> httpx.Response:
        """Deliver a push of the newest commit, of any size."""
        payload = payloads.push(
            repository="acme/shop",
            repository_id=int.from_bytes(b"shop", "big"),
            ref="refs/heads/main",
            before="0" * 40,
            after=self.sha,
            message=more,
        )
        return self.slipway.deliver("push", payload, guid)

    def is_stored(self, guid: str) -> bool:
        with reading(self.slipway.engine) as tx:
            return bool(deliveries.by_guid(tx, guid))

    def told(self, sha: Sha) -> list[dict[str, Any]]:
        statuses = self.github.world.repositories["acme/shop"].statuses
        return [one for one in statuses if one["sha"] == sha]

    def shows(self, number: int) -> bool:
        return self.slipway.get(self.slipway.hostname(self.app)).text == f"text {number}\n"

    def waits_for(self, deployment: DeploymentId, words: str) -> Deployment:
        """The deployment once it says that it waits, and what for; GitHub is told so, too."""

        def waiting() -> Deployment | None:
            found = self.slipway.deployment(deployment)
            assert not found.state.is_final, f"{found.state}: {found.reason}"
            return found if found.state is State.QUEUED and words in found.reason else None

        found = wait_until(waiting, SECONDS, f"{deployment} to wait: {words}")
        assert found is not None
        return found

    def went_live(self, deployment: DeploymentId, number: int) -> Deployment:
        """The deployment's end: live, the only one in its environment, GitHub told, nothing lies about."""
        slipway = self.slipway
        ended = slipway.ended(deployment, SECONDS)
        assert ended.state is State.SUCCEEDED, f"{ended.reason}\n{slipway.log.read_text()[-4000:]}"
        assert self.shows(number)
        wait_until(lambda: self.told(ended.sha)[-1]["state"] == "success", SECONDS, "GitHub to be told")
        wait_until(self.is_well, SECONDS, "the doctor to find nothing")
        wait_until(self.is_tidy, SECONDS, "nothing to lie about")
        return ended

    def is_well(self) -> bool:
        with suppress(AssertionError):
            return "error" not in self.doctor()
        return False

    def is_tidy(self) -> bool:
        work = self.slipway.home / "work"
        with reading(self.slipway.engine) as tx:
            undecided = deliveries.undecided(tx, utc_now(), 10)
        return not undecided and list(work.iterdir()) == []

    def doctor(self, code: int = 0) -> str:
        return self.slipway.run("doctor", code=code)


def mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)


def unmount(path: Path) -> None:
    subprocess.run(["umount", "--lazy", str(path)], check=True)


@contextmanager
def telling() -> Generator[tuple[FakeGitHub, dict[str, str]]]:
    with FakeGitHub().running() as github:
        github.add_token()
        github.add_repository("acme/shop", int.from_bytes(b"shop", "big"))
        yield (
            github,
            {
                "SLIPWAY_GITHUB_API_URL": github.url,
                "SLIPWAY_GITHUB_TOKEN": STATIC_TOKEN,
                "SLIPWAY_GITHUB_WRITES_PER_MINUTE": "10000",
                "SLIPWAY_GITHUB_WRITES_PER_HOUR": "10000",
            },
        )


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
    with filler.open("wb") as file:
        space = os.statvfs(disk)
        os.posix_fallocate(file.fileno(), 0, space.f_bavail * space.f_frsize - left)
    try:
        yield
    finally:
        filler.unlink()


def test_a_build_waits_for_room_on_the_disk(place: Place):
    before = place.number
    with filled(place.disk, 6 * MIB):
        made = place.push(size=20 * MIB)
        waiting = place.waits_for(made, "There is no space left on the disk")
        assert waiting.attempt > 1
        said = lambda: place.told(place.sha)[-1]  # noqa: E731
        wait_until(lambda: "no space left" in said()["description"], SECONDS, "GitHub to hear of it")
        assert said()["state"] == "pending"
        assert place.shows(before)
        assert "Free some space" in place.doctor(code=1)
    ended = place.went_live(made, place.number)
    assert ended.attempt < 8


def test_a_full_disk_takes_no_delivery_and_loses_none(place: Place):
    large = os.urandom(3 * MIB).hex()
    before = place.number
    with filled(place.disk, 0):
        place.commit()
        answer = place.send("while-full", large)
        assert answer.status_code == 503, answer.text
        assert answer.json()["code"] == "not-stored"
        assert "no space left on the disk" in answer.json()["detail"]
        assert not place.is_stored("while-full")
        assert place.shows(before)
        assert "No space left on device" in place.doctor(code=1)
    # As GitHub redelivers, when a person or the sweep asks for it.
    assert wait_until(lambda: place.send("while-full", large).status_code == 202, 20)
    made = place.slipway.deployment_of("while-full", SECONDS)
    place.went_live(made.id, place.number)


def test_a_home_that_is_read_only_is_named_and_what_waited_goes_on(place: Place):
    home = place.slipway.home
    before = place.number
    mount("--bind", str(home), str(home))
    try:
        mount("-o", "remount,bind,ro", str(home))
        sha = place.commit()
        place.send("while-read-only")
        told = place.doctor(code=1)
        assert "Read-only file system" in told
        assert "mount it writable again" in told
        for command in ("web", "worker", "sweep", "up"):
            refused = place.slipway.run(command, code=2)
            assert "Traceback" not in refused
            assert "can't be written" in refused, command
        assert place.shows(before)
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
    before = place.number
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
        assert place.shows(before)
    assert set(answers.values()) == {503}
    assert [guid for guid in answers if place.is_stored(guid)] == []
    assert place.went_live(made, number).attempt == 1
    assert place.send("while-locked-0").status_code == 202


def test_work_waits_for_file_descriptors(place: Place):
    worker = place.slipway.find("jobs.worker")[0]
    limits = [(one, one.rlimit(psutil.RLIMIT_NOFILE)) for one in (worker, *worker.children())]
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


class GitServer:
    """Serves a repository over HTTP; while it hangs, it takes connections and never says a word."""

    def __init__(self, repository: Repository) -> None:
        hanging = self.hanging = threading.Event()
        ended = self._ended = threading.Event()

        class Handler(SimpleHTTPRequestHandler):
            def handle(self) -> None:
                while hanging.is_set() and not ended.wait(0.05):
                    pass
                with suppress(OSError):
                    super().handle()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        subprocess.run(["git", "update-server-info"], cwd=repository.path, check=True)
        self._http = ThreadingHTTPServer(
            ("127.0.0.1", 0), partial(Handler, directory=str(repository.path.parent))
        )
        self.port = self._http.server_port

    def refresh(self, repository: Repository) -> None:
        subprocess.run(["git", "update-server-info"], cwd=repository.path, check=True)

    @contextmanager
    def running(self) -> Generator["GitServer"]:
        thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            self._http.shutdown()
            thread.join()
            self._http.server_close()


def register(slipway: Slipway, slug: str, clone_url: str) -> None:
    slipway.run("app", "create", "--repository", f"acme/{slug}", "--clone-url", clone_url, "--slug", slug)


def test_a_git_server_that_hangs_holds_up_nobody_else(place: Place, tmp_path: Path):
    slipway = place.slipway
    repository = Repository(tmp_path / "remote.git")
    sha = repository.commit({"index.html": "from afar"})
    with GitServer(repository).running() as server:
        place.github.add_repository("acme/remote", int.from_bytes(b"remote", "big"))
        register(slipway, "remote", f"http://127.0.0.1:{server.port}/remote.git")
        server.hanging.set()
        made = slipway.deployment_of(slipway.push("remote", sha), SECONDS)
        other = place.push()
        place.went_live(other, place.number)
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
    assert place.told(place.sha)[-1:] != ["success"]
    place.github.repair()
    place.went_live(made, place.number)
