"""Signing in as a person: at an issuer, at GitHub, by password, by invitation; and what one sees then."""

import re
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from bot import github_app
from bot.app import create_app
from bot.console.access import console_key
from bot.domain.roles import Role
from bot.github_app import Secrets, Shown
from bot.invitations import Inviter
from bot.store import apps, deliveries, installations, people
from bot.store.apps import NewApp
from bot.store.deliveries import NewDelivery
from bot.store.engine import reading, writing
from bot.store.people import Tenant
from bot.vault import open_vault
from tests.fakes.issuer import AUDIENCE, Issuer, issuing
from tests.fakes.oauth import GitHubPeople, signing_in
from tests.instance import Instance
from tests.serving import serving

pytestmark = pytest.mark.slow

PASSWORD = "correct horse battery"


@dataclass
class World:
    """A served instance with two organisations, `acme` (the app `shop`) and `other` (`theirs`)."""

    instance: Instance
    url: str
    issuer: Issuer
    github: GitHubPeople
    acme: Tenant
    other: Tenant
    browsers: list[httpx.Client] = field(default_factory=list[httpx.Client])

    def browser(self) -> httpx.Client:
        made = httpx.Client(base_url=self.url, headers={"origin": self.url}, timeout=20, trust_env=False)
        self.browsers.append(made)
        return made

    def signed_in(self, email: str) -> httpx.Client:
        browser = self.browser()
        assert self.by_issuer(browser, email=email).status_code == 303
        return browser

    def by_issuer(self, browser: httpx.Client, following: str = "/", **claims: Any) -> httpx.Response:
        left = browser.get("/sign-in/oidc", params={"next": following})
        back = self.issuer.sign_in(left.headers["location"])
        kept = dict(self.issuer.person)
        self.issuer.person |= claims
        try:
            return self.return_to(browser, back)
        finally:
            self.issuer.person = kept

    def return_to(self, browser: httpx.Client, back: str) -> httpx.Response:
        return browser.get(back.replace(self.instance.settings.url, ""))

    def by_github(self, browser: httpx.Client, path: str = "/sign-in/github") -> httpx.Response:
        left = browser.get(path)
        return self.return_to(browser, self.github.sign_in(left.headers["location"]))

    def member(self, email: str, *tenants: Tenant, role: Role = Role.DEVELOPER) -> None:
        with writing(self.instance.engine) as tx:
            for tenant in tenants:
                people.ensure_member(tx, tenant.id, email, name="", role=role, now=self.instance.now())


@pytest.fixture
def world(tmp_path: Path) -> Generator[World]:
    with issuing() as issuer, signing_in() as github:
        settings: dict[str, Any] = {
            "oidc_issuer": issuer.url,
            "oidc_audience": [AUDIENCE],
            "oidc_client_secret": "s/e cret",
            "github_url": github.url,
            "github_api_url": github.url,
        }
        issuer.client_secret = "s%2Fe%20cret"
        instance = Instance(tmp_path, **settings)
        now = instance.now()
        with writing(instance.engine) as tx:
            acme, other = (people.insert_tenant(tx, slug, slug.title(), now) for slug in ("acme", "other"))
            for slug, tenant in (("shop", acme), ("theirs", other)):
                new = NewApp(slug, f"acme/{slug}", f"https://github.com/acme/{slug}.git", "main")
                apps.insert(tx, new, now, (tenant.id, people.projects_of(tx, tenant.id)[0].id))
            shown = Shown(
                "7", "Slipway", "s", "Iv1", f"{github.url}/apps/s", "acme", github.url, has_hook=True
            )
            github_app.keep(tx, open_vault(instance.settings), shown, Secrets("key", "a secret", "ws"))
        with serving(create_app(instance.settings, clock=instance.now)) as url:
            world = World(instance, url, issuer, github, acme, other)
            yield world
            for browser in world.browsers:
                browser.close()
        instance.close()


def token_of(page: httpx.Response) -> str:
    return re.findall(r'name="token" value="([0-9a-f]{64})"', page.text)[0]


def me(browser: httpx.Client, **headers: str) -> Any:
    return browser.get("/api/v1/auth/me", headers=headers).json()["data"]


