"""Protected hostnames, through a real edge, by strangers and by those who may."""

import asyncio
import threading
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.domain.ids import AppId, EnvironmentId, ShareLinkId
from bot.domain.sharing import Purpose, ShareLink
from bot.share import PARAMETER, PLAIN_COOKIE, SIGNED_IN, open_signer
from jobs.gatekeeper import Gatekeeper, Spent
from jobs.gates import Gate, Gates
from jobs.site_entry import Watch
from jobs.visits import Visits
from tests.jobs.edge_harness import Answer, RunningEdge, running_edge
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

HOST, OTHER = "pr-7-shop.localhost", "pr-8-shop.localhost"
FILES = {
    "index.html": "<h1>secret</h1>",
    "app.3f9a1c2e.js": "secret()",
    "sw.js": "secret worker",
    "404.html": "<h1>secret 404</h1>",
    "shared.html": "secret",
}
RULES = ("/old /index.html 301", "/shared.html\n  Cache-Control: public, max-age=60, s-maxage=600\n")
NOW = datetime.now(UTC)
LINK = ShareLink(
    id=ShareLinkId(5),
    app_id=AppId(1),
    environment_id=EnvironmentId(7),
    purpose=Purpose.PERSON,
    note="",
    created_by="mona",
    created_at=NOW,
    expires_at=NOW.replace(microsecond=0) + timedelta(days=2),
    revoked_at=None,
)


class Preview:
    """Two protected previews of one app on one edge, and what opens the first."""

    def __init__(self, edge: RunningEdge) -> None:
        self.edge = edge
        self.gates = Gates(edge.home)
        self.signer = open_signer(edge.settings)
        for host, environment in ((HOST, 7), (OTHER, 8)):
            self.gates.put(host, self.gate(environment))
            edge.show(host, edge.release(FILES, RULES), watch=Watch.GUARDED)

    def gate(self, environment: int = 7, *, login: bool = False, revoked: tuple[int, ...] = ()) -> Gate:
        ids = tuple(ShareLinkId(one) for one in revoked)
        return Gate(AppId(1), (EnvironmentId(environment),), login=login, revoked=ids)

    def follow(self, token: str, path: str = "/", host: str = HOST) -> Answer:
        mark = "&" if "?" in path else "?"
        return self.edge.ask(host, f"{path}{mark}{PARAMETER}={token}")

    def cookie(self, token: str, host: str = HOST) -> str:
        answer = self.follow(token, host=host)
        assert answer.status == 303, answer
        return answer.headers["set-cookie"].partition(";")[0]

    def ask(self, path: str, cookie: str, host: str = HOST, **more: str) -> Answer:
        return self.edge.ask(host, path, headers={"Cookie": cookie, **more})


@pytest.fixture(scope="module")
def preview(tmp_path_factory: pytest.TempPathFactory) -> Generator[Preview]:
    with running_edge(tmp_path_factory.mktemp("home")) as edge:
        yield Preview(edge)


@pytest.fixture(scope="module")
def cookie(preview: Preview) -> str:
    return preview.cookie(preview.signer.link(LINK))


def is_refused(answer: Answer) -> bool:
    assert b"secret" not in answer.body
    assert "set-cookie" not in answer.headers
    return answer.status == 401


@pytest.mark.parametrize(
    "path", ["/", "/app.3f9a1c2e.js", "/nothing", "/old", "/shared.html", "/" + "a" * 300]
)
def test_a_stranger_is_refused_whatever_is_asked_for(preview: Preview, path: str):
    answer = preview.edge.ask(HOST, path)
    assert is_refused(answer)
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-robots-tag"] == "noindex"
    assert "x-slipway-release" not in answer.headers
    assert b"/previews/enter?host=pr-7-shop.localhost" in answer.body


@pytest.mark.parametrize("method", ["HEAD", "POST", "OPTIONS", "PUT"])
def test_no_method_gets_around_the_gate(preview: Preview, method: str):
    assert preview.edge.ask(HOST, "/", method=method).status == 401


def test_a_link_becomes_a_cookie_of_this_hostname_alone(preview: Preview):
    answer = preview.follow(preview.signer.link(LINK), "/docs/a%20b?x=1&y=%2F")
    assert answer.status == 303
    assert answer.headers["location"] == "/docs/a%20b?x=1&y=%2F"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    attributes = [part.strip() for part in answer.headers["set-cookie"].split(";")]
    assert attributes[0].startswith(f"{PLAIN_COOKIE}=c.l5.")
    assert attributes[1] == "Path=/"
    assert attributes[3:] == ["HttpOnly", "SameSite=Lax"]
    assert 0 < int(attributes[2].removeprefix("Max-Age=")) <= 2 * 24 * 3600


