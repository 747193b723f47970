import gzip
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import RedisError

from bot.domain.ids import DeploymentId
from bot.logs import DeploymentLog, Line, LogReader, archive_abandoned, stream_key
from bot.logs.line import MAX_TEXT, Splitter, clean
from bot.queue import connect
from tests.valkey import Valkey
from tests.waiting import wait_until

ID = DeploymentId(7)


@pytest.fixture
def valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


def open_log(home: Path, valkey: Valkey, *secrets: str, max_bytes: int = 1 << 20) -> DeploymentLog:
    return DeploymentLog(home, ID, connect(valkey.url), secrets, max_bytes=max_bytes)


def texts(lines: list[Line]) -> list[str]:
    return [line.text for line in lines]


def test_lines_are_numbered_redacted_live_and_archived(tmp_path: Path, valkey: Valkey):
    log = open_log(tmp_path, valkey, "hunter2!")
    reader = LogReader(tmp_path, connect(valkey.url))
    log.say("checkout", "fetching")
    log.output("build", "stdout", b"password hun")
    log.output("build", "stderr", b"oh\r\n")
    log.output("build", "stdout", b"ter2! in\r 10%\r 90%\ndone\x1b[1m hun\x1b[0mter2!\n")
    log.output("build", "stdout", b"no end")
    client = connect(valkey.url)
    entry: Any = wait_until(lambda: client.xrange(stream_key(ID), min="4-0"), what="live lines")
    assert Line.from_json(entry[0][1][b"line"]).text == "done [REDACTED]"
    assert 86_000 < connect(valkey.url).ttl(stream_key(ID)) <= 86_400
    log.close()
    lines = list(reader.lines(ID))
    assert texts(lines) == ["fetching", "oh", " 90%", "done [REDACTED]", "no end"]
    assert [(line.n, line.stream) for line in lines][:3] == [(1, "slipway"), (2, "stderr"), (3, "stdout")]
    assert reader.page(ID, 3, 1) == lines[3:4]
    assert not list((tmp_path / "logs" / "spool").iterdir())
    assert connect(valkey.url).xrevrange(stream_key(ID), count=1) == [(b"5-1", {b"done": b'{"n":5}'})]
    assert 500 < connect(valkey.url).ttl(stream_key(ID)) <= 600


def test_a_question_without_an_end_is_shown_but_never_a_part_of_a_secret(tmp_path: Path, valkey: Valkey):
    with open_log(tmp_path, valkey, "hunter2!") as log:
        reader = LogReader(tmp_path, connect(valkey.url))
        log.output("build", "stdout", b"Password: hunte")
        wait_until(lambda: texts(list(reader.lines(ID))) == ["Password: "])
        log.output("build", "stdout", b"r2!\n")
        wait_until(lambda: texts(list(reader.lines(ID))) == ["Password: ", "[REDACTED]"])


def test_a_secret_that_is_made_later_is_hidden_too(tmp_path: Path, valkey: Valkey):
    with open_log(tmp_path, valkey, "hunter2!") as log:
        log.output("build", "stdout", b"a hunt")
        log.hide("ghs_token")
        log.output("build", "stdout", b"er2! ghs_token\n")
    assert texts(list(LogReader(tmp_path, connect(valkey.url)).lines(ID))) == ["a [REDACTED] [REDACTED]"]


def test_another_attempt_goes_on_in_the_same_log(tmp_path: Path, valkey: Valkey):
    reader = LogReader(tmp_path, connect(valkey.url))
    for number, final in enumerate([True, False, True]):
        log = open_log(tmp_path, valkey)
        log.say("build", f"attempt {number}")
        log.close(final=final)
        assert reader.is_complete(ID) is final
    assert [(line.n, line.text) for line in reader.follow(ID)] == [
        (1, "attempt 0"),
        (2, "attempt 1"),
        (3, "attempt 2"),
    ]


def test_followers_see_each_line_once_although_valkey_is_killed(tmp_path: Path, valkey: Valkey):
    log = open_log(tmp_path / "there", valkey)
    here, near = (
        LogReader(tmp_path / "elsewhere", connect(valkey.url)),
        LogReader(tmp_path / "there", connect(valkey.url)),
    )
    seen: dict[str, list[int]] = {"here": [], "near": []}

    def follow(name: str, reader: LogReader) -> None:
        seen[name].extend(line.n for line in reader.follow(ID))

    followers = [threading.Thread(target=follow, args=pair) for pair in (("here", here), ("near", near))]
    for follower in followers:
        follower.start()
    for number in range(3000):
        if number == 1000:
            valkey.kill()
        if number == 2000:
            valkey.start()
        log.say("build", f"line {number}")
    log.close()
    for follower in followers:
        follower.join(15)
    assert seen == {"here": list(range(1, 3001)), "near": list(range(1, 3001))}


def test_a_restart_without_memory_gets_every_line_again(tmp_path: Path, valkey: Valkey):
    client = connect(valkey.url)
    log = open_log(tmp_path, valkey)
    log.say("build", "first")
    wait_until(lambda: client.exists(stream_key(ID)))
    valkey.kill()
    for path in valkey.folder.glob("appendonlydir/*"):
        path.unlink()
    log.say("build", "second")
    valkey.start()
    wait_until(lambda: client.xlen(stream_key(ID)) == 2, what="both lines")
    log.close()


def test_without_redis_nothing_is_lost_and_nothing_waits_long(tmp_path: Path, valkey: Valkey):
    valkey.freeze()
    log = DeploymentLog(tmp_path, ID, connect(valkey.url, seconds=0.3, retries=0))
    for number in range(500):
        log.say("build", str(number))
    assert len(list(LogReader(tmp_path, connect("unix:///nowhere")).lines(ID))) == 500
    log.close()
    valkey.thaw()
    assert LogReader(tmp_path, connect(valkey.url)).is_complete(ID)


