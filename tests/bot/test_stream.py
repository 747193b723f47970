import json
import re
import socket
from collections.abc import Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from bot.api import stream
from bot.api.feeds import Feeds
from bot.api.refusals import RefusalError
from bot.domain.deployment import Phase, State
from bot.logs import DeploymentLog, Line, LogReader, stream_key
from bot.queue import connect
from tests.instance import Instance
from tests.serving import serving
from tests.valkey import Valkey
from tests.waiting import wait_until


class Site:
    """An instance whose stream is served, with one deployment that runs."""

    def __init__(self, instance: Instance, valkey: Valkey) -> None:
        self.instance = instance
        self.valkey = valkey
        self.redis = connect(valkey.url)
        settings = instance.settings
        logs = LogReader(settings.home, self.redis)
        self.feeds = Feeds(instance.engine, logs, settings.redis)
        instance.push(instance.app("shop"), "a" * 40)
        self.claim = instance.claim()
        self.log = DeploymentLog(settings.home, self.claim.deployment.id, self.redis)
        self.url = ""

    @asynccontextmanager
    async def lifespan(self, _app: Starlette):
        yield
        await self.feeds.close()

    def serve(self):
        def admit(request: Request) -> None:
            if request.headers.get("authorization") != "Bearer key":
                raise RefusalError(401, "unauthorized", "Send the key.")

        endpoint = stream.Stream(self.feeds, admit)
        path = "/api/v1/deployments/{deployment}/stream"
        return serving(Starlette(routes=[Route(path, endpoint)], lifespan=self.lifespan))

    @property
    def path(self) -> str:
        return f"{self.url}/api/v1/deployments/DEP-{self.claim.deployment.id}/stream"

    @contextmanager
    def watch(self, **headers: str) -> Generator[Iterator[dict[str, Any]]]:
        headers = {"authorization": "Bearer key", **headers}
        with httpx.stream("GET", self.path, headers=headers, timeout=10) as answer:
            assert answer.status_code == 200
            yield frames_of(answer.iter_lines())

    def write(self, *texts: str) -> None:
        self.log.output("build", "stdout", "".join(f"{text}\n" for text in texts).encode())

    def finish(self) -> None:
        self.instance.leases.finish(self.claim, State.SUCCEEDED, "live")
        self.log.close()


