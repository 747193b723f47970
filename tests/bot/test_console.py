import re
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route

from bot.app import create_app
from bot.attempts import FREE_ATTEMPTS, LONGEST_PAUSE, Attempts
from bot.console.access import (
    Access,
    console_key,
    local_path,
    sign_in_link,
)
from bot.console.pages import Pages
from bot.domain.deployment import Blame, Failure, Phase
from bot.logs import DeploymentLog
from bot.queue import connect
from bot.store.engine import StoreError
from bot.wording import ago, ahead, duration, first_line, size
from tests.instance import Instance
from tests.serving import serving

EVIL = "<script>alert(1)</script> & \u202egnp.exe"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Generator[Instance]:
    instance = Instance(tmp_path_factory.mktemp("home"))
    yield instance
    instance.close()


@pytest.fixture(scope="module")
def url(instance: Instance) -> Generator[str]:
    make_deployments(instance)
    with serving(create_app(instance.settings, clock=instance.now)) as url:
        yield url


def make_deployments(instance: Instance) -> None:
    shop, evil = instance.app("shop"), instance.app("evil", "acme/evil")
    instance.app("fresh")
    instance.push(shop, "a" * 40, message="Show the price\n\nand more")
    claim = instance.claim()
    log = DeploymentLog(instance.settings.home, claim.deployment.id, connect(instance.settings.redis))
    log.output("build", "stdout", b"".join(b"line %d <b>\n" % number for number in range(1, 2501)))
    instance.step(claim, Phase.BUILD, command="npm run build", code=0)
    instance.succeed(claim)
    log.close()
    instance.push(evil, "b" * 40, branch="main", message=EVIL)
    claim = instance.claim()
    instance.step(claim, Phase.BUILD, command=EVIL, code=1)
    facts: dict[str, str | int] = {"command": EVIL, "exit_code": 1}
    instance.fail(claim, Failure("no-such-code", facts, Blame.USER))
    instance.push(shop, "c" * 40, environment="staging", branch="develop")


@pytest.fixture
def client(instance: Instance, url: str) -> Generator[httpx.Client]:
    headers = {"authorization": f"Bearer {console_key(instance.settings)}"}
    with httpx.Client(base_url=url, headers=headers) as client:
        yield client


@pytest.fixture
def stranger(url: str) -> Generator[httpx.Client]:
    with httpx.Client(base_url=url) as client:
        yield client


def test_the_overview_shows_what_is_live_and_what_happened(client: httpx.Client):
    page = client.get("/").text
    assert "a" * 7 in page
    assert "Show the price" in page
    assert "and more" not in page
    assert "http://shop.localhost:8080" in page
    assert "https://github.com/acme/shop/commit/" + "a" * 40 in page
    assert "nothing yet: push to deploy" in page
    latest = page.partition("Latest deployments")[2]
    assert re.findall(r">(DEP-\d+)<", latest) == ["DEP-3", "DEP-2", "DEP-1"]


def test_an_app_shows_its_releases_and_where_they_are_live(client: httpx.Client):
    page = client.get("/apps/shop").text
    assert "1.2 MB" in page
    assert '<span class="state succeeded">production</span>' in page
    assert "DEP-2" not in page


def test_a_deployment_shows_its_steps_and_the_end_of_its_log(client: httpx.Client):
    page = client.get("/deployments/DEP-1").text
    assert "npm run build" in page
    assert 'id="L501"' in page
    assert 'id="L2500"' in page
    assert 'id="L500"' not in page
    assert "line 2500 &lt;b&gt;" in page
    assert "data-stream" not in page


def test_the_log_is_paged_and_downloaded_whole(client: httpx.Client):
    first = client.get("/deployments/DEP-1?after=0").text
    assert 'id="L1"' in first
    assert 'id="L2001"' not in first
    assert "?after=2000#log" in first
    text = client.get("/deployments/DEP-1/log.txt")
    assert text.headers["content-type"] == "text/plain; charset=utf-8"
    assert len(text.text.splitlines()) == 2500


@pytest.mark.parametrize("path", ["/", "/apps/evil", "/deployments/DEP-2", "/deployments/DEP-2/standing"])
def test_texts_of_others_stay_texts(client: httpx.Client, path: str):
    page = client.get(path).text
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "\u202e" not in page


def test_pages_allow_nothing_from_elsewhere(client: httpx.Client):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    for reference in re.findall(r'(?:src|href)="(/assets/[^"]+)"', answer.text):
        asset = client.get(reference)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]
    assert not re.search(r'(?:src|integrity)="https?:', answer.text)


@pytest.mark.parametrize(
    "path", ["/apps/none", "/deployments/DEP-99", "/deployments/x", "/nothing", "/assets/1/console.js"]
)
def test_what_is_not_there_is_a_friendly_page(client: httpx.Client, path: str):
    answer = client.get(path)
    assert answer.status_code == 404
    assert "Nothing here" in answer.text


def test_a_log_in_an_unreachable_redis_is_said_to_be_unreadable(client: httpx.Client):
    page = client.get("/deployments/DEP-3").text
    assert "Redis does not answer" in page


def test_strangers_are_sent_to_sign_in_and_back(stranger: httpx.Client, instance: Instance):
    away = stranger.get("/deployments/DEP-1?after=3")
    assert away.status_code == 303
    form = stranger.get(away.headers["location"]).text
    assert 'name="next" type="hidden" value="/deployments/DEP-1?after=3"' in form
    fields = {"key": console_key(instance.settings), "next": "/deployments/DEP-1?after=3"}
    back = stranger.post("/sign-in", data=fields)
    assert back.headers["location"] == "/deployments/DEP-1?after=3"
    cookie = back.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert stranger.get("/").status_code == 200
    stranger.post("/sign-out")
    assert stranger.get("/").status_code == 303


