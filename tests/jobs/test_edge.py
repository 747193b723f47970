import http.client
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from bot.domain.ids import ReleaseId
from jobs.site_entry import NO_RELEASE, Entry, Watch
from tests.jobs.edge_harness import RunningEdge, running_edge
from tests.waiting import wait_until

LASTING = "public, max-age=31536000, immutable"
FRESH = "public, max-age=0, must-revalidate"


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    with running_edge(tmp_path_factory.mktemp("e")) as running:
        yield running


@pytest.fixture(scope="module")
def shop(edge: RunningEdge) -> str:
    name = "shop.localhost"
    files = {
        "index.html": "<p>home",
        "index.html.br": "in br",
        "index.html.gz": "in gzip",
        "index.html.zst": "in zstd",
        "about.html": "<p>about",
        "docs/index.html": "<p>docs",
        "team/ann.html": "<p>ann",
        "team.html": "<p>team",
        "100% sure?.html": "<p>sure",
        "[a]*.txt": "odd name",
        "größe.html": "<p>größe",
        "assets/index-BkX3k2aP.js": "js",
        ".well-known/security.txt": "well known",
        "empty.txt": "",
        "noextension": "plain",
    }
    edge.site(name, files)
    return name


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/", 200, b"<p>home"),
        ("/index.html", 200, b"<p>home"),
        ("/?q=1", 200, b"<p>home"),
        ("/about", 200, b"<p>about"),
        ("/about.html", 200, b"<p>about"),
        ("/docs/", 200, b"<p>docs"),
        ("/team", 200, b"<p>team"),
        ("/team/ann", 200, b"<p>ann"),
        ("/100%25%20sure%3F", 200, b"<p>sure"),
        ("/%5Ba%5D*.txt", 200, b"odd name"),
        ("/gr%C3%B6%C3%9Fe", 200, "<p>größe".encode()),
        ("/.well-known/security.txt", 200, b"well known"),
        ("/empty.txt", 200, b""),
        ("/noextension", 200, b"plain"),
        ("/./docs/../about", 200, b"<p>about"),
    ],
)
def test_a_file_is_found_by_its_path(edge: RunningEdge, shop: str, path: str, status: int, body: bytes):
    answer = edge.ask(shop, path)
    assert (answer.status, answer.body) == (status, body)
    assert answer.release == "1"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "last-modified" not in answer.headers


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/docs", "/docs/"),
        ("/docs?a=b", "/docs/?a=b"),
        ("/about/", "/about"),
        ("/about/?a=b", "/about?a=b"),
    ],
)
def test_a_page_has_one_address(edge: RunningEdge, shop: str, path: str, location: str):
    answer = edge.ask(shop, path)
    assert (answer.status, answer.headers["location"]) == (308, location)
    assert answer.headers["cache-control"] == FRESH


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/nothing/",
        "/nothing.png",
        "/*",
        "/a*out",
        "/%5Ba-z%5Dbout",
        "/abou%3F",
        "/about.html/x",
        "/%00",
        "/../../1/rules.json",
        "/%2e%2e/%2e%2e/rules.json",
        "/..%2f..%2frules.json",
        "/..%5c..%5crules.json",
        "//evil.example/",
        "/%2fevil.example/",
        "/" + "a" * 300,
        "/" + "a/" * 3000,
    ],
)
def test_what_is_not_there_is_not_found(edge: RunningEdge, shop: str, path: str):
    answer = edge.ask(shop, path)
    assert answer.status == 404
    assert b"Page not found" in answer.body
    assert answer.headers["cache-control"] == FRESH
    assert not {"etag", "last-modified", "location"} & set(answer.headers)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS"])
def test_only_reading_is_allowed(edge: RunningEdge, shop: str, method: str):
    answer = edge.ask(shop, method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_head_has_the_headers_alone(edge: RunningEdge, shop: str):
    answer = edge.ask(shop, method="HEAD")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "7")


