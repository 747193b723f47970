"""Invitations, deploy hooks, installations and the test of the mail server, by the API."""

import threading
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from bot.api.rates import Rates
from bot.app import create_app
from bot.domain.deployment import UNKNOWN_COMMIT, State
from bot.domain.errand import ErrandKind, ErrandState
from bot.domain.ids import parse_reference
from bot.store import deployments, errands, people
from bot.store.engine import reading, writing
from tests.calling import PREFIX, Caller, Site, api_site
from tests.serving import serving
from tests.waiting import wait_until


@pytest.fixture
def site(tmp_path: Path) -> Generator[Site]:
    with api_site(tmp_path, rates=Rates(100_000, 100_000, per_hook=3)) as site:
        yield site


def hook(site: Site, **values: Any) -> str:
    made = site["admin"].post("/apps/shop/deploy-hooks", {"name": "the CMS", **values})
    return made["url"].replace(site.instance.settings.url, site.url)


def test_a_deploy_hook_brings_its_branch_live(site: Site):
    url = hook(site)
    with capture_logs() as logs:
        answer = httpx.post(url, content=b"whatever", headers={"content-type": "text/plain"})
    told = answer.json()["data"]
    assert (answer.status_code, told["app"], told["environment"]) == (202, "shop", "production")
    number = parse_reference(told["deployment"])
    assert number is not None
    with reading(site.instance.engine) as tx:
        made = deployments.get(tx, number)
    assert (made.sha, made.branch, made.state) == (UNKNOWN_COMMIT, "main", State.QUEUED)
    assert made.requested_by == "the deploy hook 'the CMS'"
    secret = url.rpartition("_")[2]
    assert secret not in str(logs)
    assert secret.encode() not in (site.instance.settings.home / "slipway.db").read_bytes()
    listed = site["admin"].get("/apps/shop/deploy-hooks")[0]
    assert listed["begins"].startswith("slh_")
    assert secret not in str(listed)


def test_a_deploy_hook_is_counted_revoked_and_not_guessed(site: Site):
    site.instance.moment = datetime.now(UTC)
    url = hook(site, branch="develop")
    assert httpx.get(url).status_code == 405
    assert [httpx.post(url).status_code for _ in range(4)] == [202, 202, 202, 429]
    assert httpx.post(hook(site), content=b"x" * (1024 * 1024 + 1)).status_code == 413
    number = site["admin"].get("/apps/shop/deploy-hooks")[0]["id"]
    other = hook(site)
    latest = site["admin"].get("/apps/shop/deploy-hooks")[0]["id"]
    assert latest > number
    site["admin"].delete(f"/apps/shop/deploy-hooks/{latest}")
    assert httpx.post(other).status_code == 404
    wrong = [httpx.post(url[:-1] + letter).status_code for letter in "abcdefgh"]
    assert wrong[0] == 404
    assert wrong[-1] == 429
    # Whoever knows a right address is not kept out by others' guesses.
    assert httpx.post(hook(site)).status_code == 202


def test_a_deploy_hook_respects_what_a_person_pinned_and_archived(site: Site):
    url, instance = hook(site), site.instance
    for sha in "ab":
        instance.push(site.shop, sha * 40)
        instance.succeed(instance.claim())
    site["admin"].post("/apps/shop/environments/production/rollback", status=201)
    assert httpx.post(url).json()["data"]["status"] == "held"
    site["admin"].post("/apps/shop/archive", status=200)
    refused = httpx.post(url)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "app-archived")
    site["admin"].post("/apps/shop/deploy-hooks", {"name": "x"}, status=409)


def test_a_hook_is_for_a_known_environment(site: Site):
    site["admin"].post("/apps/shop/deploy-hooks", {"name": "x", "environment": "nowhere"}, status=422)
    site["admin"].post("/apps/shop/deploy-hooks", {"name": "x", "branch": "a..b"}, status=400)


def test_an_invitation_is_made_listed_sent_again_and_revoked(site: Site):
    admin = site["admin"]
    made = admin.post("/members/invitations", {"email": "New@acme.example", "role": "viewer"})
    assert (made["email"], made["status"], made["mail"]) == ("new@acme.example", "pending", "none")
    assert made["link"].startswith(f"{site.instance.settings.url}/invitation#")
    (listed,) = admin.get("/members/invitations")
    assert "link" not in listed
    again = admin.post(f"/members/invitations/{made['id']}/resend", status=200)
    assert again["link"] != made["link"]
    opened = accept(site, made["link"])
    assert opened.status_code == 403
    assert accept(site, again["link"]).status_code == 303
    assert admin.get("/members/invitations") == []
    assert "new@acme.example" in [one["email"] for one in admin.get("/members")]
    admin.post("/members/invitations", {"email": "new@acme.example"}, status=409)
    gone = admin.post("/members/invitations", {"email": "gone@acme.example"})
    admin.delete(f"/members/invitations/{gone['id']}")
    admin.delete(f"/members/invitations/{gone['id']}", status=404)
    assert accept(site, gone["link"]).status_code == 403


def accept(site: Site, link: str) -> httpx.Response:
    return httpx.post(f"{site.url}/invitation", data={"secret": link.partition("#")[2]})


@pytest.mark.parametrize(
    "email", ["a@x.org,eve@y.org", "mona <a@x.org>", '"a@x.org"@y.org', "a@x.org;b", "a@", "a"]
)
def test_an_invitation_is_for_one_plain_address(site: Site, email: str):
    assert site.owner.post("/members/invitations", {"email": email}, 400)


