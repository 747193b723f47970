from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.attempts import FREE_ATTEMPTS
from bot.domain.deployment import Blame, Commit, Failure, Hold, Phase, State, Trigger
from bot.domain.ids import ReleaseId, Sha, reference
from bot.domain.pull import PullNumber
from bot.logs import DeploymentLog
from bot.orders import Order
from bot.queue import connect
from bot.store import environments, releases
from bot.store.engine import reading, writing
from tests.calling import Caller, Site, api_site


@pytest.fixture
def site(tmp_path: Path) -> Generator[Site]:
    with api_site(tmp_path) as site:
        yield site


def test_an_app_lives_from_creation_to_deletion(site: Site):
    made = site.owner.post("/apps", {"repository": "acme/Web.Site", "rootDirectory": "pages/"})
    assert made["slug"] == "pages"
    assert made["live"] is None
    assert "Nothing is live yet" in made["notice"]
    assert made["cloneUrl"] == "https://github.com/acme/Web.Site.git"
    assert site.owner.get("/audit?app=pages")[0]["action"] == "createApp"
    changed = site.owner.patch("/apps/pages", {"buildCommand": "make", "enabled": False})
    assert (changed["buildCommand"], changed["status"]) == ("make", "disabled")
    assert site.owner.patch(f"/apps/{made['id']}", {"buildCommand": None})["buildCommand"] is None
    assert site.owner.delete("/apps/pages", 409)["code"] == "conflict"
    assert site.owner.post("/apps/pages/archive", status=200)["status"] == "archived"
    assert "pages" not in [app["slug"] for app in site.owner.get("/apps")]
    assert [app["slug"] for app in site.owner.get("/apps?status=archived")] == ["pages"]
    assert site.owner.post("/apps/pages/deployments", {}, 409)["code"] == "app-archived"
    back = site.owner.post("/apps/pages/unarchive", status=200)
    assert (back["status"], back["enabled"]) == ("disabled", False)
    assert site.owner.patch("/apps/pages", {"enabled": True})["status"] == "active"
    assert site.owner.post("/apps/pages/archive", status=200)["enabled"] is False
    assert site.owner.post("/apps/pages/unarchive", status=200)["enabled"] is True
    site.owner.post("/apps/pages/archive", status=200)
    assert site.owner.delete("/apps/pages") is None
    assert site.owner.get("/apps/pages", 404)["code"] == "not-found"
    assert site.owner.post("/apps", {"repository": "acme/pages", "slug": "pages"})["id"] > made["id"]


@pytest.mark.parametrize("field", ["slug", "repository"])
def test_an_app_is_called_nothing_that_means_another_thing(site: Site, field: str):
    wrong = {"slug": ("12", "0"), "repository": ("acme/..", "acme/.", "acme/shop.git", "acme/Shop.GIT")}
    for value in wrong[field]:
        body = {"repository": "acme/named", "slug": "named", field: value}
        assert site.owner.post("/apps", body, 400)["validationErrors"][0]["field"] == field
    made = site.owner.post("/apps", {"repository": f"acme/{len(field)}"})
    assert made["slug"] == f"app-{len(field)}"
    site.owner.post("/orgs/acme/projects", {"slug": "7"}, 400)


def test_who_asks_for_an_app_twice_gets_no_second_one_by_accident(site: Site):
    site.owner.post("/apps", {"repository": "acme/twice", "rootDirectory": "web/"})
    refused = site.owner.post("/apps", {"repository": "Acme/Twice", "rootDirectory": "web"}, 409)
    assert (refused["code"], "give a slug" in refused["message"]) == ("name-taken", True)
    site.owner.post("/apps", {"repository": "acme/twice", "rootDirectory": "web", "slug": "other-web"})
    site.owner.post("/apps", {"repository": "acme/twice", "rootDirectory": "docs"})