def test_behind_a_proxy_with_tls_the_cookie_is_secure(preview: Preview):
    token = preview.signer.link(LINK)
    answer = preview.edge.ask(HOST, f"/?{PARAMETER}={token}", headers={"X-Forwarded-Proto": "https"})
    given = answer.headers["set-cookie"]
    assert given.startswith(f"__Host-{PLAIN_COOKIE}=")
    assert given.endswith("; Secure")
    assert "Domain" not in given
    assert preview.ask("/", given.partition(";")[0]).status == 200


def test_who_has_the_cookie_sees_everything(preview: Preview, cookie: str):
    page = preview.ask("/", cookie)
    assert (page.status, page.body) == (200, b"<h1>secret</h1>")
    assert page.headers["x-robots-tag"] == "noindex"
    assert preview.ask("/sw.js", cookie, **{"Service-Worker": "script"}).status == 200
    part = preview.ask("/app.3f9a1c2e.js", cookie, Range="bytes=0-2")
    assert (part.status, part.body) == (206, b"sec")
    head = preview.edge.ask(HOST, "/", method="HEAD", headers={"Cookie": cookie})
    assert (head.status, head.body) == (200, b"")
    assert preview.ask("/", cookie, **{"If-None-Match": page.headers["etag"]}).status == 304
    assert preview.ask("/none", cookie).body == b"<h1>secret 404</h1>"
    assert preview.ask("/old", cookie).headers["location"] == "/index.html"


@pytest.mark.parametrize(
    ("path", "cached"),
    [
        ("/", "private, max-age=0, must-revalidate"),
        ("/none", "private, max-age=0, must-revalidate"),
        ("/app.3f9a1c2e.js", "private, max-age=31536000, immutable"),
        ("/shared.html", "private, max-age=60"),
    ],
)
def test_no_cache_but_the_visitors_own_may_keep_it(preview: Preview, cookie: str, path: str, cached: str):
    assert preview.ask(path, cookie).headers["cache-control"] == cached


def test_programs_send_the_token_in_a_header(preview: Preview):
    token = preview.signer.link(LINK)
    assert preview.edge.ask(HOST, "/", headers={"X-Slipway-Share": token}).status == 200
    assert is_refused(preview.edge.ask(OTHER, "/", headers={"X-Slipway-Share": token}))


def test_a_link_of_the_app_opens_all_its_previews(preview: Preview):
    token = preview.signer.link(replace(LINK, environment_id=None))
    assert preview.ask("/", preview.cookie(token)).status == 200
    assert preview.ask("/", preview.cookie(token, OTHER), OTHER).status == 200


@pytest.mark.parametrize("host", [HOST, OTHER])
def test_every_changed_letter_is_noticed(preview: Preview, host: str):
    token = preview.signer.link(LINK)
    for place, letter in enumerate(token):
        changed = token[:place] + ("b" if letter == "a" else "a") + token[place + 1 :]
        assert is_refused(preview.follow(changed, host=host)) or changed == token


def test_a_link_opens_nothing_else(preview: Preview):
    signer = preview.signer
    others = [
        replace(LINK, environment_id=EnvironmentId(8)),
        replace(LINK, environment_id=EnvironmentId(77)),
        replace(LINK, environment_id=None, app_id=AppId(2)),
        replace(LINK, environment_id=None, app_id=AppId(7)),
        replace(LINK, expires_at=NOW - timedelta(seconds=2)),
    ]
    for one in others:
        assert is_refused(preview.follow(signer.link(one)))
    stranger = open_signer(preview.edge.settings.model_copy(update={"home": preview.edge.home / "elsewhere"}))
    assert is_refused(preview.follow(stranger.link(LINK)))
    for forged in ("", "l", "l.5.e7", ".", "....", "l.5.e7.99999999999.", "%00", "x" * 4000, "l.5.e7.x.y"):
        assert is_refused(preview.follow(forged))


def test_a_cookie_is_good_for_its_hostname_alone(preview: Preview, cookie: str):
    assert is_refused(preview.ask("/", cookie, OTHER))
    value = cookie.partition("=")[2]
    assert is_refused(preview.follow(value))
    assert is_refused(preview.ask("/", f"{PLAIN_COOKIE}={preview.signer.link(LINK)}"))
    assert is_refused(preview.ask("/", f"{PLAIN_COOKIE}={value.replace('l5', 'u')}"))
    late = preview.signer.cookie(HOST, AppId(1), SIGNED_IN, NOW - timedelta(seconds=2))
    assert is_refused(preview.ask("/", f"{PLAIN_COOKIE}={late}"))


