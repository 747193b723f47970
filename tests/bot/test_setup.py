import html
import json
import re
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from bot import github_app
from bot.app import create_app
from bot.console.access import Access, console_key
from bot.console.setup import SETUP, STATE_LIFE
from bot.domain.errand import Errand, ErrandKind, ErrandState
from bot.domain.ids import DeliveryId
from bot.domain.listing import Installed, Listed, to_json
from bot.github_app import Secrets, Shown
from bot.store import deliveries, errands, gaps, polls
from bot.store.deliveries import NewDelivery, StoredDecision
from bot.store.engine import reading, writing
from bot.vault import open_vault
from tests.instance import Instance
from tests.serving import serving

EVIL = "<script>alert(1)</script>"
CODE = "c" * 40


@pytest.fixture
def instance(tmp_path: Path) -> Generator[Instance]:
    instance = Instance(tmp_path)
    instance.settings = instance.settings.model_copy(update={"public_url": "http://bot.example.org"})
    yield instance
    instance.close()


@pytest.fixture
def access(instance: Instance) -> Access:
    return Access(console_key(instance.settings), public_url=instance.settings.url, clock=instance.now)


@pytest.fixture
def url(instance: Instance) -> Generator[str]:
    with serving(create_app(instance.settings, clock=instance.now)) as url:
        yield url


@pytest.fixture
def client(instance: Instance, url: str) -> Generator[httpx.Client]:
    with httpx.Client(base_url=url) as client:
        client.post("/sign-in", data={"key": console_key(instance.settings)})
        yield client


def newest(instance: Instance, kind: ErrandKind) -> Errand | None:
    with reading(instance.engine) as tx:
        return errands.newest(tx, kind)


def finish(
    instance: Instance, kind: ErrandKind, result: dict[str, object] | None = None, note: str = ""
) -> None:
    with writing(instance.engine) as tx:
        found = errands.newest(tx, kind)
        assert found is not None
        state = ErrandState.FAILED if note else ErrandState.DONE
        errands.finish(tx, found.id, state, instance.now(), result=result, note=note)


def make_app(instance: Instance) -> None:
    api = instance.settings.github_api_url
    shown = Shown("7", f"Slipway {EVIL}", "s", "Iv1", "https://github.com/apps/s", "acme", api, has_hook=True)
    with writing(instance.engine) as tx:
        github_app.keep(tx, open_vault(instance.settings), shown, Secrets("key", "cs", "ws"))


def form_of(client: httpx.Client, address: str = "/setup") -> tuple[str, str]:
    """Where the form that makes the App goes, and its state."""
    page = client.get(address)
    assert page.status_code == 200
    action = html.unescape(re.findall(r'<form method="post" action="(https://[^"]+)"', page.text)[0])
    return action, httpx.URL(action).params["state"]


def test_strangers_and_other_sites_can_do_nothing(instance: Instance, url: str, client: httpx.Client):
    with httpx.Client(base_url=url) as stranger:
        for path in ("/setup", f"/setup/github?code={CODE}&state=x", "/deliveries", "/deliveries/1"):
            answer = stranger.get(path)
            assert (answer.status_code, answer.headers["location"][:9]) == (303, "/sign-in?")
        for path in ("/setup/apps", "/setup/refresh", "/deliveries/1/replay", "/deliveries/gaps/x/replay"):
            assert stranger.post(path).headers["location"] == "/sign-in?next=/"
    for path in ("/setup/apps", "/setup/refresh", "/deliveries/1/replay", "/deliveries/gaps/x/replay"):
        assert client.post(path, headers={"origin": "https://evil.example"}).status_code == 403
        assert client.post(path, headers={"sec-fetch-site": "same-site"}).status_code == 403
    assert all(newest(instance, kind) is None for kind in ErrandKind)


def test_one_click_sends_the_manifest_and_the_way_back_takes_the_code(
    instance: Instance, client: httpx.Client
):
    page = client.get("/setup")
    manifest = json.loads(html.unescape(re.findall(r'name="manifest" value="([^"]+)"', page.text)[0]))
    assert manifest["redirect_url"] == "http://bot.example.org/setup/github"
    assert "form-action 'self' https://github.com;" in page.headers["content-security-policy"]
    action, state = form_of(client)
    assert action.startswith("https://github.com/settings/apps/new?state=")
    answer = client.get("/setup/github", params={"code": CODE, "state": state})
    assert (answer.status_code, answer.headers["location"]) == (303, "/setup")
    asked = newest(instance, ErrandKind.FINISH_SETUP)
    assert asked is not None
    assert asked.sealed is not None
    assert CODE not in str(asked)
    assert open_vault(instance.settings).open(asked.sealed).decode() == CODE
    assert "Taking over the App" in client.get("/setup").text
    finish(instance, ErrandKind.FINISH_SETUP, note="GitHub does not take the code")
    page = client.get("/setup")
    assert "GitHub does not take the code" in page.text
    assert "Make the GitHub App" in page.text