def test_deleting_an_app_takes_its_sites_and_tokens_with_it(site: Site):
    site.instance.push(site.shop, "a" * 40)
    site.instance.succeed(site.instance.claim())
    site.owner.post("/apps/shop/archive", status=200)
    site.owner.delete("/apps/shop")
    with reading(site.instance.engine) as tx:
        assert environments.live(tx) == []
        assert not environments.has_hostname(tx, "shop.localhost")
    assert site["app-token"].get("/auth/me", 401)["code"] == "token-revoked"
    assert site.owner.get("/deployments/DEP-1", 404)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc",
        "ext::sh -c id",
        "https://mona:secret@example.org/x.git",
        "/srv/git",
        "http://10.0.0.1/x",
    ],
)
def test_an_app_can_not_read_the_machine(site: Site, url: str):
    refused = site.owner.post("/apps", {"repository": "acme/x", "cloneUrl": url}, 400)
    assert refused["validationErrors"][0]["field"] == "cloneUrl"


@pytest.mark.parametrize("slug", ["pr-12-shop", "0123456789ab-shop"])
def test_nobody_takes_the_address_of_another_app_s_preview_or_release(site: Site, slug: str):
    refused = site["stranger"].post("/apps", {"repository": "evil/site", "slug": slug}, 422)
    assert "addresses of the app" in refused["message"]


def test_environments_take_no_address_that_somebody_has_or_a_release_may_have(site: Site):
    domain = site.instance.settings.preview_domain
    with writing(site.instance.engine) as tx:
        environments.ensure(tx, site.shop, "demo", hostname=f"demo.{domain}", branch=None)
        taken = environments.ensure(tx, site.second, "demo", hostname=f"demo.{domain}", branch=None)
        assert taken.hostname == f"demo-{site.second.id}.{domain}"

        environments.ensure(tx, site.theirs, "a", hostname=f"demo-{site.theirs.id}.{domain}", branch=None)
        again = environments.ensure(tx, site.theirs, "demo", hostname=f"demo.{domain}", branch=None)
        assert again.hostname == f"demo-{site.theirs.id}-2.{domain}"
        lasting = f"0123456789ab-shop.{domain}"
        other = environments.ensure(tx, site.theirs, "0123456789ab", hostname=lasting, branch=None)
        assert other.hostname == f"at-{lasting}"


def test_a_deployment_of_a_branch_is_asked_for_watched_and_ended(site: Site):
    made = site.owner.post("/apps/shop/deployments", {"note": "the fair is tomorrow"})
    assert (made["status"], made["branch"], made["commit"]["sha"]) == ("queued", "main", None)
    assert made["reason"] == "the fair is tomorrow (asked for by owner@acme.example)"
    claim = site.instance.claim()
    log = DeploymentLog(site.instance.settings.home, claim.deployment.id, connect("unix:///nowhere.sock"))
    log.output("build", "stdout", b"".join(b"line %d\n" % number for number in range(1, 6)))
    site.instance.step(claim, Phase.BUILD, command="npm run build", code=0)
    site.instance.succeed(claim)
    log.close()
    read = site.owner.get("/deployments/1")
    assert [event["status"] for event in read["events"]] == ["queued", "running", "succeeded"]
    assert read["steps"][0]["command"] == "npm run build"
    assert read["steps"][0]["success"] is True
    assert read["steps"][0]["log"] is None
    assert site.owner.get("/deployments/1?log=true")["steps"][0]["log"] == "line 1\nline 2\n" + "".join(
        f"line {number}\n" for number in (3, 4, 5)
    )
    assert site.owner.get("/deployments/1/logs?step=plan")["lines"] == []
    assert len(site.owner.get("/deployments/1/logs?step=build&after=3")["lines"]) == 2
    first = site.owner.get("/deployments/DEP-1/logs?limit=2")
    assert [line["text"] for line in first["lines"]] == ["line 1", "line 2"]
    rest = site.owner.get(f"/apps/shop/deployments/dep-1/logs?after={first['next']}")
    assert [line["n"] for line in rest["lines"]] == [3, 4, 5]
    assert rest["isComplete"]
    assert site.owner.post("/deployments/1/cancel", status=409)["code"] == "already-ended"
    assert site.owner.get("/apps/shop")["live"]["number"] == 1
    assert site.owner.get("/deployments/1/failure", 404)