@pytest.mark.parametrize(
    ("accepted", "encoding", "body"),
    [
        ("gzip, br, zstd", "br", b"in br"),
        ("gzip, zstd", "zstd", b"in zstd"),
        ("gzip", "gzip", b"in gzip"),
        ("identity", None, b"<p>home"),
    ],
)
def test_compressed_siblings_are_sent(
    edge: RunningEdge, shop: str, accepted: str, encoding: str | None, body: bytes
):
    answer = edge.ask(shop, headers={"Accept-Encoding": accepted})
    assert (answer.headers.get("content-encoding"), answer.body) == (encoding, body)
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_the_same_content_has_the_same_etag_in_the_next_release(edge: RunningEdge):
    edge.site("etag.localhost", {"index.html": "same", "other.html": "one"})
    first, other = (edge.ask("etag.localhost", path).headers["etag"] for path in ("/", "/other"))
    edge.site("etag.localhost", {"index.html": "same", "other.html": "two"})
    again = edge.ask("etag.localhost", headers={"If-None-Match": first})
    assert (again.status, again.body) == (304, b"")
    changed = edge.ask("etag.localhost", "/other", headers={"If-None-Match": other})
    assert (changed.status, changed.body) == (200, b"two")


@pytest.mark.parametrize(
    "date", ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 01 Jan 2199 00:00:00 GMT", "nonsense"]
)
@pytest.mark.parametrize("condition", ["If-Modified-Since", "If-Unmodified-Since"])
def test_conditions_by_date_are_not_heeded(edge: RunningEdge, shop: str, condition: str, date: str):
    assert edge.ask(shop, headers={condition: date}).body == b"<p>home"


def test_a_part_of_a_file_is_sent(edge: RunningEdge, shop: str):
    answer = edge.ask(shop, headers={"Range": "bytes=3-4"})
    assert (answer.status, answer.body) == (206, b"ho")


@pytest.mark.parametrize(
    ("name", "lasting"),
    [
        ("assets/index-BkX3k2aP.js", True),
        ("assets/index-B_X-k2aP.css", True),
        ("_astro/page.Dk3aB2x9.css", True),
        ("static/js/main.7f3a2b1c.js", True),
        ("static/js/main.7f3a2b1c.chunk.js.map", True),
        ("font.0123456789abcdef0123456789abcdef.woff2", True),
        ("index.html", False),
        ("assets/index.js", False),
        ("photo-20240115.jpg", False),
        ("app-version2.js", False),
        ("my-settings.js", False),
        ("my-component.js", False),
        ("jquery-3.7.1.min.js", False),
        ("deadbeef.js", False),
        ("BkX3k2aP/index.js", False),
    ],
)
def test_only_names_with_a_hash_are_kept_for_long(edge: RunningEdge, name: str, lasting: bool):
    host = "names.localhost"
    edge.site(host, {name: "x"})
    assert edge.ask(host, "/" + name).headers["cache-control"] == (LASTING if lasting else FRESH)
    missing = edge.ask(host, f"/no/{name}")
    assert (missing.status, missing.headers["cache-control"]) == (404, FRESH)


def test_a_site_has_its_own_page_for_what_is_missing(edge: RunningEdge):
    edge.site("own.localhost", {"index.html": "home", "404.html": "our own", "404.html.br": "ours in br"})
    answer = edge.ask("own.localhost", "/x", headers={"If-None-Match": "*", "Range": "bytes=0-1"})
    assert (answer.status, answer.body) == (404, b"our own")
    assert edge.ask("own.localhost", "/x", headers={"Accept-Encoding": "br"}).body == b"ours in br"


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 200), ("/users/12", 200), ("/users/12/", 200), ("/users/x.png", 404), ("/v1.2/users", 200)],
)
def test_an_application_answers_for_its_own_paths(edge: RunningEdge, path: str, status: int):
    edge.site("spa.localhost", {"index.html": "application"}, spa=True)
    answer = edge.ask("spa.localhost", path)
    assert answer.status == status
    assert (answer.body == b"application") is (status == 200)


