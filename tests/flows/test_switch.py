import re
import threading
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from bot.domain.deployment import State
from tests.fakes.repository import Files
from tests.flows.conftest import MakeRepository
from tests.running import Slipway

PAGES = 6
SWITCHES = 50


def page(release: int, number: int) -> str:
    return f"<!doctype html><title>release-{release}</title><h1>page {number} of release-{release}</h1>"


def pages(release: int) -> Files:
    return {"index.html": "start", **{f"page{number}.html": page(release, number) for number in range(PAGES)}}


@pytest.fixture
def slipway(tmp_path: Path) -> Generator[Slipway]:
    instance = Slipway(tmp_path / "home", {"SLIPWAY_KEEP_RELEASES": str(SWITCHES + 2)}).up()
    yield instance
    instance.down()


@dataclass
class Visitor:
    """Asks for every page without pause, over one connection and over new ones."""

    slipway: Slipway
    hostname: str
    answers: int = 0
    wrong: list[str] = field(default_factory=list[str])
    releases: dict[str, set[str]] = field(default_factory=dict[str, set[str]])
    tagged: dict[tuple[str, str], set[str]] = field(default_factory=dict[tuple[str, str], set[str]])
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        with self.slipway.visitor(self.hostname) as client:
            while not self.ended.is_set():
                for number in range(PAGES):
                    self.look(client, f"/page{number}.html")

    def look(self, client: httpx.Client, path: str) -> None:
        try:
            answer = client.get(path)
        except httpx.HTTPError as error:
            self.wrong.append(repr(error))
            return
        self.answers += 1
        found = set(re.findall(r"release-(\d+)", answer.text))
        if answer.status_code != 200 or len(found) != 1:
            self.wrong.append(f"{path}: {answer.status_code} {found}")
        # Most answers name their release, and those by a site's link do not; each names its content.
        if release := answer.headers.get("X-Slipway-Release"):
            self.releases.setdefault(release, set()).update(found)
        self.tagged.setdefault((path, answer.headers["ETag"]), set()).update(found)


@pytest.mark.slow
def test_a_visitor_sees_only_whole_releases_during_50_deploys_and_50_rollbacks(
    slipway: Slipway, make_repository: MakeRepository
):
    repository = make_repository("busy")
    before = repository.commit(pages(0), "Release 0")
    app = slipway.create_app(repository, "busy")
    assert slipway.deploy("busy", before).state is State.SUCCEEDED
    visitor = Visitor(slipway, slipway.hostname(app))
    thread = threading.Thread(target=visitor.run)
    thread.start()
    try:
        for release in range(1, SWITCHES + 1):
            after = repository.commit(
                {f"page{n}.html": page(release, n) for n in range(PAGES)}, f"Release {release}"
            )
            assert slipway.deploy("busy", after, before=before).state is State.SUCCEEDED
            before = after
        assert "succeeded" in slipway.run("rollback", "busy")
        for _ in range(SWITCHES - 1):
            assert slipway.rollback(app).state is State.SUCCEEDED
    finally:
        visitor.ended.set()
        thread.join()
    assert visitor.wrong == []
    assert visitor.answers > 100
    # No release or tag was answered with another one's body, and the last rollback is what is live.
    assert all(len(found) == 1 for found in [*visitor.releases.values(), *visitor.tagged.values()])
    assert "release-0" in slipway.get(slipway.hostname(app), "/page0.html").text
    late = repository.commit({"page0.html": page(99, 0)}, "Release 99")
    held = slipway.deployment_of(slipway.push("busy", late, before=before))
    assert held.state is State.HELD
    slipway.run("resume", "busy")
    assert slipway.ended(held.id).state is State.SUCCEEDED
    assert "release-99" in slipway.get(slipway.hostname(app), "/page0.html").text
