import asyncio
import http.client
import json
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from redis import Redis

from bot.app import create_app
from bot.clock import utc_now
from bot.settings import Settings
from bot.signature import HEADER, matching, sign
from bot.store import apps, deliveries
from bot.store.apps import NewApp
from bot.store.deliveries import POLL, RECONCILE, Delivery, StoredDecision
from bot.store.engine import reading, writing
from bot.vault import open_vault
from tests.valkey import Valkey
from tests.waiting import wait_until
from tests.web import SECRET, Web

MIB = 1024 * 1024
OLD = b"the one before"


@pytest.fixture(scope="module")
def valkey() -> Iterator[Valkey]:
    with Valkey() as server:
        yield server


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[Web]:
    secrets = f"{SECRET.decode()},{OLD.decode()}"
    with Web(tmp_path_factory.mktemp("web"), valkey.url, github_webhook_secret=secrets) as process:
        yield process


def new_guid() -> str:
    return str(uuid.uuid4())


def stored(web: Web, guid: str) -> list[Delivery]:
    with reading(web.engine) as tx:
        return deliveries.by_guid(tx, guid)


def problem(response: httpx.Response) -> tuple[int, str, str]:
    content = response.json()
    return response.status_code, content["code"], content["message"]


def test_a_signed_delivery_is_stored_as_it_came_and_enqueued(web: Web, valkey: Valkey):
    guid, body = new_guid(), '{"ref":  "refs/heads/é"}'.encode()
    response = web.deliver(guid, body)
    assert (response.status_code, response.json()) == (
        202,
        {"delivery": guid, "event": "push", "duplicate": False},
    )
    (row,) = stored(web, guid)
    assert (row.body, row.event, row.hook_id, row.state, row.verified_app_id) == (
        body,
        "push",
        "1",
        "received",
        None,
    )
    queue: Any = Redis.from_url(valkey.url).lrange("rq:queue:intake", 0, -1)
    assert f"intake-{row.id}-{row.id}".encode() in queue


def test_a_large_body_comes_back_as_it_was(web: Web):
    guid, body = new_guid(), json.dumps({"text": "x" * (24 * MIB)}).encode()
    assert web.deliver(guid, body).status_code == 202
    assert stored(web, guid)[0].body == body


def test_a_duplicate_hears_the_first_decision(web: Web):
    guid = new_guid()
    web.deliver(guid)
    assert web.deliver(guid).json() == {
        "delivery": guid,
        "event": "push",
        "duplicate": True,
        "decision": None,
    }
    with writing(web.engine) as tx:
        (row,) = deliveries.by_guid(tx, guid)
        sentence = "Nothing deploys from this branch."
        decision = StoredDecision(row.id, None, "ignore", "other-branch", sentence, {}, utc_now())
        deliveries.add_decision(tx, decision)
    assert web.deliver(guid).json()["decision"] == {
        "kind": "ignore",
        "code": "other-branch",
        "sentence": sentence,
    }


def test_one_guid_through_two_webhooks_is_two_deliveries(web: Web):
    guid = new_guid()
    answers = [web.deliver(guid, X_GitHub_Hook_ID=hook).json()["duplicate"] for hook in ("1", "2", "", "")]
    assert answers == [False, False, False, True]
    assert [row.hook_id for row in stored(web, guid)] == ["1", "2", ""]


def test_two_secrets_are_valid_at_once_and_no_other(web: Web):
    assert web.deliver(new_guid(), secret=OLD).status_code == 202
    assert problem(web.deliver(new_guid(), secret=b"a guess")) == (401, "unauthorized", "Unauthorized")


@pytest.mark.parametrize(
    "signature",
    ["", "sha256=", "sha1=" + "0" * 40, "sha256=" + "0" * 63, "sha256=" + "g" * 64, "sha256=" + "ü" * 64],
)
def test_no_or_another_signature_is_unauthorized(web: Web, signature: str):
    body = b"{}"
    headers = {b"X-Hub-Signature-256": signature.encode()} if signature else {}
    response = web.client.post("/webhooks/github", content=body, headers=headers)
    assert problem(response) == (401, "unauthorized", "Unauthorized")


def test_forms_are_signed_as_a_whole(web: Web):
    guid, payload = new_guid(), '{"ref": "a+b &é"}'
    form = f"payload={quote_plus(payload)}".encode()
    kind = "application/x-www-form-urlencoded; charset=utf-8"
    assert web.deliver(guid, form, Content_Type=kind).status_code == 202
    assert stored(web, guid)[0].body == payload.encode()
    assert problem(web.deliver(new_guid(), b"other=1", Content_Type=kind)) == (400, "no-body", "No body")


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'"text"', b"{", b"{} {}", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_no_body(web: Web, body: bytes):
    assert problem(web.deliver(new_guid(), body)) == (400, "no-body", "No body")