def test_who_could_see_an_app_does_not_see_what_has_its_name_afterwards(preview: Preview, cookie: str):
    preview.gates.put(HOST, replace_app(preview.gate(), AppId(2)))
    try:
        assert is_refused(preview.ask("/", cookie))
    finally:
        preview.gates.put(HOST, preview.gate())
    assert preview.ask("/", cookie).status == 200


def replace_app(gate: Gate, app: AppId) -> Gate:
    return Gate(app, gate.environments, gate.login, gate.revoked)


def test_cookies_of_other_sites_do_not_hide_ours(preview: Preview, cookie: str):
    tossed = f"{PLAIN_COOKIE}=tossed; a=b; {cookie}"
    assert preview.ask("/", tossed).status == 200


def test_a_revoked_link_ends_its_cookies(preview: Preview):
    link = replace(LINK, id=ShareLinkId(6))
    given = preview.cookie(preview.signer.link(link))
    preview.gates.put(HOST, preview.gate(revoked=(6,)))
    assert is_refused(preview.ask("/", given))
    assert is_refused(preview.follow(preview.signer.link(link)))
    assert preview.ask("/", preview.cookie(preview.signer.link(LINK))).status == 200


def test_where_one_must_sign_in_no_link_opens(preview: Preview):
    preview.gates.put(OTHER, preview.gate(8, login=True))
    token = preview.signer.link(replace(LINK, environment_id=EnvironmentId(8)))
    assert is_refused(preview.follow(token, host=OTHER))
    given = preview.cookie(preview.signer.hand_over(OTHER), OTHER)
    assert preview.ask("/", given, OTHER).status == 200
    preview.gates.put(OTHER, preview.gate(8))


def test_a_hand_over_is_taken_once_and_where_it_belongs(preview: Preview):
    token = preview.signer.hand_over(HOST)
    assert is_refused(preview.follow(token, host=OTHER))
    assert preview.follow(token).status == 303
    assert is_refused(preview.follow(token))
    preview.edge.edge.restart_rules()
    assert is_refused(preview.follow(token))


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("//evil.example", "/evil.example"),
        ("///evil.example/x", "/evil.example/x"),
        ("/\\evil.example", "/evil.example"),
        ("/%5cevil.example", "/%5cevil.example"),
        ("/%2f%2fevil.example", "/%2f%2fevil.example"),
        ("/%0d%0aSet-Cookie:%20a=b", "/%0d%0aSet-Cookie:%20a=b"),
        ("/x?to=//evil.example", "/x?to=//evil.example"),
        ("http://evil.example/", "/http:/evil.example/"),
    ],
)
def test_the_way_on_stays_on_this_site(preview: Preview, path: str, location: str):
    answer = preview.follow(preview.signer.link(LINK), path)
    assert answer.status in (303, 404)
    if answer.status == 303:
        assert answer.headers["location"] == location
        assert answer.headers["set-cookie"].startswith(PLAIN_COOKIE)


@pytest.mark.parametrize(
    "host", ["PR-7-shop.localhost", f"{HOST}.", f"{HOST}:99", f"{OTHER}/{HOST}", "..", ""]
)
def test_no_spelling_of_the_host_gets_around_the_gate(preview: Preview, host: str):
    answer = preview.edge.ask(host, "/")
    assert b"secret" not in answer.body
    assert answer.status in (308, 400, 401, 404)


def test_a_visitor_cannot_speak_for_the_edge(preview: Preview):
    told = {
        "X-Slipway-Watch": "t",
        "X-Slipway-Host": OTHER,
        "X-Slipway-Release": "1",
        "X-Forwarded-Host": OTHER,
    }
    assert is_refused(preview.edge.ask(HOST, "/", headers=told))


def test_scripts_of_releases_before_are_protected_too(preview: Preview, cookie: str):
    preview.edge.show(HOST, preview.edge.release({"index.html": "<h1>new</h1>"}), watch=Watch.GUARDED)
    assert is_refused(preview.edge.ask(HOST, "/app.3f9a1c2e.js"))
    old = preview.ask("/app.3f9a1c2e.js", cookie)
    assert (old.status, old.body) == (200, b"secret()")
    assert old.headers["cache-control"].startswith("private")
    preview.edge.show(HOST, preview.edge.release(FILES, RULES), watch=Watch.GUARDED)


