"""A backup, made and restored by the very lines of the operations guide."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.flows.conftest import MakeRepository
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = pytest.mark.slow
GUIDE = Path(__file__).resolve().parents[2] / "docs" / "operations.md"


def test_a_backup_that_was_made_while_slipway_ran_is_restored_into_an_empty_home(
    slipway: Slipway, make_repository: MakeRepository, tmp_path: Path
):
    repository = make_repository("kept")
    first = repository.commit({"index.html": "<h1>one</h1>"}, "First")
    app = slipway.create_app(repository, "kept")
    made = slipway.deploy("kept", first)
    slipway.run("variables", "set", "GREETING=hello", "--app", "kept")
    backup = tmp_path / "backup"
    backup.mkdir()
    lines = re.findall(r"## State, and backups.*?```\n(.*?)```", GUIDE.read_text(), re.DOTALL)[0]
    lines = lines.replace(".slipway/", f"{slipway.home}/").replace("/backup", str(backup))
    subprocess.run(["sh", "-ec", lines], check=True)
    restored = Slipway(backup).up()
    try:
        hostname = restored.hostname(app)
        wait_until(lambda: restored.get(hostname).status_code == 200, what="the site is laid out", seconds=30)
        answer = restored.get(hostname)
        assert answer.text == "<h1>one</h1>"
        assert restored.release_at(hostname) == str(made.release_id)
        assert restored.log_of(made.id) == slipway.log_of(made.id)
        assert restored.run("variables", "reveal", "GREETING", "--app", "kept").strip().endswith("hello")
        second = repository.commit({"index.html": "<h1>two</h1>"}, "Second")
        restored.deploy("kept", second, before=first)
        assert restored.get(hostname).text == "<h1>two</h1>"
    finally:
        restored.down()