@pytest.mark.parametrize(
    "host",
    [
        "nothing.localhost",
        "..",
        ".",
        "../x",
        "...",
        "",
        "127.0.0.1",
        "[::1]",
        "[::1]:8080",
        "shop.localhost..",
        "*.localhost",
        "sho?.localhost",
        "[a-z]hop.localhost",
        "shop_localhost",
        "UNKNOWN.localhost",
        "-",
        "x" * 300,
    ],
)
@pytest.mark.usefixtures("shop")
def test_other_hostnames_show_nothing(edge: RunningEdge, host: str):
    answer = edge.say(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    status = answer.split(b" ", 2)[1]
    assert status in (b"400", b"404")
    assert b"X-Slipway-Release" not in answer
    assert (b"Nothing is here yet" in answer) is (status == b"404")


def test_a_target_with_a_strange_host_shows_nothing(edge: RunningEdge, shop: str):
    for target in ("http://../", "http://shop.localhost%2f../", "http://%2e%2e/"):
        answer = edge.say(f"GET {target} HTTP/1.1\r\nHost: {shop}\r\nConnection: close\r\n\r\n".encode())
        assert b"X-Slipway-Release" not in answer


@pytest.mark.usefixtures("shop")
@pytest.mark.parametrize("host", ["SHOP.localhost", "shop.localhost.", "Shop.Localhost.:8080"])
def test_another_spelling_is_sent_to_the_plain_one(edge: RunningEdge, host: str):
    answer = edge.ask(host, "/about?q=1")
    port = ":8080" if host.endswith(":8080") else ""
    assert (answer.status, answer.headers["location"]) == (308, f"//shop.localhost{port}/about?q=1")


def test_a_port_in_the_host_does_no_harm(edge: RunningEdge, shop: str):
    assert edge.ask(f"{shop}:8080").body == b"<p>home"


def test_a_retired_site_is_gone_at_once(edge: RunningEdge):
    edge.site("gone.localhost", {"index.html": "here"})
    assert edge.ask("gone.localhost").status == 200
    edge.sites.retire("gone.localhost")
    assert edge.ask("gone.localhost").status == 404


def test_a_page_from_before_the_switch_finds_its_scripts(edge: RunningEdge):
    host, script = "skew.localhost", "/assets/a-BkX3k2aP.js"
    letters_only = "/assets/index-CsUDhMuy.css"
    old = edge.site(host, {script[1:]: "old script", letters_only[1:]: "old too", "plain.js": "old plain"})
    newest = edge.site(host, {"index.html": "new"})
    answer = edge.ask(host, script)
    assert (answer.release, edge.ask(host).release) == (str(old), str(newest))
    assert (answer.status, answer.body, answer.headers["cache-control"]) == (200, b"old script", LASTING)
    assert edge.ask(host, "/plain.js").status == 404
    letters = edge.ask(host, letters_only)
    assert (letters.status, letters.body, letters.headers["cache-control"]) == (200, b"old too", FRESH)
    for _ in range(3):
        edge.show(host, newest)
    assert edge.ask(host, script).status == 200
    edge.site(host, {"index.html": "newer still"})
    assert edge.ask(host, script).release == str(old)
    for number in range(3):
        edge.site(host, {"index.html": f"newer {number}"})
    assert edge.ask(host, script).status == 404


REDIRECTS = """
/old            /about
/temporary      /about?x=1          302
/blog/:y/:slug  /posts/:y-:slug     301
/ext/*          https://example.org/:splat 307
/about          /elsewhere          301
/forced         /about              302!
/app/*          /about              200
/gone/*         /lost               404
/odd            /100%25%20sure%3F   200
/loop/*         /loop/:splat        301
/any/*          /:splat             302
"""
HEADERS = """
/*
  X-Frame-Options: DENY
  X-Content-Type-Options: nosniff
/about
  ! X-Frame-Options
  Cache-Control: max-age=60
  Link: </a.css>; rel=preload
/assets/*
  X-Where: :splat
"""


@pytest.fixture(scope="module")
def ruled(edge: RunningEdge) -> str:
    files = {
        "index.html": "home",
        "about.html": "about",
        "forced.html": "never seen",
        "lost.html": "lost",
        "100% sure?.html": "sure",
        "assets/a-BkX3k2aP.js": "js",
    }
    edge.site("rules.localhost", files, rules=(REDIRECTS, HEADERS))
    return "rules.localhost"


@pytest.mark.parametrize(
    ("path", "status", "location"),
    [
        ("/old", 301, "/about"),
        ("/old/", 301, "/about"),
        ("/old?a=b", 301, "/about?a=b"),
        ("/temporary?a=b", 302, "/about?x=1"),
        ("/blog/2024/hello", 301, "/posts/2024-hello"),
        ("/blog/a%0d%0aSet-Cookie:x/y", 301, "/posts/a%0D%0ASet-Cookie:x-y"),
        ("/ext/a/b?c", 307, "https://example.org/a/b?c"),
        ("/forced", 302, "/about"),
        ("/any//evil.example", 302, "/evil.example"),
        ("/any/%2fevil.example", 302, "/evil.example"),
    ],
)
def test_a_site_may_redirect(edge: RunningEdge, ruled: str, path: str, status: int, location: str):
    answer = edge.ask(ruled, path)
    assert (answer.status, answer.headers["location"], answer.body) == (status, location, b"")
    assert answer.headers["cache-control"] == FRESH
    assert answer.release is not None


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/", 200, b"home"),
        ("/about", 200, b"about"),
        ("/app/x/y", 200, b"about"),
        ("/gone/x", 404, b"lost"),
        ("/odd", 200, b"sure"),
    ],
)
def test_a_site_may_show_one_file_for_another(
    edge: RunningEdge, ruled: str, path: str, status: int, body: bytes
):
    answer = edge.ask(ruled, path)
    assert (answer.status, answer.body) == (status, body)
    assert not [
        name for name in answer.headers if name.startswith("x-slipway-") and name != "x-slipway-release"
    ]