def frames_of(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    number = None
    for line in lines:
        if line.startswith("id: "):
            number = int(line[4:])
        if line.startswith("data: "):
            yield {"id": number, **json.loads(line[6:])}
            number = None


def numbers(frames: Iterator[dict[str, Any]], count: int | None = None) -> list[int]:
    """Numbers of the next lines; all that are left without a count."""
    found: list[int] = []
    while count is None or len(found) < count:
        frame = next(frames, None)
        if frame is None:
            break
        if frame["type"] == "log":
            assert frame["id"] == frame["n"]
            found.append(frame["n"])
    return found


@pytest.fixture
def valkey() -> Generator[Valkey]:
    with Valkey() as valkey:
        yield valkey


@pytest.fixture
def site(tmp_path: Path, valkey: Valkey) -> Generator[Site]:
    instance = Instance(tmp_path, valkey.url)
    site = Site(instance, valkey)
    with site.serve() as site.url:
        yield site
    site.log.close()
    instance.close()


def test_lines_come_live_and_the_last_word_comes_last(site: Site):
    site.write("one", "two")
    with site.watch() as frames:
        assert next(frames)["status"] == "running"
        assert numbers(frames, 2) == [1, 2]
        site.write("three")
        assert numbers(frames, 1) == [3]
        site.write("four")
        site.finish()
        rest = list(frames)
    assert [frame["text"] for frame in rest if frame["type"] == "log"] == ["four"]
    assert rest[-1]["type"] == "done"
    assert rest[-1]["status"] == "succeeded"


def test_changes_of_state_and_steps_are_told(site: Site):
    with site.watch() as frames:
        assert next(frames)["steps"] == []
        site.instance.leases.enter(site.claim, Phase.BUILD)
        told = next(frame for frame in frames if frame["type"] == "status")
        assert told["phase"] == "build"
        assert [step["name"] for step in told["steps"]] == ["build"]
        site.finish()
        assert [frame["status"] for frame in frames if frame["type"] != "log"] == ["succeeded", "succeeded"]


def test_who_comes_back_goes_on_after_the_last_line(site: Site):
    site.write(*map(str, range(10)))
    with site.watch(**{"last-event-id": "7"}) as frames:
        assert numbers(frames, 3) == [8, 9, 10]
    site.finish()
    with site.watch(**{"last-event-id": "9"}) as frames:
        assert numbers(frames) == [10]


def test_who_has_seen_more_than_is_known_here_gets_nothing_twice(site: Site):
    with site.watch(**{"last-event-id": "2"}) as frames:
        next(frames)
        site.write("one", "two", "three")
        assert numbers(frames, 1) == [3]
        site.finish()
        rest = list(frames)
    assert [frame["type"] for frame in rest] == ["status", "done"]


def test_a_finished_log_comes_from_the_archive_without_redis(site: Site):
    site.write(*map(str, range(3000)))
    site.finish()
    site.valkey.stop()
    with site.watch() as frames:
        found = list(frames)
    assert numbers(iter(found)) == list(range(1, 3001))
    assert found[-1]["type"] == "done"


def test_redis_may_go_and_come_back(site: Site):
    site.write("one")
    with site.watch() as frames:
        assert numbers(frames, 1) == [1]
        site.valkey.stop()
        site.write("two", "three")
        site.valkey.start()
        site.write("four")
        assert numbers(frames, 3) == [2, 3, 4]
        site.finish()
        assert numbers(frames) == []


def test_lines_that_are_nowhere_are_said_to_be_left_out(site: Site):
    line = Line(4, "2026-01-01T00:00:00.000Z", "build", "stdout", "four")
    site.redis.xadd(stream_key(site.claim.deployment.id), {"line": line.to_json()}, id="4-0")
    with site.watch() as frames:
        left_out, four = (next(frame for frame in frames if frame["type"] == "log") for _ in range(2))
        assert left_out["leftOut"] == 3
        assert left_out["id"] == 3
        assert four["text"] == "four"


def test_a_log_longer_than_what_is_shared_comes_whole(site: Site):
    count = 6000
    site.write(*map(str, range(count)))
    with site.watch() as frames:
        assert numbers(frames, count) == list(range(1, count + 1))
        site.finish()
        assert numbers(frames) == []


def test_one_reader_serves_all_and_ends_with_the_last_viewer(site: Site):
    with site.watch() as first, site.watch() as second:
        next(first)
        next(second)
        assert site.feeds.watched == 1
        site.write("one")
        assert numbers(first, 1) == numbers(second, 1) == [1]
    wait_until(lambda: site.feeds.watched == 0, what="nobody reads any more")


def test_a_place_to_go_on_that_is_no_number_is_refused(site: Site):
    answer = httpx.get(f"{site.path}?after=abc", headers={"authorization": "Bearer key"})
    assert answer.status_code == 400
    assert answer.json()["error"]["validationErrors"][0]["field"] == "after"


def test_strangers_and_unknown_deployments_are_refused(site: Site):
    assert httpx.get(site.path).json()["error"]["code"] == "unauthorized"
    unknown = f"{site.url}/api/v1/deployments/DEP-99/stream"
    answer = httpx.get(unknown, headers={"authorization": "Bearer key"})
    assert answer.status_code == 404
    assert answer.json()["success"] is False


def connected(site: Site) -> socket.socket:
    """A reader that has sent its request and takes what it is sent when the test says so."""
    host, port = site.url.removeprefix("http://").split(":")
    client = socket.socket()
    client.settimeout(10)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
    client.connect((host, int(port)))
    path = site.path.removeprefix(site.url)
    client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key\r\n\r\n".encode())
    return client


def test_who_reads_slowly_holds_up_nobody_and_gets_every_line(site: Site):
    # More than a connection's buffers hold.
    texts = [f"{n} {'x' * 12_000}" for n in range(1, 601)]
    with connected(site) as slow, site.watch() as frames:
        assert slow.recv(20).startswith(b"HTTP/1.1 200")
        for start in range(0, len(texts), 200):
            site.write(*texts[start : start + 200])
            assert numbers(frames, 200)[-1] == start + 200
        site.finish()
        assert numbers(frames) == []
        received = bytearray()
        while part := slow.recv(1 << 20):
            received += part
    assert received.endswith(b"0\r\n\r\n")
    found = [int(one) for one in re.findall(rb"\bid: (\d+)\n", unchunked(bytes(received)))]
    assert found == list(range(1, len(texts) + 1))


def unchunked(answer: bytes) -> bytes:
    parts: list[bytes] = []
    place = answer.index(b"\r\n\r\n") + 4
    while count := int(answer[place : (begin := answer.index(b"\r\n", place) + 2)], 16):
        place = begin + count + 2
        assert answer[begin + count : place] == b"\r\n"
        parts.append(answer[begin : begin + count])
    return b"".join(parts)


def test_who_leaves_is_forgotten_and_the_others_stay(site: Site):
    with site.watch() as frames:
        next(frames)
        for _ in range(3):
            with connected(site) as client:
                assert client.recv(20)
        site.write("one")
        assert numbers(frames, 1) == [1]
        assert site.feeds.watched == 1
    wait_until(lambda: site.feeds.watched == 0, what="nobody reads any more")


def test_asking_for_the_head_alone_ends(site: Site):
    answer = httpx.head(site.path, headers={"authorization": "Bearer key"}, timeout=5)
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert site.feeds.watched == 0


def test_an_ending_server_lets_its_viewers_go(tmp_path: Path, valkey: Valkey):
    instance = Instance(tmp_path, valkey.url)
    site = Site(instance, valkey)
    with site.serve() as site.url:
        client = connected(site)
        assert client.recv(20)
    with client:
        while client.recv(1 << 16):
            pass
    site.log.close()
    instance.close()