def test_an_issuer_signs_people_in_and_they_see_their_organisation_alone(world: World):
    world.member("mona@acme.example", world.acme)
    instance = world.instance
    instance.push(instance.app_named("shop"), "a" * 40, message="Ours")
    instance.push(instance.app_named("theirs"), "b" * 40, message="Not ours")
    browser = world.browser()
    form = browser.get("/sign-in").text
    assert "/sign-in/oidc" in form
    assert "/sign-in/github" in form
    answer = world.by_issuer(browser, "/apps/shop")
    assert (answer.status_code, answer.headers["location"]) == (303, "/apps/shop")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if "slipway-session=" in one)
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    overview = browser.get("/").text
    assert ("Ours" in overview, "Not ours" in overview, "theirs" in overview) == (True, False, False)
    seen = ("/apps/shop", "/deployments/DEP-1", "/deployments/DEP-1/standing", "/account")
    assert [browser.get(path).status_code for path in seen] == [200] * 4
    hidden = "/apps/theirs /deployments/DEP-2 /deployments/DEP-2/standing /deployments/DEP-2/log.txt".split()
    hidden += ["/deliveries", "/deliveries/1", "/first-owner", "/setup/apps/1", "/setup/github?code=x"]
    assert [browser.get(path).status_code for path in hidden] == [404] * len(hidden)
    for path in ("/setup/apps", "/setup/refresh", "/deliveries/1/replay", "/first-owner"):
        assert browser.post(path, data={"token": token_of(browser.get("/account"))}).status_code == 404
    told = me(browser)
    assert (told["via"], told["user"]["email"], told["kind"]) == ("session", "mona@acme.example", "member")


def test_a_code_counts_once_for_the_browser_that_began(world: World):
    world.member("mona@acme.example", world.acme)
    mine, other = world.browser(), world.browser()
    back = world.issuer.sign_in(mine.get("/sign-in/oidc").headers["location"])
    assert world.return_to(other, back).status_code == 403
    other.get("/sign-in/oidc")
    assert world.return_to(other, back).status_code == 403
    assert world.return_to(mine, back).status_code == 303
    assert world.return_to(mine, back).status_code == 403
    replayed = world.by_issuer(world.browser(), nonce="another")
    assert (replayed.status_code, "made for another sign-in" in replayed.text) == (403, True)
    # What was begun at one provider counts nowhere else.
    mixed = world.browser()
    state = mixed.get("/sign-in/github").headers["location"].partition("state=")[2].partition("&")[0]
    crossed = mixed.get("/sign-in/oidc/callback", params={"code": "x", "state": state})
    assert (crossed.status_code, "not begun here" in crossed.text) == (403, True)
    late = world.browser()
    back = world.issuer.sign_in(late.get("/sign-in/oidc").headers["location"])
    world.instance.pass_by(timedelta(minutes=11))
    assert world.return_to(late, back).status_code == 403
    assert late.get("/sign-in/nothing").status_code == 404
    assert late.get("/sign-in/oidc/callback").status_code == 403


def test_strangers_are_told_why_and_an_issuer_that_is_away_is_said(world: World):
    refused = world.by_issuer(world.browser(), email="nobody@acme.example")
    assert refused.status_code == 403
    assert "nobody@acme.example belongs to no organisation" in refused.text
    assert "verified" in world.by_issuer(world.browser(), email_verified=False).text
    world.issuer.broken = True
    world.issuer.client_secret = "another"
    assert "could not be finished" in world.by_issuer(world.browser()).text


def test_github_signs_people_in_by_a_verified_address(world: World):
    world.member("mona@acme.example", world.acme)
    world.github.emails = [
        {"email": "Owner@acme.example", "verified": False, "primary": True},
        {"email": "Mona@Acme.example", "verified": True, "primary": False},
    ]
    world.member("owner@acme.example", world.acme, role=Role.OWNER)
    browser = world.browser()
    assert world.by_github(browser).headers["location"] == "/"
    assert me(browser)["user"]["email"] == "mona@acme.example"
    world.github.emails = [{"email": "owner@acme.example", "verified": False, "primary": True}]
    assert world.by_github(world.browser()).status_code == 403