def test_a_failure_says_whose_it_is_and_shows_the_decisive_lines(site: Site):
    site.instance.push(site.shop, "a" * 40)
    claim = site.instance.claim()
    log = DeploymentLog(site.instance.settings.home, claim.deployment.id, connect("unix:///nowhere.sock"))
    log.say("build", "running it")
    log.output("build", "stderr", b"no such module\n")
    site.instance.step(claim, Phase.BUILD, command="npm run build", code=2)
    site.instance.fail(
        claim, Failure("build-failed", {"command": "npm run build", "exit_code": 2}, Blame.USER)
    )
    log.close()
    failure = site.owner.get("/orgs/acme/projects/default/apps/shop/deployments/DEP-1/failure")
    assert (failure["phase"], failure["code"], failure["blame"]) == ("build", "build-failed", "user")
    assert (failure["exitCode"], [line["text"] for line in failure["lines"]]) == (2, ["no such module"])
    assert failure["message"]
    assert failure["advice"]
    again = site.owner.post("/deployments/DEP-1/retry")
    assert (again["reference"], again["commit"]["sha"], again["trigger"]) == ("DEP-2", "a" * 40, "manual")
    assert site.owner.post("/deployments/DEP-2/retry", status=409)["code"] == "still-busy"
    assert site.owner.post("/deployments/DEP-2/cancel", status=200)["status"] == "cancelled"


def test_a_deploy_by_hand_does_not_make_production_follow_another_branch(site: Site):
    site.owner.post("/apps/shop/deployments", {"branch": "feature"})
    site.owner.post("/apps/shop/deployments", {"commit": "c" * 40})
    assert site.owner.get("/apps/shop/environments/production")["branch"] == "main"
    states = [one["status"] for one in site.owner.get("/apps/shop/deployments")]
    assert states == ["queued", "superseded"]


def test_only_environments_that_there_are_can_be_deployed_to(site: Site):
    refused = site.owner.post("/apps/shop/deployments", {"environment": "prod"}, 422)
    assert "production" in refused["message"]


def test_deployments_are_found_by_what_they_are(site: Site):
    site.instance.push(site.shop, "a" * 40, message="Show the price")
    site.instance.push(site.shop, "b" * 40, environment="staging", branch="develop")
    site.instance.push(site.second, "c" * 40)
    site.instance.push(site.theirs, "d" * 40)
    for query, wanted in {
        "": [3, 2, 1],
        "?sort=createdAt": [1, 2, 3],
        "?environment=staging": [2],
        "?kind=build&pageSize=1": [3],
        "?kind=rollback": [],
        "?app=second": [3],
        "?project=default&pageSize=2": [3, 2],
        "?project=default&app=shop&status=queued": [2, 1],
        "?branch=develop&status=queued,running": [2],
        "?status=failed": [],
        "?commit=cccc": [3],
        "?search=PRICE": [1],
        "?search=%25": [],
        "?pageSize=1&page=2": [2],
    }.items():
        assert [one["id"] for one in site.owner.get(f"/deployments{query}")] == wanted, query
    assert [one["id"] for one in site.owner.get("/orgs/acme/deployments?pageSize=1")] == [3]
    staging = next(one["id"] for one in site.owner.get("/apps/shop/environments") if one["name"] == "staging")
    assert [one["id"] for one in site.owner.get(f"/apps/shop/deployments?environment={staging}")] == [2]
    assert [one["id"] for one in site["operator"].get("/deployments")] == [4, 3, 2, 1]
    assert site.owner.get("/deployments?status=lost", 422)
    assert site.owner.get("/deployments?app=theirs", 404)
    assert site.owner.get("/deployments?project=theirs", 404)
    assert site["operator"].get("/deployments?project=default", 404)
    assert site.owner.get("/apps/second/deployments/DEP-1", 404)


def _make_releases(site: Site, *shas: str) -> None:
    for sha in shas:
        site.instance.push(site.shop, sha * 40)
        site.instance.succeed(site.instance.claim())