@pytest.mark.parametrize(
    ("header", "value", "code"),
    [
        ("X_GitHub_Event", "", "no-event"),
        ("X_GitHub_Event", "pu sh", "no-event"),
        ("X_GitHub_Delivery", "", "no-delivery"),
        ("X_GitHub_Delivery", "x" * 101, "no-delivery"),
        ("X_GitHub_Hook_ID", "a b", "hook-id"),
        ("X_GitHub_Hook_ID", RECONCILE, "hook-id"),
        ("X_GitHub_Hook_ID", POLL, "hook-id"),
        ("Content_Type", "text/plain", "content-type"),
    ],
)
def test_headers_that_are_missing_or_malformed(web: Web, header: str, value: str, code: str):
    response = web.deliver(new_guid(), b"{}", SECRET, **{header: value})
    assert (response.status_code, response.json()["code"]) == (400, code)


def test_ping_is_answered_and_not_stored(web: Web):
    guid = new_guid()
    response = web.deliver(guid, b'{"zen": "Keep it logically awesome."}', X_GitHub_Event="ping")
    assert (response.status_code, response.json()["message"]) == (200, "pong")
    assert stored(web, guid) == []


def test_unknown_events_and_repositories_are_stored_all_the_same(web: Web):
    guid = new_guid()
    body = b'{"repository": {"id": 99, "full_name": "nobody/knows"}}'
    assert web.deliver(guid, body, X_GitHub_Event="sponsorship").status_code == 202
    assert stored(web, guid)[0].event == "sponsorship"


def test_other_methods_and_paths(web: Web):
    response = web.client.get("/webhooks/github")
    assert (problem(response)[:2], response.headers["allow"]) == ((405, "method-not-allowed"), "POST")
    assert problem(web.client.get("/api/nowhere")) == (404, "not-found", "Not Found")
    assert web.client.post("/webhooks/github/").status_code == 404
    assert "server" not in response.headers


def test_too_large_a_body_is_refused_at_once_by_its_length(web: Web):
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=10)
    connection.putrequest("POST", "/webhooks/github")
    connection.putheader("Content-Length", str(25 * MIB + 1))
    connection.endheaders()
    assert connection.getresponse().status == 413
    connection.close()


def test_too_large_a_body_is_refused_while_it_is_read(web: Web):
    parts = (b"x" * MIB for _ in range(27))
    response = web.client.post("/webhooks/github", content=parts)
    assert problem(response) == (413, "too-large", "Payload Too Large")


