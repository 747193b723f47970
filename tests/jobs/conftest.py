"""What tests of announcing stand on."""

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest

from bot.store.engine import open_engine
from tests.fakes.github import FakeGitHub
from tests.jobs.announcer import House
from tests.stores import migrate


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("store") / "empty.db"
    engine = open_engine(f"sqlite:///{path}")
    migrate(engine)
    engine.dispose()
    return path


@pytest.fixture
def house(fake: FakeGitHub, empty_store: Path, tmp_path: Path) -> Generator[House]:
    shutil.copy(empty_store, tmp_path / "store.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'store.db'}")
    house = House(engine, fake, tmp_path)
    yield house
    house.close()
