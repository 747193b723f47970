import json
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from bot.api.openapi import document
from bot.api.rates import Limiter, Rates
from bot.api.reading import MAX_BODY
from bot.api.refusals import RefusalError
from bot.domain.ids import TenantId
from bot.domain.roles import Principal
from bot.queue import connect
from bot.store import apps
from bot.store.engine import reading
from tests.calling import PREFIX, Site, api_site
from tests.valkey import Valkey


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with api_site(tmp_path_factory.mktemp("home")) as site:
        yield site


def names(site: Site) -> set[str]:
    with reading(site.instance.engine) as tx:
        return {app.slug for app in apps.all_apps(tx)}


def test_answers_carry_the_request_id_that_was_sent_when_it_can_be_one(site: Site):
    sent = site.owner.call("GET", "/auth/me", x_request_id="build-4711")
    assert sent.headers["x-request-id"] == sent.json()["meta"]["requestId"] == "build-4711"
    odd = site.owner.call("GET", "/auth/me", x_request_id="a b<script>")
    assert odd.headers["x-request-id"] != "a b<script>"


def test_pages_follow_each_other_without_gaps(site: Site):
    for number in range(5):
        site.owner.post("/apps", {"repository": f"acme/page-{number}", "slug": f"page-{number}"})
    first = site.owner.call("GET", "/apps?search=page-&pageSize=2&sort=-slug").json()
    assert [app["slug"] for app in first["data"]] == ["page-4", "page-3"]
    assert first["meta"]["pagination"] == {
        "page": 1,
        "pageSize": 2,
        "totalItems": 5,
        "totalPages": 3,
        "hasNext": True,
        "hasPrevious": False,
    }
    last = site.owner.call("GET", "/apps?search=page-&pageSize=2&sort=-slug&page=3").json()
    assert [app["slug"] for app in last["data"]] == ["page-0"]
    assert last["meta"]["pagination"]["hasNext"] is False


def test_a_filter_is_the_parameters_as_one_object(site: Site):
    by_filter = site.owner.get('/apps?filter={"search":"page-1"}')
    assert by_filter == site.owner.get("/apps?search=page-1")
    refused = site.owner.get('/apps?filter={"colour":"red"}', 400)
    assert refused["validationErrors"][0]["field"] == "colour"


@pytest.mark.parametrize(
    "query", ["page=0", "pageSize=101", "sort=size", "nonsense=1", "page=x", "filter=[1]"]
)
def test_wrong_parameters_are_named(site: Site, query: str):
    refused = site.owner.get(f"/apps?{query}", 400)
    assert refused["code"] == "validation-failed"
    assert refused["validationErrors"][0]["field"] == query.partition("=")[0]


