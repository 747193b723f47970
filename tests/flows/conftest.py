from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from tests.fakes.repository import Repository
from tests.running import Slipway

MakeRepository = Callable[[str], Repository]


@pytest.fixture(scope="session")
def slipway(tmp_path_factory: pytest.TempPathFactory) -> Generator[Slipway]:
    instance = Slipway(tmp_path_factory.mktemp("instance") / "home").up()
    yield instance
    instance.down()


@pytest.fixture
def make_repository(tmp_path: Path) -> MakeRepository:
    return lambda name: Repository(tmp_path / name)
