import asyncio
import json
import re
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx
import jsonschema_rs
import pytest
from starlette.requests import Request

from bot.api.openapi import document
from bot.api.patterns import SAID as SAID_OF_PATTERNS
from bot.api.rates import Limiter, Rates
from bot.api.reading import MAX_BODY, body_of, parameters
from bot.api.refusals import RefusalError
from bot.api.routes import OPERATIONS
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


SAID = {
    "cloneUrl": ("ftp://x", "https://HOST/..."),
    "slug": (7, "in quotes"),
    "ownSecret": ("yes", "true or false"),
    "clone_url": ("https://example.org/x", "Did you mean cloneUrl?"),
    "colour": ("red", "There are: repository, cloneUrl, slug,"),
}


def test_every_wrong_field_says_what_to_write_instead(site: Site):
    refused = site.owner.post("/apps", {name: value for name, (value, _) in SAID.items()}, 400)
    said = {one["field"]: one["message"] for one in refused["validationErrors"]}
    assert said.pop("repository") == "It is needed."
    assert set(said) == set(SAID)
    for name, (_, words) in SAID.items():
        assert words in said[name]
    refused = site.owner.get("/deployments?page_size=2&status=x,&pageSize=1e3", 400)
    said = {one["field"]: one["message"] for one in refused["validationErrors"]}
    assert "Did you mean pageSize?" in said["page_size"]
    assert said["pageSize"] == "Write a whole number."
    assert "commas between" in said["status"]
    assert "time zone" in site.owner.get("/audit?since=0.5", 400)["message"]
    assert "control" in site.owner.get("/apps?search=%00", 400)["message"]


def test_what_was_sent_is_not_sent_back_at_length(site: Site):
    answers = [
        site.owner.call("POST", "/apps", {"x" * 500_000: 1, "repository": "y" * 500_000}),
        site.owner.call("GET", f"/apps?{'x' * 9000}=1&{'x' * 9000}=2"),
        site.owner.call("GET", f"/apps/{'x' * 9000}"),
        site.owner.call("GET", f"/{'x' * 9000}"),
    ]
    assert [answer.status_code for answer in answers] == [400, 400, 404, 404]
    assert max(len(answer.content) for answer in answers) < 1500


def test_what_pydantic_says_never_reaches_anybody():
    """Each rule of the document has words of ours."""
    text = json.dumps(document())
    patterns = {json.loads(f'"{one}"') for one in re.findall(r'"pattern": "((?:[^"\\]|\\.)*)"', text)}
    assert len(patterns) > 5
    assert patterns - {"^[!-~]{1,200}$"} <= set(SAID_OF_PATTERNS)


def test_a_name_that_stands_twice_in_a_body_is_refused(site: Site):
    headers = {"content-type": "application/json"}
    bodies = ['{"variables":{"A":"1","A":"2"}}', '{"variables":{"A":"1"},"variables":{}}']
    for body, name in zip(bodies, ("A", "variables"), strict=True):
        answer = site.owner.http.patch(f"{PREFIX}/apps/shop/variables", content=body, headers=headers)
        assert answer.status_code == 400
        assert answer.json()["error"]["validationErrors"][0]["field"] == name
    assert site.owner.get("/apps/shop/variables")["variables"] == []


def test_a_slash_in_a_name_is_written_as_one_word(site: Site):
    assert site.owner.get("/apps/shop/environments/preview%2Fpr-9", 404)["message"].count("preview/pr-9") == 1


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


def test_a_body_that_does_not_come_is_not_waited_for():
    async def silent() -> dict[str, Any]:
        await asyncio.Event().wait()
        raise AssertionError

    async def gone() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    for receive, status in ((silent, 408), (gone, 400)):
        request = Request({"type": "http", "headers": []}, receive)
        with pytest.raises(RefusalError) as refused:
            asyncio.run(body_of(request, seconds=0.01))
        assert refused.value.status == status


def test_other_methods_and_addresses_are_refused_in_the_same_shape(site: Site):
    wrong = site.owner.call("PUT", "/apps")
    assert wrong.headers["allow"] == "GET, POST"
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"):
        assert site.owner.call(method, "/colours/red").json()["error"]["code"] == "not-found"
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
        # Nor can what does not say where it comes from.
        assert browser.post(f"{PREFIX}/orgs", json=body).status_code == 401
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
            assert described["responses"].keys() - {"200", "201", "202"}
            for content in _contents(described):
                jsonschema_rs.validate({**content["schema"], **shared}, content["example"])
    for answer in whole["components"]["responses"].values():
        content = answer["content"]["application/json"]
        jsonschema_rs.validate({**content["schema"], **shared}, content["example"])
    assert json.loads(json.dumps(whole)) == whole


def test_what_the_document_shows_as_an_example_is_taken():
    whole = document()
    for operation in OPERATIONS:
        described = whole["paths"][PREFIX + operation.path][operation.method.lower()]
        if operation.body is not None:
            example = described["requestBody"]["content"]["application/json"]["example"]
            operation.body.model_validate_json(json.dumps(example), strict=True, by_alias=True, by_name=False)
        for part in described["parameters"]:
            if part["in"] == "query" and "content" in part:
                example = json.dumps(part["content"]["application/json"]["example"])
                query = urlencode({"filter": example}).encode()
                request = Request({"type": "http", "query_string": query, "headers": []})
                parameters(request, operation.query)


def test_the_document_refers_to_nothing_outside_and_says_what_is_needed():
    whole = document()
    text = json.dumps(whole)
    for reference in set(re.findall(r'"\$ref": "([^"]+)"', text)):
        part: Any = whole
        for word in reference.removeprefix("#/").split("/"):
            part = part[word]
    described = whole["paths"][f"{PREFIX}/apps/{{app}}/releases/compare"]["get"]["parameters"]
    assert {one["name"] for one in described if one["required"]} == {"app", "from", "to"}
    # A client that fills in defaults would change what is left out.
    for name in ("UpdateApp", "UpdateBuildConfig", "ChangeVariables"):
        assert '"default":' not in json.dumps(whole["components"]["schemas"][name]["properties"])


def _contents(described: dict[str, Any]) -> list[dict[str, Any]]:
    bodies = [described["requestBody"]["content"]] if "requestBody" in described else []
    answers = [answer["content"] for answer in described["responses"].values() if "content" in answer]
    found = [one["application/json"] for one in (*bodies, *answers) if "application/json" in one]
    return [content for content in found if "example" in content]