def test_an_organization_may_own_it_and_nothing_else_gets_into_the_address(client: httpx.Client):
    action, _ = form_of(client, "/setup?organization=acme")
    assert action.startswith("https://github.com/organizations/acme/settings/apps/new?")
    for text in ("../evil", "a/b", EVIL, "a" * 80):
        action, _ = form_of(client, f"/setup?organization={text}")
        assert action.startswith("https://github.com/settings/apps/new?")


def test_a_state_counts_for_its_visitor_for_an_hour(
    instance: Instance, url: str, access: Access, client: httpx.Client
):
    _, state = form_of(client)
    end, _, signature = state.partition(".")
    instance.moment = datetime.now(UTC) + timedelta(seconds=30)
    with httpx.Client(base_url=url) as other:
        other.post("/sign-in", data={"key": console_key(instance.settings)})
        assert other.get("/setup/github", params={"code": CODE, "state": state}).status_code == 403
        by_command = access.state(SETUP, None, STATE_LIFE)
        assert other.get("/setup/github", params={"code": CODE, "state": by_command}).status_code == 303
        assert by_command != access.state("something else", None, STATE_LIFE)
    finish(instance, ErrandKind.FINISH_SETUP, {})
    wrong = ["", "x", ".", f"{end}.", f"{int(end) + 60}.{signature}", access.state("other", None, STATE_LIFE)]
    for text in wrong:
        assert client.get("/setup/github", params={"code": CODE, "state": text}).status_code == 403
    for code in ("", "short", "a b" * 10, "x" * 300):
        assert client.get("/setup/github", params={"code": code, "state": state}).status_code == 403
    instance.moment = datetime.now(UTC) + timedelta(minutes=61)
    assert client.get("/setup/github", params={"code": CODE, "state": state}).status_code == 403
    asked = newest(instance, ErrandKind.FINISH_SETUP)
    assert asked is not None
    assert asked.state is ErrandState.DONE


def test_repositories_are_listed_and_become_apps(instance: Instance, client: httpx.Client):
    make_app(instance)
    page = client.get("/setup")
    assert EVIL not in page.text
    assert "asking GitHub" in page.text
    assert "https://github.com/apps/s/installations/new" in page.text
    one = Listed(31, "acme/shop", "https://github.com/acme/shop.git", "main", private=True)
    found = (
        Installed(1, "acme", "https://github.com/x", repositories=(one,)),
        Installed(2, EVIL, "", suspended=True),
    )
    finish(instance, ErrandKind.LIST_REPOSITORIES, to_json(found))
    page = client.get("/setup")
    assert EVIL not in page.text
    assert "acme/shop" in page.text
    assert "suspended" in page.text
    answer = client.post("/setup/apps", data={"repository": "31"})
    asked = newest(instance, ErrandKind.MAKE_APP)
    assert asked is not None
    assert (answer.status_code, answer.headers["location"]) == (303, f"/setup/apps/{asked.id}")
    assert asked.subject == {"repository_id": 31}
    assert "Looking at the repository" in client.get(f"/setup/apps/{asked.id}").text
    choice = {"root": "apps/<b>", "framework": "Vite", "evidence": ["x"], "build": "", "output": ""}
    finish(instance, ErrandKind.MAKE_APP, {"choices": [choice], "repository": "acme/shop"})
    assert "apps/&lt;b&gt;" in client.get(f"/setup/apps/{asked.id}").text
    client.post("/setup/apps", data={"repository": "31", "root": "apps/web", "chosen": "1"})
    chosen = newest(instance, ErrandKind.MAKE_APP)
    assert chosen is not None
    assert chosen.subject == {"repository_id": 31, "root": "apps/web"}
    finish(instance, ErrandKind.MAKE_APP, {"slug": "web", **choice})
    assert 'href="/apps/web"' in client.get(f"/setup/apps/{chosen.id}").text
    client.post("/setup/apps", data={"repository": "31"})
    failed = newest(instance, ErrandKind.MAKE_APP)
    assert failed is not None
    finish(instance, ErrandKind.MAKE_APP, note=f"No kind of site.\n\nIt has {EVIL}")
    page = client.get(f"/setup/apps/{failed.id}")
    assert "No kind of site." in page.text
    assert EVIL not in page.text
    for number in ("", "x", "-1", "9" * 30):
        assert client.post("/setup/apps", data={"repository": number}).status_code == 404
    assert client.get("/setup/apps/999").status_code == 404
    assert client.get(f"/setup/apps/{'9' * 30}").status_code == 404


def add(instance: Instance, guid: str, body: bytes = b"{}", source: str = "github") -> DeliveryId:
    new = NewDelivery("1", guid, "push", body, instance.now(), source)
    with writing(instance.engine) as tx:
        return deliveries.insert_new(tx, [new])["1", guid]


