"""What makes the API quick says the same as what is slow: addresses, windows of rates, frames, lists."""

import re
from collections.abc import Generator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from bot.api.app_views import AppView
from bot.api.deployment_views import DeploymentView, LineView, LogView
from bot.api.envelope import Model
from bot.api.lean import lean
from bot.api.ring import Ring
from bot.api.routes import OPERATIONS, addresses
from bot.api.tree import Tree
from bot.api.window import OwnWindows, SharedWindows, Window, Windows
from bot.logs.line import Line
from bot.store.pages import DeploymentFilter, Slice, deployments_page
from tests.bot.test_stream import unchunked
from tests.instance import Instance
from tests.valkey import Valkey
from tests.waiting import wait_until

PATHS = sorted({address.path for operation in OPERATIONS for address in addresses(operation)})
WORDS = sorted({word for path in PATHS for word in path.split("/")} | {"shop", "12", ""})


@pytest.fixture(scope="module")
def redis() -> Generator[Redis]:
    with Valkey() as valkey:
        yield Redis.from_url(valkey.url)


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(lambda words: "/" + "/".join(words)))
def test_a_tree_finds_what_expressions_find(address: str):
    found = [path for path in PATHS if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), address)]
    here = TREE.find(address)
    assert (here is not None) == bool(found)
    if here is not None:
        path, parts = here
        assert path in found
        assert path.count("{") == min(one.count("{") for one in found)
        assert path.format(**parts) == address


TREE = Tree({path: path for path in PATHS})


@pytest.mark.parametrize("model", [AppView, DeploymentView, LogView])
def test_lean_answers_are_named_like_their_models(model: type[Model]):
    made = lean(model)(**dict.fromkeys(model.model_fields))
    model.model_rebuild()
    assert list(msgspec.json.decode(msgspec.json.encode(made))) == [
        one.alias for one in model.model_fields.values()
    ]


def test_lines_are_sent_as_the_model_says():
    line = Line(1, "2026-01-31T12:00:00.000Z", "build", "stdout", "made")
    assert LineView.model_validate_json(line.to_json()).text == "made"


def _windows(kind: str, redis: Redis) -> Windows:
    redis.flushall()
    return SharedWindows(redis, 60, "rates") if kind == "shared" else OwnWindows(60, lambda: 1000.0)


@pytest.mark.parametrize("kind", ["shared", "own"])
def test_windows_count_together_and_what_is_refused_is_not_counted(redis: Redis, kind: str):
    windows = _windows(kind, redis)
    first, second, both = Window("a", 3), Window("b", 2), Window("all", 4)
    assert [windows.take([first, both]).left for _ in range(3)] == [2, 1, 0]
    refused = [windows.take([first, both]) for _ in range(5)]
    assert {one.full for one in refused} == {0}
    assert 0 < refused[0].more <= 60
    assert windows.take([second, both]).full is None
    assert windows.take([second, both]).full == 1


def test_what_the_window_before_had_counts_by_what_is_left_of_it():
    moments = iter([0.0] * 8 + [75.0] * 3 + [150.0, 400.0])
    windows = OwnWindows(60, lambda: next(moments))
    window = [Window("a", 8)]
    assert [windows.take(window).left for _ in range(8)][-1] == 0
    # A quarter of the next has passed: three quarters of eight count yet.
    assert [windows.take(window).full for _ in range(3)] == [None, None, 0]
    assert windows.take(window).left == 6
    assert windows.take(window).left == 7


def test_shared_windows_pass_on(redis: Redis):
    redis.flushall()
    windows = SharedWindows(redis, 1, "rates")
    window = [Window("a", 1)]
    assert windows.take(window).full is None
    assert windows.take(window).full == 0
    wait_until(lambda: windows.take(window).full is None, what="the window passes")


FRAME = st.tuples(st.booleans(), st.integers(1, 40))


@given(st.lists(st.lists(FRAME, max_size=30), max_size=12), st.integers(1, 5))
def test_whoever_reads_whenever_gets_every_frame_once(
    batches: Sequence[Sequence[tuple[bool, int]]], pace: int
):
    ring, said, heard = Ring(), bytearray(), bytearray()
    position = number = 0
    for round_, batch in enumerate(batches):
        for is_line, size in batch:
            number += is_line
            frame = (b"id: %d\n" % number if is_line else b"data: ") + b"x" * size + b"\n\n"
            ring.append(frame, number if is_line else None)
            said += frame
        while round_ % pace == 0 and (chunk := ring.take(position)) is not None:
            position = chunk.position
            heard += unchunked(b"\r\n\r\n" + chunk.data + b"0\r\n\r\n")
    while (chunk := ring.take(position)) is not None:
        position = chunk.position
        heard += unchunked(b"\r\n\r\n" + chunk.data + b"0\r\n\r\n")
    assert heard == said


def test_a_count_is_known_again_until_something_happens(tmp_path: Path):
    instance = Instance(tmp_path)
    app = instance.app("shop")
    part = Slice(0, 1, "-createdAt")
    for number in range(3):
        instance.push(app, f"{number}" * 40)
        with instance.engine.connect() as tx, tx.begin():
            for _ in range(2):
                found = deployments_page(tx, DeploymentFilter(app_id=app.id), part)
                assert (len(found.rows), found.total) == (1, number + 1)
            queued = deployments_page(tx, DeploymentFilter(search="A CHANGE", app_id=app.id), part)
            assert queued.total == number + 1
            assert deployments_page(tx, DeploymentFilter(search="100%", app_id=app.id), part).total == 0
    instance.close()