def test_a_rule_that_leads_to_itself_is_passed_over(edge: RunningEdge, ruled: str):
    assert edge.ask(ruled, "/loop/x").status == 404


def test_a_site_may_set_headers(edge: RunningEdge, ruled: str):
    home, about = edge.ask(ruled), edge.ask(ruled, "//about")
    script = edge.ask(ruled, "/assets/a-BkX3k2aP.js")
    assert home.headers["x-frame-options"] == "DENY"
    assert (home.headers["x-content-type-options"], home.headers["cache-control"]) == ("nosniff", FRESH)
    assert "x-frame-options" not in about.headers
    assert about.headers["cache-control"] == "max-age=60"
    assert about.headers["link"] == "</a.css>; rel=preload"
    assert (script.headers["x-where"], script.headers["cache-control"]) == ("a-BkX3k2aP.js", LASTING)


@pytest.mark.usefixtures("shop")
def test_a_visitor_cannot_speak_for_the_edge(edge: RunningEdge, ruled: str):
    forged = {"X-Slipway-Release": "1", "X-Slipway-Uri": "/old", "X-Slipway-Path": "/lost"}
    answer = edge.ask(ruled, "/", headers=forged)
    assert (answer.status, answer.body) == (200, b"home")
    assert answer.release != "1"


def test_thousands_of_redirects_are_answered_at_once(edge: RunningEdge):
    many = "\n".join(f"/from{number} /to{number}" for number in range(2000))
    edge.site("many.localhost", {"index.html": "x"}, rules=(many, ""))
    assert edge.ask("many.localhost", "/from1999").headers["location"] == "/to1999"
    assert edge.ask("many.localhost").body == b"x"


@pytest.mark.parametrize("path", ["/", "/app-3f9a1c2e.js"])
def test_what_a_gate_refuses_is_kept_by_nobody(edge: RunningEdge, path: str):
    release = edge.release({"index.html": "hidden", "app-3f9a1c2e.js": "hidden"})
    edge.show("guarded.localhost", release, watch=Watch.GUARDED)
    answer = edge.ask("guarded.localhost", path)
    told = [answer.headers[name] for name in ("cache-control", "x-content-type-options")]
    assert (answer.status, told) == (401, ["no-store", "nosniff"])


class Seen(NamedTuple):
    """An answer, as a visitor sees it."""

    status: int
    release: str | None
    tag: str | None
    body: bytes


