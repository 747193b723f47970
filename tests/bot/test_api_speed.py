"""What makes the API quick says the same as what is slow: addresses, frames, lists."""

import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.api.app_views import AppView
from bot.api.deployment_views import DeploymentView, LineView, LogView
from bot.api.envelope import Model
from bot.api.lean import lean
from bot.api.ring import Ring
from bot.api.routes import OPERATIONS, addresses
from bot.api.tree import Tree
from bot.logs.line import Line
from bot.store.pages import DeploymentFilter, Slice, deployments_page
from tests.bot.test_stream import unchunked
from tests.instance import Instance

PATHS = sorted({address.path for operation in OPERATIONS for address in addresses(operation)})
WORDS = sorted({word for path in PATHS for word in path.split("/")} | {"shop", "12", ""})


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8).map(lambda words: "/" + "/".join(words)))
def test_a_tree_finds_what_expressions_find(address: str):
    found = [path for path in PATHS if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), address)]
    here = TREE.find(address.split("/"))
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