def test_a_session_ends_and_only_forms_of_its_own_pages_count(world: World):
    world.member("mona@acme.example", world.acme)
    first, second = world.signed_in("mona@acme.example"), world.signed_in("mona@acme.example")
    page = first.get("/account")
    listed = first.get("/api/v1/account/sessions").json()["data"]
    assert [one["current"] for one in listed] == [False, True]
    elsewhere = str(listed[0]["id"])
    for data, headers in (
        ({}, {}),
        ({"token": "0" * 64}, {}),
        ({"token": token_of(second.get("/account"))}, {}),
        ({"token": token_of(page)}, {"origin": "http://evil.localhost"}),
        ({"token": token_of(page)}, {"sec-fetch-site": "same-site"}),
    ):
        answer = first.post("/account/sessions", data={"session": elsewhere, **data}, headers=headers)
        assert answer.status_code == 403
    assert first.post("/account/sessions", data={"session": elsewhere, "token": token_of(page)}).is_redirect
    assert second.get("/api/v1/auth/me").status_code == 401
    assert second.get("/").headers["location"] == "/sign-in?next=/"
    kept = first.cookies["slipway-session"]
    assert first.post("/sign-out").headers["location"] == "/sign-in"
    assert (
        httpx.get(f"{world.url}/api/v1/auth/me", headers={"cookie": f"slipway-session={kept}"}).status_code
        == 401
    )
    third = world.signed_in("mona@acme.example")
    world.instance.pass_by(timedelta(days=8))
    assert third.get("/api/v1/auth/me").status_code == 401


def test_scripts_of_our_pages_may_change_things_and_those_of_others_not(world: World):
    world.member("mona@acme.example", world.acme)
    browser = world.signed_in("mona@acme.example")
    token = token_of(browser.get("/account"))
    made = {"name": "laptop"}
    path = "/api/v1/account/api-tokens"
    assert browser.post(path, json=made).status_code == 201
    assert browser.post(path, json=made, headers={"sec-fetch-site": "same-origin"}).status_code == 201
    for headers in (
        {"origin": "http://evil.localhost"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "cross-site", "x-csrf-token": token},
    ):
        refused = browser.post(path, json=made, headers=headers)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "cross-site")
        assert browser.get("/api/v1/auth/me", headers=headers).status_code == 403
    del browser.headers["origin"]
    assert browser.post(path, json=made).status_code == 403
    assert browser.post(path, json=made, headers={"x-csrf-token": token}).status_code == 201
    assert browser.get("/api/v1/auth/me").status_code == 200
    personal = browser.post(path, json=made, headers={"x-csrf-token": token}).json()["data"]["token"]
    # Who sends a token is its holder, whatever cookies come along.
    with_both = browser.get("/api/v1/auth/me", headers={"authorization": f"Bearer {personal}"})
    assert with_both.json()["data"]["via"] == "token"


def test_a_person_in_two_organisations_names_one_or_chooses(world: World):
    world.member("mona@acme.example", world.acme, world.other)
    browser = world.signed_in("mona@acme.example")
    assert [one["tenantSlug"] for one in me(browser)["memberships"]] == ["acme", "other"]
    assert [one["slug"] for one in browser.get("/api/v1/apps").json()["data"]] == ["shop"]
    named = browser.get("/api/v1/apps", headers={"x-slipway-org": "other"}).json()["data"]
    assert [one["slug"] for one in named] == ["theirs"]
    path = "/api/v1/orgs/other/projects/default/apps/theirs"
    assert browser.get(path).status_code == 200
    assert (
        browser.get("/api/v1/apps/theirs", headers={"x-slipway-org": str(world.other.id)}).status_code == 200
    )
    assert browser.get("/api/v1/apps", headers={"x-slipway-org": "default"}).status_code == 404
    assert [one["slug"] for one in browser.get("/api/v1/orgs").json()["data"]] == ["acme", "other"]
    page = browser.get("/account")
    form = {"token": token_of(page), "organisation": str(world.other.id)}
    assert browser.post("/account/organisation", data=form).headers["location"] == "/"
    assert "theirs" in browser.get("/").text
    assert [one["slug"] for one in browser.get("/api/v1/apps").json()["data"]] == ["theirs"]
    with writing(world.instance.engine) as tx:
        default, _ = apps.ensure_default_scope(tx, world.instance.now())
    form["organisation"] = str(default)
    assert browser.post("/account/organisation", data=form).status_code == 404
    # A token is of the organisation that it was made in.
    made = browser.post("/api/v1/account/api-tokens", json={"name": "x"}).json()["data"]["token"]
    bearer = {"authorization": f"Bearer {made}"}
    with httpx.Client(base_url=world.url, headers=bearer) as client:
        assert [one["tenantSlug"] for one in me(client)["memberships"]] == ["other"]
        assert client.get("/api/v1/apps", headers={"x-slipway-org": "acme"}).status_code == 404