def test_the_ledger_shows_what_was_decided_and_why(instance: Instance, client: httpx.Client):
    assert "has not told anything yet" in client.get("/deliveries").text
    app = instance.app("shop")
    body = json.dumps({"repository": {"full_name": "acme/shop"}, "action": EVIL}).encode()
    decided, waiting = add(instance, "guid-1", body), add(instance, "guid-2", b"no JSON", source="poll")
    facts = {"environments": {"production": "main"}, "notes": [EVIL], "changed": 3, "deployments": [1]}
    made = instance.push(app, "a" * 40)
    assert made.id == 1
    with writing(instance.engine) as tx:
        assert deliveries.mark_decided(tx, decided, instance.now())
        sentence = f"Pushed to main {EVIL}."
        decision = StoredDecision(
            decided, app.id, "deploy", "production-branch", sentence, facts, instance.now()
        )
        deliveries.add_decision(tx, decision)
    page = client.get("/deliveries")
    assert EVIL not in page.text
    assert "acme/shop" in page.text
    assert "Pushed to main" in page.text
    assert "· poll" in page.text
    assert "decided 1" in page.text
    one = client.get(f"/deliveries/{decided}").text
    for text in ("production-branch", "production: main", "DEP-1", "it would change nothing", "guid-1"):
        assert text in one
    assert EVIL not in one
    assert "Slipway asked the repository what is new." in client.get(f"/deliveries/{waiting}").text
    assert "guid-1" not in client.get("/deliveries?state=received").text
    assert client.get(f"/deliveries/{'9' * 40}").status_code == 404
    assert client.get("/deliveries/99").status_code == 404


def test_the_ledger_is_shown_by_pages(instance: Instance, client: httpx.Client):
    for number in range(60):
        add(
            instance, f"guid-{number}", json.dumps({"repository": {"full_name": f"acme/r{number}."}}).encode()
        )
    first = client.get("/deliveries").text
    older = html.unescape(re.findall(r'href="(/deliveries\?before=[^"]+)"', first)[0])
    second = client.get(older).text
    assert ("acme/r59." in first, "acme/r9." in first) == (True, False)
    assert ("acme/r59." in second, "acme/r9." in second, "Older" in second) == (False, True, False)
    assert client.get("/deliveries?before=x&state=evil").status_code == 200


def test_what_failed_is_decided_again_and_what_is_decided_stays(instance: Instance, client: httpx.Client):
    failed, decided = add(instance, "failed"), add(instance, "decided")
    with writing(instance.engine) as tx:
        deliveries.put_off(tx, failed, "it broke", None)
        deliveries.mark_decided(tx, decided, instance.now())
    assert "it broke" in client.get("/deliveries?state=failed").text
    for number in (failed, decided):
        answer = client.post(f"/deliveries/{number}/replay")
        assert answer.headers["location"] == f"/deliveries/{number}"
    client.post("/deliveries/999/replay")
    with reading(instance.engine) as tx:
        again, same = deliveries.get(tx, failed), deliveries.get(tx, decided)
    assert again is not None
    assert same is not None
    assert (again.state, again.attempts, same.state) == ("received", 0, "decided")


def test_gaps_are_shown_and_asked_for(instance: Instance, client: httpx.Client):
    assert "not checked yet" in client.get("/deliveries").text
    gap = gaps.Open(5, instance.now() - timedelta(hours=2), event="push", times=1)
    with writing(instance.engine) as tx:
        gaps.keep(tx, gaps.Recovered(instance.now() - timedelta(seconds=9), 1, "limited", open={"g-1": gap}))
    page = client.get("/deliveries").text
    for text in ("1 gap, last checked", "limited", "g-1", "1 time", "2 h ago"):
        assert text in page
    assert client.post("/deliveries/gaps/unknown/replay").status_code == 404
    assert client.post("/deliveries/gaps/g-1/replay").status_code == 303
    asked = newest(instance, ErrandKind.REDELIVER)
    assert asked is not None
    assert asked.subject == {"guid": "g-1"}
    assert "asking GitHub" in client.get("/deliveries").text


def test_an_instance_that_polls_says_how_that_went(instance: Instance):
    settings = instance.settings.model_copy(update={"intake": "poll"})
    with writing(instance.engine) as tx:
        polls.note(tx, instance.now(), {"acme/gone": f"no {EVIL}", "acme/shop": ""})
    headers = {"authorization": f"Bearer {console_key(settings)}"}
    with serving(create_app(settings)) as url, httpx.Client(base_url=url, headers=headers) as client:
        page = client.get("/deliveries").text
        assert "Repositories were asked" in page
        assert "acme/gone" in page
        assert "acme/shop" not in page
        assert EVIL not in page
        assert "the App gets no webhook" in client.get("/setup").text
