import os
import signal
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.jobs.edge_harness import free_port
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def spawn(home: Path, port: int, **extra: str) -> subprocess.Popen[bytes]:
    variables = {"SLIPWAY_HOME": str(home), "SLIPWAY_EDGE_ADDRESS": f"127.0.0.1:{port}", **extra}
    return subprocess.Popen(
        [sys.executable, "-m", "jobs.edge"], env={**os.environ, **variables}, stderr=subprocess.PIPE
    )


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            return connection.recv(12) == b"HTTP/1.1 404"
    except OSError:
        return False


def is_free(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return True
    return False


@contextmanager
def edge_process(home: Path) -> Generator[tuple[subprocess.Popen[bytes], int, psutil.Process]]:
    port = free_port()
    process = spawn(home, port)
    try:
        wait_until(lambda: answers(port), what="the edge")
        (caddy,) = psutil.Process(process.pid).children()
        yield process, port, caddy
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_within_two_seconds_and_leaves_nothing(tmp_path: Path, number: signal.Signals):
    with edge_process(tmp_path) as (process, port, caddy):
        process.send_signal(number)
        _, said = process.communicate(timeout=2)
        assert process.returncode == 0
        assert b'"error"' not in said
        assert not caddy.is_running()
        assert is_free(port)
        assert sorted(path.name for path in (tmp_path / "run").iterdir()) == ["Caddyfile"]


def test_caddy_dies_with_its_parent(tmp_path: Path):
    with edge_process(tmp_path) as (process, port, _):
        process.kill()
        wait_until(lambda: is_free(port), seconds=2, what="the port to be free")


def test_caddy_is_started_again(tmp_path: Path):
    with edge_process(tmp_path) as (_, port, caddy):
        caddy.kill()
        wait_until(lambda: not caddy.is_running() and answers(port), what="another Caddy")


def test_a_port_in_use_is_one_sentence(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = spawn(tmp_path, taken.getsockname()[1])
        _, said = process.communicate(timeout=10)
    assert process.returncode == 2
    assert said.decode().startswith("Slipway can't start: the edge can't listen on 127.0.0.1:")
    assert b"Traceback" not in said
    assert not (tmp_path / "run" / "rules.sock").exists()


def test_senseless_settings_are_one_sentence(tmp_path: Path):
    process = spawn(tmp_path, free_port(), SLIPWAY_EDGE_TLS="files")
    _, said = process.communicate(timeout=10)
    assert (process.returncode, b"Traceback" in said) == (2, False)
    assert b"SLIPWAY_EDGE_TLS_CERTIFICATE" in said


def test_a_folder_that_can_not_be_pruned_ends_nothing(tmp_path: Path):
    hosts, older = (tmp_path / "edge" / name for name in ("hosts", "older"))
    (hosts / "shop.localhost").mkdir(parents=True)
    (hosts / "shop.localhost" / "9999999998.1.-").touch()
    older.mkdir()
    # It should be a folder.
    (older / "shop.localhost").touch()
    with edge_process(tmp_path) as (process, port, caddy):
        assert process.stderr is not None
        said = b""
        while b"not_pruned" not in said:
            said = process.stderr.readline()
            assert said, "the edge ended"
        assert process.poll() is None
        assert caddy.is_running()
        assert answers(port)