def test_who_is_no_member_any_more_is_out_at_once(world: World):
    world.member("mona@acme.example", world.acme)
    browser = world.signed_in("mona@acme.example")
    with writing(world.instance.engine) as tx:
        user = people.user_by_email(tx, "mona@acme.example")
        assert user is not None
        people.remove_member(tx, world.acme.id, user.id)
    refused = browser.get("/api/v1/auth/me")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not-a-member")
    assert browser.get("/").is_redirect


def test_the_operator_makes_the_first_owner_who_signs_in_by_password(world: World):
    operator, owner = world.browser(), world.browser()
    assert "Password" not in owner.get("/sign-in").text
    operator.post("/sign-in", data={"key": console_key(world.instance.settings)})
    assert operator.get("/account").headers["location"] == "/first-owner"
    form = {"email": "Olga@acme.example", "password": PASSWORD}
    assert operator.post("/first-owner", data=form | {"password": "short"}).status_code == 422
    assert operator.post("/first-owner", data=form | {"email": "olga"}).status_code == 422
    assert operator.post("/first-owner", data=form).headers["location"] == "/"
    told = me(operator)
    assert told["memberships"] == [
        {"tenantId": told["tenantId"], "tenantSlug": "default", "tenantName": "Default", "role": "owner"}
    ]
    path = "/sign-in/password"
    for wrong in (
        {"email": "olga@acme.example", "password": "wrong"},
        {"email": "x", "password": PASSWORD},
        {},
    ):
        assert owner.post(path, data=wrong).status_code == 403
    assert owner.post(path, data=form, headers={"origin": "http://evil.localhost"}).status_code == 403
    assert owner.post(path, data=form | {"next": "//evil.example"}).headers["location"] == "/"
    assert me(owner)["user"]["email"] == "olga@acme.example"
    operator.post("/sign-in", data={"key": console_key(world.instance.settings)})
    again = {"email": "evil@acme.example", "password": "another password"}
    assert operator.post("/first-owner", data=again).is_redirect
    # Another password for the same owner, whatever address the form has; who knew the old one is out.
    assert owner.get("/api/v1/auth/me").status_code == 401
    assert owner.post(path, data=form).status_code == 403
    assert 429 in [owner.post(path, data={}).status_code for _ in range(10)]


def test_where_there_is_an_owner_already_nobody_gets_a_password(world: World):
    world.member("olga@acme.example", world.acme, role=Role.OWNER)
    operator = world.browser()
    operator.post("/sign-in", data={"key": console_key(world.instance.settings)})
    assert operator.get("/first-owner").status_code == 404
    form = {"email": "mona@acme.example", "password": PASSWORD}
    assert operator.post("/first-owner", data=form).status_code == 404


def invite(world: World, email: str, tenant: Tenant, role: Role = Role.DEVELOPER) -> str:
    inviter = Inviter(world.instance.settings, open_vault(world.instance.settings))
    with writing(world.instance.engine) as tx:
        issued = inviter.invite(tx, tenant, email, role=role, by="olga", now=world.instance.now())
    return issued.link.partition("#")[2]


