"""What every test needs of the machine, and GitHub, faked over HTTP, for whoever speaks to it."""

import os
from collections.abc import Generator

import pytest

from tests import node
from tests.fakes.github import FakeGitHub

# Tests start many processes; without bytecode each would compile all of Slipway anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.environ["PATH"] = f"{node.programs()}{os.pathsep}{os.environ['PATH']}"


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