def test_clients_that_leave_in_the_middle_of_a_body_leave_nothing_behind(web: Web):
    for _ in range(20):
        with socket.create_connection(("127.0.0.1", web.port)) as client:
            client.sendall(b"POST /webhooks/github HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
    assert web.deliver(new_guid()).status_code == 202


def test_two_hundred_at_once_of_one_guid_are_one_row(web: Web):
    guid = new_guid()
    with ThreadPoolExecutor(32) as pool:
        answers = [response.json()["duplicate"] for response in pool.map(web.deliver, [guid] * 200)]
    assert sorted(answers) == [False] + [True] * 199
    assert len(stored(web, guid)) == 1


def test_an_apps_own_secret_speaks_for_that_app_alone(web: Web):
    vault = open_vault(Settings(home=web.home))  # pyright: ignore[reportCallIssue]
    with writing(web.engine) as tx:
        sealed = vault.seal(b"of the shop")
        new = NewApp("shop", "Acme/Shop", "file:///nowhere", "main", webhook_secret=sealed)
        app = apps.insert(tx, new, utc_now())
    body = b'{"repository": {"id": 7, "full_name": "acme/shop"}}'
    guid = new_guid()
    # A secret that was just set is known within five seconds.
    wait_until(lambda: web.deliver(guid, body, secret=b"of the shop").status_code == 202)
    assert stored(web, guid)[0].verified_app_id == app.id
    for other in (b'{"repository": {"id": 8, "full_name": "acme/other"}}', b'{"repository": 1}', b"{}"):
        assert web.deliver(new_guid(), other, secret=b"of the shop").status_code == 401
    assert web.deliver(new_guid(), body, secret=b"").status_code == 401


def test_health_and_readiness(web: Web):
    assert web.client.get("/health").json() == {"healthy": True}
    response = web.client.get("/ready")
    assert response.status_code == 503
    parts = response.json()["parts"]
    assert (parts["store"], parts["redis"]) == ("ok", "ok")
    assert parts["edge"].startswith("not reached")


def test_redis_that_hangs_or_is_gone_costs_a_second_once(web: Web, valkey: Valkey):
    valkey.freeze()
    took: list[float] = []
    for _ in range(5):
        started = time.monotonic()
        assert web.deliver(new_guid()).status_code == 202
        took.append(time.monotonic() - started)
    valkey.thaw()
    assert took[0] < 3
    # Were Redis asked each time, it would be four time-outs of 0.7 s.
    assert sum(took[1:]) < 2
    valkey.kill()
    assert web.deliver(new_guid()).status_code == 202
    valkey.start()


def test_whatever_was_answered_202_is_there_after_a_kill(tmp_path: Path, valkey: Valkey):
    with Web(tmp_path, valkey.url) as process:
        accepted: set[str] = set()
        stop = threading.Event()

        def send() -> None:
            while not stop.is_set():
                guid = new_guid()
                try:
                    if process.deliver(guid).status_code == 202:
                        accepted.add(guid)
                except httpx.TransportError:
                    return

        senders = [threading.Thread(target=send) for _ in range(8)]
        for sender in senders:
            sender.start()
        wait_until(lambda: len(accepted) > 200, what="deliveries on their way")
        process.kill()
        stop.set()
        for sender in senders:
            sender.join()
        with reading(process.engine) as tx:
            lost = [guid for guid in accepted if not deliveries.by_guid(tx, guid)]
        assert lost == []


def test_a_store_that_refuses_is_a_503_and_heals(tmp_path: Path, valkey: Valkey):
    with Web(tmp_path, valkey.url, busy_seconds=0.2) as process:
        assert process.deliver(new_guid()).status_code == 202
        holder = sqlite3.connect(tmp_path / "slipway.db", isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        response = process.deliver(new_guid())
        assert problem(response) == (503, "not-stored", "Service Unavailable")
        assert int(response.headers["retry-after"]) > 0
        holder.execute("ROLLBACK")
        holder.close()
        assert process.deliver(new_guid()).status_code == 202


headers = st.lists(
    st.tuples(
        st.sampled_from(
            [HEADER, b"x-github-event", b"x-github-delivery", b"content-length", b"content-type"]
        ),
        st.binary(max_size=20)
        | st.sampled_from([b"push", b"application/x-www-form-urlencoded", b"99999999999"]),
    ),
    max_size=6,
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=3),
    max_leaves=8,
)
bodies = st.binary(max_size=60) | json_values.map(lambda value: json.dumps(value).encode())
methods = st.sampled_from(["POST", "POST", "POST", "GET", "QUERY"])


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory, valkey: Valkey) -> Iterator[Any]:
    home = tmp_path_factory.mktemp("asked")
    web = Web(home, valkey.url)
    given_settings = Settings(home=home, redis_url=valkey.url, github_webhook_secret=[SECRET.decode()])  # type: ignore[call-arg]
    app = create_app(given_settings)

    async def respond(method: str, path: str, rows: list[tuple[bytes, bytes]], parts: list[bytes]) -> int:
        more = iter([*({"type": "http.request", "body": part, "more_body": True} for part in parts)])
        sent: list[Any] = []

        async def receive() -> Any:
            return next(more, {"type": "http.request", "body": b"", "more_body": False})

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": method, "path": path, "headers": rows, "query_string": b""}
        await app(scope, receive, send)
        return sent[0]["status"]

    with asyncio.Runner() as runner:
        life = app.router.lifespan_context(app)
        runner.run(life.__aenter__())

        def ask(method: str, path: str, rows: list[tuple[bytes, bytes]], parts: list[bytes]) -> int:
            return runner.run(respond(method, path, rows, parts))

        yield ask
        runner.run(life.__aexit__(None, None, None))
    web.client.close()
    web.engine.dispose()


@settings(deadline=None)
@given(methods, headers, st.lists(bodies, max_size=3), st.booleans())
def test_no_request_is_an_error_of_ours(
    ask: Any, method: str, rows: list[tuple[bytes, bytes]], parts: list[bytes], signed: bool
):
    if signed:
        rows = [row for row in rows if row[0] != HEADER] + [(HEADER, sign(b"".join(parts), SECRET))]
    assert ask(method, "/webhooks/github", rows, parts) in {200, 202, 400, 401, 405, 413}


@given(st.binary(max_size=40), st.binary(max_size=80))
def test_only_the_whole_signature_matches(body: bytes, other: bytes):
    assert matching(body, sign(body, SECRET), [OLD, SECRET]) == 1
    assert matching(body, other, [OLD, SECRET]) is None
    assert matching(body, sign(body, b""), [b""]) is None


def test_githubs_published_example():
    header = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert matching(b"Hello, World!", header, [SECRET]) == 0
    for place in range(len(header)):
        changed = bytearray(header)
        changed[place] ^= 1
        assert matching(b"Hello, World!", bytes(changed), [SECRET]) is None