def test_every_wrong_field_is_named_at_once(site: Site):
    body = {"repository": "shop", "productionBranch": "a..b", "rootDirectory": "../etc", "colour": "red"}
    refused = site.owner.post("/apps", body, 400)
    fields = {one["field"] for one in refused["validationErrors"]}
    assert fields == {"repository", "productionBranch", "rootDirectory", "colour"}
    assert all(one["message"] and one["code"] for one in refused["validationErrors"])


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "invalid-json"),
        (b'{"repository": "acme/x"}', "text/plain", 415, "unsupported-media-type"),
        (b"[" * 10_000, "application/json", 400, "invalid-json"),
        (b'{"repository": "\\ud800"}', "application/json", 400, "invalid-json"),
        (b"[]", "application/json", 400, "validation-failed"),
        (b'{"repository": 1}', "application/json", 400, "validation-failed"),
        (b" " * (MAX_BODY + 1), "application/json", 413, "body-too-large"),
    ],
)
def test_bodies_that_are_none_are_refused(site: Site, body: bytes, kind: str, status: int, code: str):
    headers = {"content-type": kind}
    answer = site.owner.http.post(f"{PREFIX}/apps", content=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_body_without_a_length_is_limited_too(site: Site):
    chunks = (b" " * 65536 for _ in range(MAX_BODY // 65536 + 2))
    headers = {"content-type": "application/json"}
    assert site.owner.http.post(f"{PREFIX}/apps", content=chunks, headers=headers).status_code == 413


def test_other_methods_and_addresses_are_refused_in_the_same_shape(site: Site):
    wrong = site.owner.call("PUT", "/apps")
    assert wrong.headers["allow"] == "GET, POST"
    assert site.owner.call("GET", "/apps/shop/colour").status_code == 404
    assert site.owner.call("GET", "/apps/no%00pe").status_code == 404


def test_a_repeated_request_is_answered_as_the_first_time(site: Site):
    body = {"repository": "acme/once", "ownSecret": True}
    first = site.owner.call("POST", "/apps", body, idempotency_key="one")
    again = site.owner.call("POST", "/apps", body, idempotency_key="one")
    assert first.json()["data"]["webhookSecret"]
    assert again.json()["data"] == first.json()["data"]
    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    assert "once-2" not in names(site)
    other = site.owner.call("POST", "/apps", {"repository": "acme/two"}, idempotency_key="one")
    assert other.json()["error"]["code"] == "idempotency-key-reused"
    # A key is the caller's own.
    theirs = site["stranger"].call("POST", "/apps", {"repository": "x/three"}, idempotency_key="one")
    assert theirs.json()["data"]["slug"] == "three"


def test_a_refused_request_leaves_its_key_free(site: Site):
    body = {"repository": "acme/late", "slug": "shop"}
    assert site.owner.call("POST", "/apps", body, idempotency_key="two").status_code == 422
    body["slug"] = "late"
    assert site.owner.call("POST", "/apps", body, idempotency_key="two").status_code == 201


def test_a_secret_is_not_kept_in_the_clear_for_repeated_requests(site: Site):
    made = site.owner.call("POST", "/account/api-tokens", {"name": "ci"}, idempotency_key="three").json()
    text = made["data"]["token"]
    for path in site.instance.settings.home.glob("slipway.db*"):
        assert text.encode() not in path.read_bytes()
        assert text.partition("_")[2].encode() not in path.read_bytes()


def test_a_foreign_page_can_not_use_the_consoles_cookie(site: Site):
    key = site["operator"].http.headers["authorization"].removeprefix("Bearer ")
    with httpx.Client(base_url=site.url, verify=False) as browser:
        browser.post("/sign-in", data={"key": key})
        own = {"sec-fetch-site": "same-origin"}
        foreign = {"sec-fetch-site": "same-site"}
        body = {"slug": "tricked", "name": "Tricked"}
        assert browser.get(f"{PREFIX}/orgs", headers=foreign).status_code == 200
        assert browser.post(f"{PREFIX}/orgs", json=body, headers=foreign).status_code == 401
        assert browser.post(f"{PREFIX}/orgs", json=body, headers=own).status_code == 201


def test_too_many_requests_of_a_token_or_of_all_tokens_are_put_off(tmp_path: Path):
    with Valkey() as valkey, api_site(tmp_path, valkey.url, Rates(per_token=3, per_tenant=5)) as site:
        site.instance.moment = datetime.now(UTC)
        left = [site.owner.call("GET", "/auth/me").headers["x-ratelimit-remaining"] for _ in range(3)]
        assert left == ["2", "1", "0"]
        refused = site.owner.call("GET", "/auth/me")
        assert refused.json()["error"]["code"] == "rate-limited"
        assert 0 < int(refused.headers["retry-after"]) <= 60
        assert refused.headers["x-ratelimit-limit"] == "3"
        states = [site["admin"].call("GET", "/auth/me").status_code for _ in range(3)]
        assert states == [200, 200, 429]
        assert site["stranger"].call("GET", "/auth/me").status_code == 200
        site.instance.pass_by(timedelta(minutes=1))
        assert site.owner.call("GET", "/auth/me").headers["x-ratelimit-remaining"] == "2"


def test_limits_hold_while_redis_is_away():
    limiter = Limiter(connect("unix:///nowhere.sock", retries=0), Rates(2, 10))
    caller = Principal("token:1", "mona", frozenset(), TenantId(1))
    assert [limiter.take(caller).remaining for _ in range(2)] == [1, 0]
    with pytest.raises(RefusalError) as refused:
        limiter.take(caller)
    assert refused.value.status == 429


def test_the_document_is_openapi_and_its_examples_fit():
    whole = document()
    assert whole["openapi"] == "3.1.0"
    shared = {"components": whole["components"]}
    seen: set[str] = set()
    for methods in whole["paths"].values():
        for described in methods.values():
            assert described["operationId"] not in seen
            seen.add(described["operationId"])
            assert {"401", "404", "429"} <= set(described["responses"])
            for content in _contents(described):
                jsonschema_rs.validate({**content["schema"], **shared}, content["example"])
    assert json.loads(json.dumps(whole)) == whole


def _contents(described: dict[str, Any]) -> list[dict[str, Any]]:
    bodies = [described["requestBody"]["content"]] if "requestBody" in described else []
    answers = [answer["content"] for answer in described["responses"].values() if "content" in answer]
    found = [one["application/json"] for one in (*bodies, *answers) if "application/json" in one]
    return [content for content in found if "example" in content]
