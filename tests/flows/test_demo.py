"""The demo, when it is not left as it asks to be."""

import signal
import subprocess
from pathlib import Path

import httpx
import psutil
import pytest

from tests.command import CLI
from tests.running import Slipway, alive
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_demo_that_is_killed_takes_all_of_slipway_with_it(tmp_path: Path, number: signal.Signals):
    demo = Slipway(tmp_path / "home")
    process = subprocess.Popen(
        [*CLI, "demo", "--pr"], env=demo.environment, stdout=subprocess.DEVNULL, start_new_session=True
    )
    wait_until(lambda: _answers(demo), what="the demo's web process answers", seconds=60)
    started = psutil.Process(process.pid).children(recursive=True)
    assert len(started) > 5
    process.send_signal(number)
    process.wait(10)
    wait_until(lambda: not alive(started), what="nothing of the demo runs", seconds=20)


def _answers(demo: Slipway) -> bool:
    try:
        return httpx.get(f"{demo.settings.web_url}/ready", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False
