"""The client of the API against a server of its own, which breaks as real ones do."""

import json
import os
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.cli.client.client import Client, at
from bot.cli.client.place import Place
from bot.cli.client.stream import events
from bot.errors import ErrorCode, SlipwayError
from tests import command
from tests.calling import api_site
from tests.valkey import Valkey


@dataclass
class Script:
    """What the server answers in turn: a status and a body, or None for a connection that breaks."""

    answers: list[tuple[int, bytes] | None]
    asked: list[tuple[str, str, dict[str, str]]] = field(
        default_factory=list[tuple[str, str, dict[str, str]]]
    )


@contextmanager
def serving(*answers: tuple[int, bytes] | None) -> Generator[tuple[Client, Script]]:
    script = Script(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            script.asked.append((self.command, self.path, dict(self.headers.items())))
            answer = script.answers.pop(0)
            if answer is None:
                return
            status, body = answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815 as http.server calls it

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with Client(Place(f"http://127.0.0.1:{server.server_port}", "slp_token")) as client:
            yield client, script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ok(data: Any, **meta: Any) -> tuple[int, bytes]:
    return 200, json.dumps({"success": True, "data": data, "meta": meta}).encode()


def no(status: int, code: str, message: str, **more: Any) -> tuple[int, bytes]:
    error = {"code": code, "message": message, **more}
    return status, json.dumps({"success": False, "error": error, "meta": {}}).encode()


def sse(*frames: dict[str, Any], cut: bytes = b"") -> tuple[int, bytes]:
    body = b"".join(b": still here\n\ndata: " + json.dumps(one).encode() + b"\n\n" for one in frames)
    return 200, b"retry: 1000\n\n" + body + cut


def line(n: int) -> dict[str, Any]:
    return {"type": "log", "n": n, "text": f"line {n}"}


def test_what_broke_is_asked_again_by_the_same_key():
    with serving(None, (503, b"busy"), ok({"reference": "DEP-1"})) as (client, script):
        assert client.post("/x", {"a": 1}) == {"reference": "DEP-1"}
    keys = [headers["Idempotency-Key"] for _, _, headers in script.asked]
    assert len(keys) == 3
    assert len(set(keys)) == 1


def test_all_pages_of_a_list_are_read_in_order():
    first = ok([1, 2], pagination={"hasNext": True})
    with serving(first, ok([3], pagination={"hasNext": False})) as (client, script):
        assert client.rows("/apps", status="active") == [1, 2, 3]
    assert [path for _, path, _ in script.asked] == [
        "/api/v1/apps?status=active&page=1&pageSize=100",
        "/api/v1/apps?status=active&page=2&pageSize=100",
    ]
    with serving(ok([1, 2], pagination={"hasNext": True})) as (client, _):
        assert client.rows("/apps", most=1) == [1]


@pytest.mark.parametrize(
    ("answer", "code", "facts"),
    [
        (no(401, "unauthorized", "No."), ErrorCode.API_UNKNOWN_CALLER, {"refusal": "unauthorized"}),
        (no(403, "forbidden", "No."), ErrorCode.API_FORBIDDEN, {"message": "No."}),
        (
            no(422, "wrong", "A: a.", validationErrors=[{"field": f, "message": f.lower()} for f in "AB"]),
            ErrorCode.API_REFUSED,
            {"problems": "A: a\nB: b"},
        ),
        ((502, b"<html>Bad gateway"), ErrorCode.API_REFUSED, {"refusal": "http-502"}),
        ((404, b"[]"), ErrorCode.API_REFUSED, {"refusal": "http-404"}),
        ((200, b"<html>Welcome"), ErrorCode.WEB_AWAY, {}),
        ((302, b""), ErrorCode.API_REFUSED, {"refusal": "http-302"}),
    ],
)
def test_what_is_refused_is_named(answer: tuple[int, bytes], code: ErrorCode, facts: dict[str, str]):
    with serving(*[answer] * 4) as (client, _), pytest.raises(SlipwayError) as refused:
        client.get("/x")
    assert refused.value.code is code
    assert facts.items() <= refused.value.facts.items()


def test_a_stream_goes_on_where_it_broke():
    answers = (
        sse(line(1), line(2), cut=b'data: {"type": "log", "n": 3'),
        None,
        (503, b""),
        sse(line(2), line(3), {"type": "done", "state": "succeeded"}),
    )
    with serving(*answers) as (client, script):
        told = list(client.follow("DEP-1"))
    assert [one["n"] for one in told if one["type"] == "log"] == [1, 2, 3]
    assert told[-1]["type"] == "done"
    assert [headers["Last-Event-ID"] for _, _, headers in script.asked] == ["0", "2", "2", "2"]


def test_a_stream_of_what_is_not_there_is_refused():
    with serving(no(404, "not-found", "No.")) as (client, _), pytest.raises(SlipwayError) as refused:
        list(client.follow("DEP-1"))
    assert refused.value.code is ErrorCode.API_REFUSED


def test_names_are_escaped_in_addresses():
    assert (
        at("apps", "a/b", "environments", "preview/pr-1?x") == "/apps/a%2Fb/environments/preview%2Fpr-1%3Fx"
    )


def chunks(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    start = 0
    for cut in sorted({cut % (len(data) + 1) for cut in cuts}):
        yield data[start:cut]
        start = cut
    yield data[start:]


LETTERS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(LETTERS, max_size=8), st.lists(st.integers(0, 10**6), max_size=8))
def test_events_survive_any_cut_and_any_letter(texts: list[str], cuts: list[int]):
    sent = [{"type": "log", "n": n, "text": text} for n, text in enumerate(texts)]
    frames = (b"id: 1\ndata: " + json.dumps(one, ensure_ascii=False).encode() + b"\n\n" for one in sent)
    assert list(events(chunks(b"".join(frames), cuts))) == sent


def test_a_deploy_that_no_worker_takes_says_so_instead_of_waiting(tmp_path: Path):
    with Valkey() as valkey, api_site(tmp_path / "home", valkey.url) as site:
        token = site.owner.http.headers["authorization"].removeprefix("Bearer ")
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
        environment = {**kept, "SLIPWAY_API_URL": site.url, "SLIPWAY_TOKEN": token}
        done = command.run(("deploy", "shop"), environment)
        assert done.returncode == 2, done.stdout + done.stderr
        assert "waits as number 1 in the queue" in done.stdout
        assert "no worker is there" in done.stderr
        # The server is in this process, too: its log comes before.
        shown = json.loads(command.run(("status", "--json"), environment).stdout.splitlines()[-1])
        (made,) = [one for one in shown["deployments"] if one["status"] == "queued"]
        cancelled = command.run(("cancel", made["reference"], "--json"), environment)
        assert json.loads(cancelled.stdout.splitlines()[-1])["status"] == "cancelled"