def test_an_older_release_is_a_rollback_and_a_newer_one_a_promotion(site: Site):
    _make_releases(site, "a", "b")
    kept = site.owner.get("/apps/shop/releases")
    assert [(one["number"], one["liveIn"]) for one in kept] == [(2, ["production"]), (1, [])]
    back = site["app-token"].post(f"/apps/shop/releases/{kept[1]['name']}/activate", {})
    assert (back["kind"], back["releaseNumber"]) == ("rollback", 1)
    claim = site.instance.claim()
    site.instance.leases.switch(claim, release_id(site, 1))
    site.instance.leases.finish(claim, State.SUCCEEDED, "live")
    assert site.owner.get("/apps/shop/environments/production")["pinned"] is True
    assert site.owner.post("/apps/shop/releases/1/activate", {}, 409)["code"] == "release-live"
    site.owner.post("/apps/shop/environments/production/resume", status=200)
    onwards = site.owner.post("/apps/shop/releases/2/activate", {})
    assert "promoted by owner@acme.example" in onwards["reason"]
    assert site.owner.get("/apps/shop/environments/production")["pinned"] is False


def release_id(site: Site, number: int) -> ReleaseId:
    with reading(site.instance.engine) as tx:
        found = releases.by_word(tx, site.shop.id, str(number))
    assert found is not None
    return found.id


def test_a_rollback_goes_to_what_was_live_before(site: Site):
    _make_releases(site, "a", "b")
    made = site.owner.post("/apps/shop/environments/production/rollback", {"reason": "too slow"})
    assert made["releaseNumber"] == 1
    assert "too slow" in made["reason"]
    assert site.owner.post("/apps/second/environments/production/rollback", {}, 404)
    refused = site.owner.post("/apps/shop/environments/production/rollback", {"release": "nope"}, 422)
    assert refused["validationErrors"][0]["field"] == "release"


def test_a_token_can_not_give_more_than_it_has(site: Site):
    made = site["developer"].post("/account/api-tokens", {"name": "ci", "scopes": ["read", "account"]})
    limited = Caller(site.url, made["token"])
    assert limited.get("/auth/me")["rights"] == ["account", "read"]
    assert limited.post("/apps/shop/deployments", {}, 403)["details"] == {"needs": "deploy"}
    refused = limited.post("/account/api-tokens", {"name": "more", "scopes": ["deploy"]}, 422)
    assert "deploy" in refused["message"]
    child = limited.post("/account/api-tokens", {"name": "child"})
    assert child["scopes"] == ["account", "read"]
    limited.delete(f"/account/api-tokens/{made['id']}")
    assert limited.get("/auth/me", 401)["code"] == "token-revoked"
    listed = site["developer"].get("/account/api-tokens")
    assert {one["name"] for one in listed} == {"developer", "child"}
    assert all("token" not in one for one in listed)
    limited.http.close()


def test_a_token_of_somebody_else_can_not_be_revoked(site: Site):
    theirs = site["admin"].get("/account/api-tokens")[0]["id"]
    assert site.owner.delete(f"/account/api-tokens/{theirs}", 404)
    made = site.owner.post("/apps/second/tokens", {"name": "ci"})
    assert made["token"].startswith("sld_")
    assert site.owner.delete(f"/apps/shop/tokens/{made['id']}", 404)
    assert site.owner.delete(f"/apps/second/tokens/{made['id']}") is None


def test_a_token_ends_when_it_was_said_to(site: Site):
    made = site.owner.post("/account/api-tokens", {"name": "short", "expiresInDays": 1})
    caller = Caller(site.url, made["token"])
    assert caller.get("/auth/me")
    site.instance.moment = datetime.now(UTC) + timedelta(days=1, minutes=1)
    assert caller.get("/auth/me", 401)["code"] == "token-expired"
    caller.http.close()


def test_the_last_use_of_a_token_is_known(site: Site):
    site["viewer"].get("/auth/me")
    assert site["viewer"].get("/account/api-tokens")[0]["lastUsedAt"] is not None


def test_who_guesses_is_locked_out_and_others_are_not(site: Site):
    owner = site.owner.http.headers["authorization"].removeprefix("Bearer ")
    guess = Caller(site.url, owner[:-4] + "AAAA")
    codes = [guess.call("GET", "/auth/me").json()["error"]["code"] for _ in range(FREE_ATTEMPTS + 2)]
    assert codes[0] == "unauthorized"
    assert codes[-1] == "too-many-attempts"
    # The very token that is guessed at is locked from there, too; no other is.
    assert site.owner.call("GET", "/auth/me").status_code == 429
    assert site["admin"].get("/auth/me")
    guess.http.close()


