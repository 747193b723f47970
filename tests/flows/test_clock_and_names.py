"""The machine's clock is set, and its name server hangs, while an instance works."""

import os
import socket
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bot.domain.deployment import State
from tests.fakes.repository import Repository
from tests.flows.surroundings import SECONDS, GitServer, Place, register, telling
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        sys.platform != "linux" or os.geteuid() != 0, reason="mounts, limits of others: root on Linux"
    ),
]

HOUR = 3600
libfaketime = pytest.importorskip("libfaketime")
LIBRARY = Path(libfaketime.__file__).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"


class Clock:
    """The wall clock of every process of an instance, Valkey included; its steady clock goes on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.set(0)
        self.options = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            # The kernel sets times of files by the real clock: they are what a jump leaves behind.
            "NO_FAKE_STAT": "1",
        }

    def set(self, seconds: int) -> None:
        """Let it be ahead of the real one by so many seconds."""
        draft = self._file.with_suffix(".new")
        draft.write_text(f"{seconds:+d}\n")
        draft.replace(self._file)


def test_no_jump_of_the_clock_loses_or_doubles_work(tmp_path: Path):
    clock = Clock(tmp_path / "clock")
    with telling() as (github, options):
        slipway = Slipway(tmp_path / "home", {**options, **clock.options}).up()
        try:
            place = Place(slipway, github, Repository(tmp_path / "shop"), tmp_path)
            for jump in (HOUR, -600, HOUR, 0):
                made = place.push(seconds=3)
                wait_until(lambda one=made: slipway.deployment(one).phase == "build", SECONDS, "the build")
                clock.set(jump)
                assert place.went_live(made, place.number).attempt == 1
                shown = place.doctor()
                ahead = {HOUR: "s ahead of GitHub's", -600: "s behind GitHub's", 0: "agrees with GitHub's"}
                assert ahead[jump] in shown, shown
            # The last word is the last one's, by order and not by the clock's.
            before = place.number - 1
            rolled = slipway.rollback(place.app)
            assert rolled.state is State.SUCCEEDED
            assert place.shows(before)
            github.assert_nothing_unexpected()
        finally:
            slipway.down()


class NameServer:
    """Hears every question; answers none while it hangs, and each with this machine's address otherwise."""

    def __init__(self) -> None:
        self.hanging = threading.Event()
        self.asked = 0
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.53", 53))
        self._socket.settimeout(0.1)
        self._ended = threading.Event()

    @contextmanager
    def running(self) -> Generator["NameServer"]:
        thread = threading.Thread(target=self._run)
        thread.start()
        try:
            yield self
        finally:
            self._ended.set()
            thread.join()
            self._socket.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                question, client = self._socket.recvfrom(4096)
            except TimeoutError:
                continue
            self.asked += 1
            if not self.hanging.is_set():
                self._socket.sendto(self._answer(question), client)

    def _answer(self, asked: bytes) -> bytes:
        """The answer to a question of one name (RFC 1035, 4.1): an A record, or nothing for other types."""
        end = asked.index(b"\0", 12) + 5
        is_a = asked[end - 4 : end - 2] == b"\0\1"
        head = asked[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + b"\0\0\0\0"
        record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton("127.0.0.1")
        return head + asked[12:end] + (record if is_a else b"")


IN_ITS_VIEW = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


def test_work_waits_for_a_name_server(tmp_path: Path):
    configuration = tmp_path / "resolv.conf"
    configuration.write_text("nameserver 127.0.0.53\n")
    view = ["unshare", "--mount", "--propagation", "private", "sh", "-c", IN_ITS_VIEW, str(configuration)]
    repository = Repository(tmp_path / "remote.git")
    sha = repository.commit({"index.html": "from afar"})
    with (
        telling() as (github, options),
        NameServer().running() as names,
        GitServer(repository).running() as server,
    ):
        slipway = Slipway(tmp_path / "home", options, wrapper=view).up()
        try:
            github.add_repository("acme/remote", int.from_bytes(b"remote", "big"))
            place = Place(slipway, github, Repository(tmp_path / "shop"), tmp_path)
            register(slipway, "remote", f"http://git.example.test:{server.port}/remote.git")
            names.hanging.set()
            made = slipway.deployment_of(slipway.push("remote", sha), SECONDS)
            assert slipway.ended(place.push(), SECONDS).state is State.SUCCEEDED
            place.waits_for(made.id, "does not answer: Could not resolve host: git.example.test")
            assert names.asked > 0
            names.hanging.clear()
            assert slipway.ended(made.id, 2 * SECONDS).state is State.SUCCEEDED
            assert place.is_well()
        finally:
            slipway.down()