def test_without_redis_a_reader_gives_what_is_here_and_says_when_that_is_nothing(
    tmp_path: Path, valkey: Valkey
):
    reader = LogReader(tmp_path, connect("unix:///nowhere"))
    with pytest.raises(RedisError):
        list(reader.lines(ID))
    with pytest.raises(RedisError):
        reader.tail(ID, 5)
    with open_log(tmp_path, valkey) as log:
        log.say("build", "here")
        assert texts(reader.page(ID, 0, 5)) == texts(reader.tail(ID, 5)) == ["here"]


def test_the_middle_of_a_long_log_is_cut_and_said(tmp_path: Path, valkey: Valkey):
    log = open_log(tmp_path, valkey, max_bytes=64 * 1024)
    for number in range(1, 3001):
        log.output("build", "stdout", f"line {number}\n".encode())
    spool = tmp_path / "logs" / "spool"
    assert sum(path.stat().st_size for path in spool.iterdir()) <= 64 * 1024
    log.close()
    lines = LogReader(tmp_path, connect(valkey.url)).page(ID, 0, 10_000)
    numbers = [line.n for line in lines]
    assert numbers == sorted(set(numbers))
    assert (numbers[0], numbers[-1]) == (1, 3000)
    (cut,) = [line for line in lines if line.stream == "slipway"]
    place = lines.index(cut)
    missing = lines[place + 1].n - lines[place - 1].n - 1
    assert cut.text == f"{missing:,} lines were cut here, from the middle of a long log"
    with gzip.open(tmp_path / "logs" / f"{ID}.jsonl.gz") as file:
        assert 56 * 1024 < len(file.read()) < 65 * 1024


def test_many_threads_write_whole_lines_with_numbers_of_their_own(tmp_path: Path, valkey: Valkey):
    log = open_log(tmp_path, valkey)
    threads = [
        threading.Thread(target=lambda: [log.say("s", "x" * 99) for _ in range(100)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    lines = list(LogReader(tmp_path, connect(valkey.url)).lines(ID))
    assert [line.n for line in lines] == list(range(1, 801))


def test_an_abandoned_log_is_archived_but_one_that_is_written_is_left(tmp_path: Path, valkey: Valkey):
    program = (
        "import sys, os; from pathlib import Path\n"
        "from bot.logs import DeploymentLog; from bot.queue import connect\n"
        f"log = DeploymentLog(Path(sys.argv[1]), {ID}, connect(sys.argv[2]))\n"
        "log.say('build', 'last words'); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path), valkey.url], check=False, timeout=20)
    with (tmp_path / "logs" / "spool" / f"{ID}.jsonl").open("ab") as file:
        file.write(b'{"n": 2, "at": "cut of')
    client = connect(valkey.url)
    with DeploymentLog(tmp_path, DeploymentId(8), client) as alive:
        alive.say("build", "still here")
        assert archive_abandoned(tmp_path, lambda one: one == DeploymentId(9)) == []
        client.delete(stream_key(ID))
        assert archive_abandoned(tmp_path, lambda _: True, client) == [ID]
    # The mark of the end makes the stream anew when it had lapsed: it must lapse again.
    assert 0 < client.ttl(stream_key(ID)) <= 600
    reader = LogReader(tmp_path, client)
    assert texts(list(reader.follow(ID))) == ["last words"]
    assert texts(list(reader.lines(DeploymentId(8)))) == ["still here"]


def test_follow_of_a_log_that_nobody_has_ends_when_the_caller_knows(tmp_path: Path, valkey: Valkey):
    reader = LogReader(tmp_path, connect(valkey.url))
    assert list(reader.follow(ID, ended=lambda: True)) == []


def test_a_full_disk_does_not_fail_the_work(tmp_path: Path, valkey: Valkey):
    program = (
        "import sys, resource, signal; from pathlib import Path; from bot.logs import DeploymentLog\n"
        "from bot.queue import connect\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        f"log = DeploymentLog(Path(sys.argv[1]), {ID}, connect(sys.argv[2]))\n"
        "[log.say('build', 'x' * 99) for _ in range(100)]; log.close(); print('went on')"
    )
    command = [sys.executable, "-c", program, str(tmp_path), valkey.url]
    done = subprocess.run(command, check=True, timeout=20, capture_output=True, text=True)
    assert "went on" in done.stdout


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain\twords", "plain\twords"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07text \x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "text link"),
        ("10%\r20%\r30%", "30%"),
        ("dos\r", "dos"),
        ("a\x00\x08\x7fb\u202ec", "abc"),
        ("\x1b", ""),
        ("Übung — ✓", "Übung — ✓"),
    ],
)
def test_what_a_line_shows(raw: str, shown: str):
    assert clean(raw) == shown


def test_a_long_line_is_cut_and_said_and_an_endless_one_fills_no_memory():
    splitter = Splitter()
    for _ in range(200):
        assert splitter.feed(b"x" * 10_000) == []
    (line,) = splitter.feed(b"\n")
    assert line == "x" * MAX_TEXT + f" [{2_000_000 - MAX_TEXT:,} more characters were cut]"


@given(
    st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), max_size=50), st.integers(1, 5)
)
def test_chunks_of_bytes_make_no_difference_to_lines(text: str, size: int):
    raw = f"{text}\n{text}\n".encode()
    splitter = Splitter()
    lines = [line for at in range(0, len(raw), size) for line in splitter.feed(raw[at : at + size])]
    assert lines == [text, text]


@given(st.text(max_size=80))
def test_a_line_never_has_control_characters(text: str):
    assert not [letter for letter in clean(text) if ord(letter) < 32 and letter != "\t"]
    assert os.linesep not in clean(text)
