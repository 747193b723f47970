import os
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.command import CLI
from tests.running import Slipway, alive
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def refused(slipway: Slipway) -> str:
    """Start in vain: one clear text, exit code 2, nothing printed as ready."""
    done = subprocess.run([*CLI, "up"], env=slipway.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    return done.stderr


@pytest.mark.parametrize("setting", ["WEB_ADDRESS", "EDGE_ADDRESS"])
def test_a_port_in_use_is_said_and_nothing_is_started(tmp_path: Path, setting: str):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        slipway = Slipway(tmp_path / "home", {f"SLIPWAY_{setting}": address})
        said = refused(slipway)
    assert address in said
    assert f"SLIPWAY_{setting}" in said
    assert not (slipway.home / "slipway.db").exists()


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("in the way")
    assert str(tmp_path / "file" / "home") in refused(Slipway(tmp_path / "file" / "home"))


def test_a_missing_git_is_said(tmp_path: Path):
    slipway = Slipway(tmp_path / "home")
    slipway.environment["PATH"] = str(tmp_path)
    assert "git" in refused(slipway)


def test_a_setting_that_is_wrong_is_named(tmp_path: Path):
    slipway = Slipway(tmp_path / "home")
    slipway.environment["SLIPWAY_WEB_ADDRESS"] = "nonsense"
    said = refused(slipway)
    assert "SLIPWAY_WEB_ADDRESS" in said
    assert "nonsense" in said


def test_a_second_start_in_the_same_home_is_refused_and_ctrl_c_leaves_nothing(tmp_path: Path):
    slipway = Slipway(tmp_path / "home").up()
    assert str(slipway.home) in refused(Slipway(tmp_path / "home"))
    assert "error" not in slipway.run("doctor")
    tree = slipway.processes()
    assert len(tree) > 5
    began = time.monotonic()
    assert slipway.down() == 0
    assert time.monotonic() - began < 5
    assert alive(tree) == []
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", slipway.settings.edge_port))


def test_a_killed_parent_leaves_no_orphans(tmp_path: Path):
    slipway = Slipway(tmp_path / "home").up()
    tree = slipway.processes()
    assert slipway.process is not None
    os.kill(slipway.process.pid, 9)
    slipway.process.wait()
    assert slipway.process.stdout is not None
    slipway.process.stdout.close()
    wait_until(lambda: not alive(tree), 10, "every process to end")