def test_only_an_owner_invites_owners(site: Site):
    wanted = {"email": "boss@acme.example", "role": "owner"}
    site["admin"].post("/members/invitations", wanted, status=403)
    made = site.owner.post("/members/invitations", wanted)
    site["admin"].post(f"/members/invitations/{made['id']}/resend", status=403)


def test_who_belongs_somewhere_accepts_by_the_api(site: Site):
    link = site.owner.post("/members/invitations", {"email": "x@other.example", "role": "viewer"})["link"]
    token = {"token": link.partition("#")[2]}
    site["developer"].post("/account/invitations", token, status=403)
    told = site["stranger"].post("/account/invitations", token, status=200)
    assert [one["tenantSlug"] for one in told["memberships"]] == ["other", "acme"]
    site["stranger"].post("/account/invitations", token, status=422)
    by_id_token = Caller(site.url, site.issuer.token(email="x@other.example"), x_slipway_org="acme")
    assert [one["slug"] for one in by_id_token.get("/apps")] == ["second", "shop"]
    by_id_token.http.close()


def test_the_operator_binds_installations(site: Site):
    operator = site["operator"]
    operator.post("/github/installations", {"installationId": 7}, status=404)
    made = operator.post("/orgs/acme/github/installations", {"installationId": 7, "account": "acme"})
    assert made == operator.post("/orgs/acme/github/installations", {"installationId": 7})
    assert [one["installationId"] for one in site["viewer"].get("/github/installations")] == [7]
    assert site["stranger"].get("/github/installations") == []
    site["stranger"].delete("/github/installations/7", status=404)
    site["admin"].delete("/github/installations/7")
    site["admin"].delete("/github/installations/7", status=404)


def test_an_id_token_is_its_holder_until_they_leave(site: Site):
    me = site["oidc"].get("/auth/me")
    assert (me["via"], me["user"]["email"]) == ("oidc", "developer@acme.example")
    site["oidc"].post("/account/api-tokens", {"name": "made by an ID token"})
    member = next(one for one in site.owner.get("/members") if one["email"] == "developer@acme.example")
    site.owner.delete(f"/members/{member['id']}")
    assert site["oidc"].call("GET", "/auth/me").json()["error"]["code"] == "not-a-member"
    assert site["session"].call("GET", "/auth/me").status_code == 403
    codes = {
        who: site[who].call("GET", "/auth/me").json()["error"]["code"]
        for who in ("oidc-expired", "oidc-access")
    }
    assert codes == {"oidc-expired": "token-expired", "oidc-access": "access-token-refused"}


def test_a_dead_issuer_is_503_and_tokens_of_ours_go_on_to_count(tmp_path: Path):
    with api_site(tmp_path) as site:
        site.issuer.broken = True
        refused = site["oidc"].call("GET", "/apps")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "issuer-silent")
        assert refused.headers["retry-after"]
        assert site.owner.call("GET", "/apps").status_code == 200


def test_without_a_mail_server_the_test_says_so_in_two_words(site: Site):
    answer = site["admin"].call("POST", "/settings/email/test")
    assert (answer.status_code, answer.json()) == (400, {"success": False, "error": "SMTP not configured"})


def test_a_test_mail_is_sent_by_the_worker(site: Site):
    settings = site.instance.settings.model_copy(update={"smtp_url": "smtp://127.0.0.1:1"})
    instance = site.instance

    def work(state: ErrandState, note: str = "") -> None:
        wait_until(lambda: asked() is not None, what="the errand is there")
        found = asked()
        assert found is not None
        assert found.subject["to"] == "admin@acme.example"
        with writing(instance.engine) as tx:
            errands.finish(tx, found.id, state, instance.now(), note=note)

    def asked() -> Any:
        with reading(instance.engine) as tx:
            found = errands.newest(tx, ErrandKind.SEND_MAIL)
        if found is None or found.subject["template"] != "test":
            return None
        return found if found.state is ErrandState.ASKED else None

    key = {"idempotency-key": "one"}
    bearer = {"authorization": site["admin"].http.headers["authorization"]}
    with (
        serving(create_app(settings, clock=instance.now)) as url,
        httpx.Client(headers=bearer, timeout=20) as client,
    ):
        # Who was invited a moment ago keeps nobody from the test.
        invited = client.post(f"{url}{PREFIX}/members/invitations", json={"email": "late@acme.example"})
        assert invited.json()["data"]["mail"] == "waiting"
        for state, note, expected in (
            (ErrandState.DONE, "", (200, {"success": True, "message": "Test email sent"})),
            (ErrandState.FAILED, "No such host.", (400, {"success": False, "error": "No such host."})),
        ):
            thread = threading.Thread(target=work, args=(state, note))
            thread.start()
            answer = client.post(f"{url}{PREFIX}/settings/email/test", headers=key)
            thread.join(10)
            assert (answer.status_code, answer.json()) == expected
            # Not what was answered before: nobody knew yet what would come of it.
            assert client.post(f"{url}{PREFIX}/settings/email/test", headers=key).status_code == 429
            instance.pass_by(timedelta(seconds=6))


def test_sessions_are_listed_and_ended(site: Site):
    mine = site["session"].get("/account/sessions")
    assert [one["current"] for one in mine] == [False, True]
    site["viewer"].delete(f"/account/sessions/{mine[0]['id']}", status=404)
    site["session"].delete(f"/account/sessions/{mine[1]['id']}")
    assert site["session"].call("GET", "/auth/me").status_code == 401
    with reading(site.instance.engine) as tx:
        assert people.user_by_email(tx, "developer@acme.example") is not None
