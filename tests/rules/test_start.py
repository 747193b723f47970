"""The web process starts without what it seldom needs."""

import subprocess
import sys

import pytest

HEAVY = ("alembic", "githubkit", "httpx", "jwt", "cryptography.fernet", "rich", "git", "apprise", "jobs")


@pytest.fixture(scope="module")
def loaded() -> set[str]:
    program = "import sys, bot.app, bot.web; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize("name", HEAVY)
def test_the_web_process_starts_without(loaded: set[str], name: str) -> None:
    assert "bot.api.dispatch" in loaded
    assert name not in loaded