def test_members_come_change_and_go(site: Site):
    made = site["admin"].post("/members", {"email": "New@Acme.example", "role": "viewer"})
    assert made["email"] == "new@acme.example"
    assert site["admin"].post("/members", {"email": "new@acme.example"}, 409)["code"] == "name-taken"
    assert (
        site["admin"].patch("/members/new@acme.example", {"role": "owner"}, 403)["details"]["needs"] == "own"
    )
    assert site.owner.patch(f"/members/{made['id']}", {"role": "developer"})["role"] == "developer"
    assert site.owner.patch("/members/owner@acme.example", {"role": "admin"}, 409)["code"] == "last-owner"
    assert site.owner.delete("/members/owner@acme.example", 409)["code"] == "last-owner"
    assert site.owner.delete("/members/developer@acme.example") is None
    assert site["developer"].get("/auth/me", 401)
    # Who comes back has no token of before.
    site.owner.post("/members", {"email": "developer@acme.example"})
    assert site["developer"].get("/apps", 401)["code"] == "token-revoked"
    assert site["stranger"].get("/members/", 404)


def test_an_organisation_starts_empty_and_has_a_project(site: Site):
    site["operator"].post("/orgs", {"slug": "fresh", "name": "Fresh"})
    assert site["operator"].post("/orgs", {"slug": "fresh", "name": "Again"}, 409)["code"] == "name-taken"
    assert [one["slug"] for one in site["operator"].get("/orgs/fresh/projects")] == ["default"]
    assert site["operator"].get("/orgs/fresh/apps", 404)
    path = "/orgs/fresh/projects/default/apps"
    site["operator"].post(path, {"repository": "acme/fresh"})
    assert [app["slug"] for app in site["operator"].get(path)] == ["fresh"]
    assert site.owner.get(path, 404)


def test_a_locked_environment_makes_deployments_wait_until_it_is_unlocked(site: Site):
    _make_releases(site, "a")
    place = "/apps/shop/environments/production"
    locked = site["developer"].post(f"{place}/lock", {"reason": "we move", "length": "2h"}, 200)
    assert (locked["lock"]["by"], locked["lock"]["reason"]) == ("developer@acme.example", "we move")
    assert locked["lock"]["until"] is not None
    made = site["app-token"].post("/apps/shop/deployments", {"branch": "main"})
    assert "/api/v1/apps/shop and what is below" in site["app-token"].get("/apps", 403)["message"]
    assert (made["status"], made["hold"]) == ("held", "locked")
    assert "locked by developer@acme.example" in made["reason"]
    refused = site["app-token"].post(f"{place}/rollback", {}, 409)
    assert refused["code"] == "environment-locked"
    site["app-token"].delete(f"{place}/lock", 409)
    assert site.owner.delete(f"{place}/lock")["lock"] is None
    assert site.owner.get(f"/deployments/{made['reference']}")["status"] == "queued"


def test_a_held_commit_is_approved_or_rejected_by_name(site: Site):
    held = [_hold(site, letter) for letter in "ab"]
    wrong = site["developer"].post(f"/deployments/{held[0]}/approve", {"commit": "f" * 7}, 409)
    assert wrong["code"] == "commit-differs"
    approved = site["developer"].post(f"/deployments/{held[0]}/approve", {"commit": "a" * 7}, 200)
    assert (approved["status"], approved["approvedBy"]) == ("queued", "developer@acme.example")
    assert site["developer"].post(f"/deployments/{held[0]}/approve", {}, 409)["code"] == "not-held"
    rejected = site.owner.post(f"/deployments/{held[1]}/reject", {"reason": "a miner"}, 200)
    assert rejected["status"] == "rejected"
    assert rejected["reason"].endswith(": a miner")


def _hold(site: Site, letter: str) -> str:
    commit = Commit(Sha(letter * 40), "Theirs", "stranger")
    order = Order(
        site.shop, f"preview/pr-{ord(letter)}", "theirs", commit, Trigger.PULL, "a fork", "stranger"
    )
    with site.instance.lifecycle.change() as change:
        waiting = replace(order, hold=Hold.APPROVAL, pull=PullNumber(ord(letter)))
        return reference(site.instance.lifecycle.request(change, waiting).deployment.id)