def test_an_invitation_makes_a_member_once_and_opens_that_organisation_alone(world: World):
    world.member("mona@acme.example", world.other, role=Role.OWNER)
    secret = invite(world, "mona@acme.example", world.acme)
    browser = world.browser()
    assert browser.get("/invitation").status_code == 200
    for wrong in ({}, {"secret": "x"}):
        assert browser.post("/invitation", data=wrong).status_code == 403
    form = {"secret": secret, "name": "Mona  L"}
    assert (
        browser.post("/invitation", data=form, headers={"origin": "http://evil.localhost"}).status_code == 403
    )
    assert browser.post("/invitation", data=form).headers["location"] == "/"
    told = me(browser)
    assert [one["tenantSlug"] for one in told["memberships"]] == ["acme"]
    # The link may have been read by who invites: it opens nothing of the other organisation.
    assert browser.get("/api/v1/apps", headers={"x-slipway-org": "other"}).status_code == 404
    assert browser.get("/api/v1/orgs/other").status_code == 404
    assert [one["slug"] for one in browser.get("/api/v1/orgs").json()["data"]] == ["acme"]
    again = world.browser().post("/invitation", data=form)
    assert again.status_code == 403
    assert "accepted already" in again.text


def test_an_invitation_ends(world: World):
    first = invite(world, "mona@acme.example", world.acme)
    second = invite(world, "mona@acme.example", world.acme)
    assert "any more" in world.browser().post("/invitation", data={"secret": first}).text
    world.instance.pass_by(timedelta(days=8))
    assert "expired" in world.browser().post("/invitation", data={"secret": second}).text


def test_an_invitation_leaves_a_higher_role_as_it_is_and_a_session_that_is_there(world: World):
    world.member("mona@acme.example", world.acme, role=Role.OWNER)
    browser = world.signed_in("mona@acme.example")
    before = browser.cookies["slipway-session"]
    secret = invite(world, "mona@acme.example", world.acme, Role.VIEWER)
    assert browser.post("/invitation", data={"secret": secret}).is_redirect
    assert browser.cookies["slipway-session"] == before
    assert [one["role"] for one in me(browser)["memberships"]] == ["owner"]


def bound(world: World, tenant: Tenant) -> list[int]:
    with reading(world.instance.engine) as tx:
        return [one.installation_id for one in installations.of_tenant(tx, tenant.id)]


def test_who_installed_the_app_binds_it_to_the_own_organisation(world: World):
    world.member("mona@acme.example", world.acme, role=Role.ADMIN)
    world.github.emails = [{"email": "mona@acme.example", "verified": True, "primary": True}]
    world.github.installed = [
        {"id": 50, "account": {"id": world.github.id, "login": "mona", "type": "User"}},
        {"id": 51, "account": {"id": 999, "login": "other-person", "type": "User"}},
        {"id": 52, "account": {"id": 900, "login": "acme", "type": "Organization"}},
    ]
    browser = world.browser()
    world.by_github(browser)
    asked = browser.get("/setup?installation_id=50&setup_action=install").headers["location"]
    assert asked == "/sign-in/github?installation=50"
    assert world.by_github(browser, asked).headers["location"] == "/account"
    assert bound(world, world.acme) == [50]
    assert "mona" in browser.get("/account").text
    for number in (51, 52, 53):
        assert world.by_github(browser, f"/sign-in/github?installation={number}").status_code == 403
    body = {"action": "created", "installation": {"id": 52}, "sender": {"id": world.github.id}}
    told = NewDelivery("1", "g", "installation", msgspec.json.encode(body), world.instance.now())
    with writing(world.instance.engine) as tx:
        deliveries.insert_new(tx, [told])
    assert world.by_github(browser, "/sign-in/github?installation=52").is_redirect
    assert bound(world, world.acme) == [50, 52]


def test_who_manages_nothing_binds_nothing(world: World):
    world.member("mona@acme.example", world.acme)
    world.github.emails = [{"email": "mona@acme.example", "verified": True, "primary": True}]
    world.github.installed = [{"id": 50, "account": {"id": world.github.id, "login": "m", "type": "User"}}]
    assert world.by_github(world.browser(), "/sign-in/github?installation=50").status_code == 403
    assert bound(world, world.acme) == []