def test_a_changed_cookie_and_a_wrong_key_open_nothing(stranger: httpx.Client, instance: Instance):
    stranger.post("/sign-in", data={"key": console_key(instance.settings)})
    end, _, signature = stranger.cookies["slipway"].partition(".")
    for token in (f"{int(end) + 1}.{signature}", f"{end}.", "", f"x.{signature}"):
        assert stranger.get("/", headers={"cookie": f"slipway={token}"}, follow_redirects=False).is_redirect
    assert stranger.post("/sign-in", data={"key": "wrong"}).status_code == 403
    assert stranger.get("/", headers={"authorization": "Bearer wrong", "cookie": ""}).is_redirect


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"origin": "http://evil.localhost:8080"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({}, 303),
    ],
)
def test_forms_come_from_this_very_site(
    stranger: httpx.Client, instance: Instance, headers: dict[str, str], status: int
):
    fields = {"key": console_key(instance.settings)}
    assert stranger.post("/sign-in", data=fields, headers=headers).status_code == status


def test_a_cookie_ends_after_a_week():
    now = [datetime(2026, 1, 1, tzinfo=UTC)]
    access = Access("key", public_url="https://slipway.example", clock=lambda: now[0])
    given = Response()
    access.sign_in(given)
    cookie = given.headers["set-cookie"]
    assert cookie.startswith("__Host-slipway=")
    assert "Secure" in cookie
    headers = [(b"cookie", cookie.partition(";")[0].encode())]
    caller = HTTPConnection({"type": "http", "headers": headers})
    assert access.allows(caller)
    now[0] += timedelta(days=7)
    assert not access.allows(caller)


def test_the_key_is_made_once_and_is_its_owners_alone(tmp_path: Path, instance: Instance):
    settings = instance.settings.model_copy(update={"home": tmp_path})
    key = console_key(settings)
    assert console_key(settings) == key
    assert (tmp_path / "keys" / "console.key").stat().st_mode & 0o777 == 0o600
    assert sign_in_link(settings) == f"http://localhost:8000/sign-in#{key}"


def test_each_failure_after_some_doubles_the_pause():
    now = [0.0]
    attempts = Attempts(clock=lambda: now[0])
    pauses: list[float] = []
    for _ in range(FREE_ATTEMPTS + 12):
        attempts.failed("a")
        pauses.append(attempts.pause("a"))
        now[0] += pauses[-1]
    assert pauses[: FREE_ATTEMPTS + 2] == [0] * (FREE_ATTEMPTS - 1) + [1, 2, 4]
    assert pauses[-1] == LONGEST_PAUSE
    assert attempts.pause("b") == 0
    attempts.succeeded("a")
    assert attempts.pause("a") == 0


def test_who_guesses_from_many_addresses_of_one_network_is_one_guesser():
    attempts = Attempts(clock=lambda: 0.0)
    for number in range(FREE_ATTEMPTS):
        attempts.failed(f"2001:db8::{number:x}")
        attempts.failed("::ffff:192.0.2.7 a-handle")
    assert attempts.pause("2001:db8::ffff:1") == 1
    assert attempts.pause("2001:db8:0:1::1") == 0
    assert attempts.pause("192.0.2.7 a-handle") == 1
    assert attempts.pause("192.0.2.7") == 0


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("/apps/shop?x=1", "/apps/shop?x=1"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\t/evil.example", "/"),
        ("https://evil.example", "/"),
        ("javascript:alert(1)", "/"),
        ("", "/"),
        (None, "/"),
    ],
)
def test_only_local_paths_are_gone_on_to(text: str | None, path: str):
    assert local_path(text) == path


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.04, "40 ms"), (4.25, "4.2 s"), (42, "42 s"), (60, "1 min"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations(seconds: float, words: str):
    assert duration(timedelta(seconds=seconds)) == words


def test_a_store_that_does_not_answer_is_said(instance: Instance):
    async def broken(_request: Request) -> Response:
        raise StoreError("disk I/O error")

    pages = Pages(instance.settings)
    app = Starlette(routes=[Route("/", broken)], exception_handlers={Exception: pages.on_error})
    with serving(app) as url:
        answer = httpx.get(url, trust_env=False)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    assert "does not answer" in answer.text
    assert "disk" not in answer.text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "in 1 s"), (59, "in 59 s"), (61, "in 2 min"), (86_400, "in 1 d"), (200_000, "in 3 d")],
)
def test_moments_ahead(seconds: float, words: str):
    assert ahead(timedelta(seconds=seconds)) == words


def test_moments_sizes_and_messages():
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert [ago(now - timedelta(seconds=one), now) for one in (-3, 4, 59, 7199, 200_000, 5_000_000)] == [
        "just now",
        "just now",
        "59 s ago",
        "1 h ago",
        "2 d ago",
        "2 Jan 2026",
    ]
    assert [size(one) for one in (812, 1_234, 123_456, 5_000_000_000)] == [
        "812 B",
        "1.2 kB",
        "123 kB",
        "5.0 GB",
    ]
    assert first_line("  One\nTwo") == "One"
    assert first_line("x" * 200) == "x" * 119 + "…"