class Visitors:
    """Ask without pause, over connections that are kept, until told to stop."""

    def __init__(self, edge: RunningEdge, host: str, number: int, path: str = "/") -> None:
        self._edge, self._host, self._path = edge, host, path
        self._stop = threading.Event()
        self.answers: list[Seen] = []
        self._asked = [0] * number
        self._threads = [threading.Thread(target=self._run, args=(one,)) for one in range(number)]

    def _run(self, who: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._edge.port, timeout=10)
        while not self._stop.is_set():
            try:
                connection.request("GET", self._path, headers={"Host": self._host})
                response = connection.getresponse()
                release, tag = (response.getheader(name) for name in ("X-Slipway-Release", "ETag"))
                self.answers.append(Seen(response.status, release, tag, response.read()))
            except (OSError, http.client.HTTPException) as error:
                self.answers.append(Seen(0, None, None, repr(error).encode()))
                connection.close()
            self._asked[who] += 1
        connection.close()

    def wait_for_each(self) -> None:
        """Until every visitor got an answer to what it asked after this was called."""
        before = [asked + 1 for asked in self._asked]
        wait_until(lambda: all(now > then for now, then in zip(self._asked, before, strict=True)))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def test_no_visitor_notices_a_switch(edge: RunningEdge):
    host, releases = "busy.localhost", list[int]()
    for _ in range(5):
        number = edge.release({})
        edge.release({})
        page = f"{number} ".encode() * 300
        folder = edge.home / "releases" / str(number) / "files"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "index.html").write_bytes(page)
        releases.append(number)
    edge.show(host, releases[0])
    with Visitors(edge, host, 4) as visitors:
        for turn in range(50):
            edge.show(host, releases[(turn * 3) % 5], led=False)
            if turn % 10 == 0:
                edge.table.prune()
            visitors.wait_for_each()
            # Nobody asks any more who may have found the link to what was shown before.
            edge.sites.host(host).lead()
            visitors.wait_for_each()
    assert {one.status for one in visitors.answers} == {200}
    shown = [set(one.body.split()) for one in visitors.answers]
    assert all(len(one) == 1 for one in shown)
    assert set.union(*shown) == {str(release).encode() for release in releases}
    assert sum(one != other for one, other in pairwise(shown)) > 20
    # By its link and by its entries: what is said of a body is said of this body.
    assert {one.release is None for one in visitors.answers} == {True, False}
    assert all({one.release.encode()} == set(one.body.split()) for one in visitors.answers if one.release)
    assert len({(one.tag, one.body) for one in visitors.answers}) == len(releases)


def test_no_visitor_notices_a_restart_of_the_rules_server(tmp_path_factory: pytest.TempPathFactory):
    home = tmp_path_factory.mktemp("r")
    with running_edge(home) as edge:
        edge.site("rules.localhost", {"index.html": "home"}, rules=("/old /new", "/*\n  X-A: b"))
        socket = Path(home, "run", "rules.sock")
        with Visitors(edge, "rules.localhost", 3) as visitors:
            for _ in range(4):
                edge.edge.restart_rules()
                visitors.wait_for_each()
        assert socket.is_socket()
        assert {(one.status, one.body) for one in visitors.answers} == {(200, b"home")}


def test_requests_wait_for_a_rules_server_that_is_away(tmp_path: Path):
    with running_edge(tmp_path) as edge:
        edge.site("rules.localhost", {"index.html": "home"}, rules=("/old /new", ""))
        path = edge.settings.home / "run" / "rules.sock"
        path.rename(path.with_name("away.sock"))
        answers = list[int]()
        visitor = threading.Thread(target=lambda: answers.append(edge.ask("rules.localhost", "/old").status))
        visitor.start()
        visitor.join(0.3)
        assert answers == []
        path.with_name("away.sock").rename(path)
        visitor.join(5)
        assert answers == [301]


def test_the_sockets_are_for_this_user_alone(edge: RunningEdge):
    assert (edge.settings.home / "run" / "rules.sock").stat().st_mode & 0o777 == 0o600
    assert (edge.settings.home / "run").stat().st_mode & 0o777 == 0o700


def test_a_domain_that_moved_sends_its_visitors_on_with_their_path(edge: RunningEdge):
    moved = Entry(1, NO_RELEASE, spa=False, rules=False, moved_to="acme.example")
    edge.sites.put("www.acme.example", moved)
    answer = edge.ask("www.acme.example", "/a%20b?x=1")
    assert answer.status == 308
    assert answer.headers["location"] == f"http://acme.example:{edge.port}/a%20b?x=1"
    assert "x-slipway-release" not in answer.headers
    release = edge.release({"index.html": "here now"})
    edge.sites.activate("www.acme.example", activation=2, release=ReleaseId(release), spa=False, rules=False)
    assert edge.ask("www.acme.example").body == b"here now"
