"""The client of the API against a server of its own, which breaks as real ones do."""

import json
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
from tests.calling import api_site
from tests.shell import Shell
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
        sse(line(2), line(3), {"type": "done", "status": "succeeded"}),
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
        shell = Shell(site)
        done = shell.run("deploy", "shop")
        assert done.returncode == 2, done.stdout + done.stderr
        assert "waits as number 1 in the queue" in done.stdout
        assert "no worker is there" in done.stderr
        shown = shell.json("status")
        (made,) = [one for one in shown["deployments"] if one["status"] == "queued"]
        assert shell.json("cancel", made["reference"])["status"] == "cancelled"


@pytest.fixture
def elsewhere(tmp_path: Path) -> Generator[Shell]:
    with api_site(tmp_path / "home") as site:
        yield Shell(site)


def test_apps_are_made_listed_shown_and_switched_by_the_api(elsewhere: Shell):
    made = elsewhere.json("app", "create", "--repository", "acme/web", "--own-secret")
    assert (made["slug"], len(made["webhookSecret"]) > 20) == ("web", True)
    assert "push to next" in elsewhere.said(
        "app", "create", "--repository", "acme/two", "--production-branch", "next"
    )
    assert "https://" in elsewhere.refused("app", "create", "--repository", "acme/x", "--clone-url", "/srv/x")
    assert [one["slug"] for one in elsewhere.json("app", "list")] == ["second", "shop", "two", "web"]
    for word, shown in (("disable", "enabled: False"), ("enable", "enabled: True")):
        elsewhere.said("app", word, "shop")
        assert shown in elsewhere.said("app", "show", "shop")
    assert elsewhere.json("app", "disable", "shop")["status"] == "disabled"


def test_an_environment_is_locked_and_unlocked(elsewhere: Shell):
    elsewhere.site.instance.push(elsewhere.site.shop, "a" * 40)
    locked = elsewhere.said("lock", "shop", "we move", "--for", "2h")
    assert locked.startswith("shop production is locked by owner@acme.example until")
    assert locked.rstrip().endswith(": we move")
    assert elsewhere.refused("lock", "shop", "--for", "ever")
    assert "staging" in elsewhere.refused("lock", "shop", "--environment", "staging")
    assert "not locked any more" in elsewhere.said("unlock", "shop")
    assert elsewhere.json("lock", "shop")["lock"]["by"] == "owner@acme.example"
    assert elsewhere.json("unlock", "shop")["lock"] is None


def test_the_audit_log_is_listed_and_taken_along(elsewhere: Shell):
    elsewhere.said("app", "disable", "shop")
    (row,) = elsewhere.json("audit", "list", "--action", "updateApp")
    assert (row["actor"], row["app"], row["after"]) == ("owner@acme.example", "shop", {"enabled": False})
    assert "updateApp" in elsewhere.said("audit", "list")
    lines = elsewhere.said("audit", "export", "--since", "2026-01-01").splitlines()
    assert json.loads(lines[-1])["action"] == "updateApp"
    assert elsewhere.said("audit", "export", "--until", "2020-01-01") == ""
    assert elsewhere.said("audit", "export", "--csv").startswith("id,at,action,actor")
    assert "manage" in elsewhere.refused("audit", "export", who="viewer")
    assert "own machine" in elsewhere.refused("audit", "verify")
    assert "own machine" in elsewhere.refused("secrets", "rotate")


def test_tokens_are_made_listed_and_revoked(elsewhere: Shell):
    for whose in ((), ("--app", "shop")):
        made = elsewhere.json("token", "create", "--name", "ci", *whose)
        assert "ci" in elsewhere.said("token", "list", *whose)
        assert elsewhere.json("token", "revoke", str(made["id"]), *whose) == {
            "id": made["id"],
            "revoked": True,
        }
        assert made["id"] not in [one["id"] for one in elsewhere.json("token", "list", *whose)]