def test_without_a_gate_nobody_passes(preview: Preview, cookie: str):
    preview.gates.reconcile({OTHER: preview.gate(8)})
    assert is_refused(preview.ask("/", cookie))
    preview.gates.put(HOST, preview.gate())
    assert preview.ask("/", cookie).status == 200


def test_without_an_answer_nobody_passes_and_no_log_has_the_link(
    tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
):
    with running_edge(tmp_path_factory.mktemp("home")) as edge:
        preview = Preview(edge)
        edge.site("open.localhost", {"index.html": "open"})
        token = preview.signer.link(LINK)
        # No connection to it may be open yet: that would outlive its socket's name.
        given = f"{PLAIN_COOKIE}={preview.signer.cookie(HOST, AppId(1), SIGNED_IN, NOW + timedelta(hours=1))}"
        socket = edge.settings.rules_socket
        away = socket.with_suffix(".away")
        socket.rename(away)
        try:
            answer = preview.ask(f"/x?{PARAMETER}={token}", given)
            assert edge.ask("open.localhost").body == b"open"
        finally:
            away.rename(socket)
        assert answer.status == 502
        assert b"secret" not in answer.body
    said = "".join(capfd.readouterr())
    assert token not in said
    assert given.partition("=")[2] not in said


def test_a_visit_that_is_to_be_told_is_told_once(preview: Preview):
    host = "pr-9-shop.localhost"
    preview.edge.show(host, preview.edge.release(FILES), watch=Watch.TOLD)
    visits = Visits(preview.edge.home)
    assert host not in visits.seen()
    answer = preview.edge.ask(host, "/")
    assert (answer.status, answer.body) == (200, b"<h1>secret</h1>")
    assert answer.headers["cache-control"] == "public, max-age=0, must-revalidate"
    first = visits.seen()
    assert host in first
    visits.forget(first)
    assert preview.edge.ask(host, "/app.3f9a1c2e.js").status == 200
    assert host not in visits.seen()


def test_who_visits_a_sleeping_site_waits_until_it_is_there(preview: Preview):
    host, edge = "pr-10-shop.localhost", preview.edge
    release = edge.release(FILES)
    edge.show(host, release, watch=Watch.ASLEEP)
    wait_until(lambda: edge.sites.is_asleep(host), what="sleep")

    def wake() -> None:
        wait_until(lambda: host in Visits(edge.home).seen(), what="a visit")
        entry = edge.sites.active(host)
        assert entry is not None
        edge.table.reconcile({host: replace(entry, watch=Watch.NOTHING)})

    waker = threading.Thread(target=wake)
    waker.start()
    answer = edge.ask(host, "/")
    waker.join()
    assert (answer.status, answer.body) == (200, b"<h1>secret</h1>")


@pytest.mark.parametrize(
    ("accept", "kind", "said"),
    [("text/html,*/*", "text/html; charset=utf-8", b'http-equiv="refresh"'), ("*/*", "text/plain", b"wakes")],
)
def test_who_waits_too_long_is_told_to_come_again(preview: Preview, accept: str, kind: str, said: bytes):
    host, edge = "pr-11-shop.localhost", preview.edge
    edge.show(host, edge.release(FILES), watch=Watch.ASLEEP)
    keeper = Gatekeeper(edge.settings, Spent(), held=0.05)
    asked = {"x-slipway-host": host, "x-slipway-watch": "z", "x-slipway-uri": "/", "accept": accept}
    reply = asyncio.run(keeper.answer(asked))
    headers = dict(reply.headers)
    assert (reply.status, headers["Retry-After"], headers["Cache-Control"]) == (503, "2", "no-store")
    assert headers["Content-Type"] == kind
    assert said in reply.body


def test_no_visitor_notices_that_a_preview_is_watched(preview: Preview):
    host, edge = "pr-12-shop.localhost", preview.edge
    edge.show(host, edge.release({"index.html": "<h1>old</h1>"}))
    edge.show(host, edge.release(FILES))
    plain = edge.sites.active(host)
    assert plain is not None
    seen: list[tuple[int, bytes]] = []
    over = threading.Event()

    def visit() -> None:
        while not over.is_set():
            answer = edge.ask(host, "/")
            seen.append((answer.status, answer.body))

    visitors = [threading.Thread(target=visit) for _ in range(4)]
    for one in visitors:
        one.start()
    for _ in range(8):
        edge.table.reconcile({host: replace(plain, watch=Watch.TOLD)})
        wait_until(lambda: edge.sites.active(host) == plain, what="the visit")
    over.set()
    for one in visitors:
        one.join()
    assert len(seen) > 100
    assert set(seen) == {(200, b"<h1>secret</h1>")}
