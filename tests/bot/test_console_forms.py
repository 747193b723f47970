"""Forms and pages of the console that carry out operations of the API."""

import re
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import httpx
import pytest
from starlette.requests import HTTPConnection

from bot.api.routes import OPERATIONS
from bot.app import create_app
from bot.console import routes
from bot.console.access import console_key
from bot.console.deed import Deed
from bot.console.sights import SIGHTS
from bot.domain.audit import Row
from bot.domain.deployment import Commit, Deployment, Hold, Phase, Trigger
from bot.domain.ids import Sha, reference
from bot.domain.pull import PullNumber, preview_name
from bot.domain.roles import Role
from bot.domain.session import SignedInBy
from bot.lifecycle import Order
from bot.sessions import Sessions
from bot.store import apps, audit_pages, deployments, environments, people, receivers
from bot.store.audit_pages import AuditFilter
from bot.store.engine import reading, writing
from bot.store.environments import Environment
from bot.store.pages import Slice
from tests.instance import Instance
from tests.serving import serving

Fields = Mapping[str, str | list[str]]
PEOPLE = {
    "olga": Role.OWNER,
    "dora": Role.DEVELOPER,
    "vera": Role.VIEWER,
    "fred": Role.OWNER,
}
"""Members of the organisation `default`; fred is of another one."""


@dataclass
class World:
    """A served console, who may open it, and what is behind it."""

    instance: Instance
    url: str
    cookies: dict[str, str]
    browsers: dict[str, "Browser"] = field(default_factory=dict[str, "Browser"])

    def browser(self, who: str) -> "Browser":
        if who not in self.browsers:
            self.browsers[who] = Browser(self, who)
        return self.browsers[who]

    def environment(self, name: str = "production", app: str = "shop") -> Environment:
        with reading(self.instance.engine) as tx:
            found = environments.by_name(tx, self.instance.app_named(app).id, name)
        assert found is not None
        return found

    def deployment(self, number: int) -> Deployment:
        with reading(self.instance.engine) as tx:
            found = next(one for one in self.all_deployments() if one.id == number)
            return deployments.get(tx, found.id)

    def all_deployments(self) -> list[Deployment]:
        with reading(self.instance.engine) as tx:
            there = environments.of_apps(tx, [self.instance.app_named("shop").id])
            return [one for place in there for one in deployments.unfinished(tx, place.id)]

    def audit(self) -> list[Row]:
        with reading(self.instance.engine) as tx:
            return audit_pages.page(tx, AuditFilter(), Slice(0, 50, "")).rows


class Browser:
    """One visitor. Forms are sent as a browser sends them: with the page's token, from this very origin."""

    def __init__(self, world: World, who: str) -> None:
        self._who = who
        headers = {"origin": world.url}
        if who == "operator":
            headers["authorization"] = f"Bearer {console_key(world.instance.settings)}"
        cookies = {"slipway-session": world.cookies[who]} if who in world.cookies else {}
        self.client = httpx.Client(base_url=world.url, headers=headers, cookies=cookies, trust_env=False)

    def get(self, path: str) -> httpx.Response:
        return self.client.get(path)

    @cached_property
    def token(self) -> str:
        """What forms of this visitor's pages carry; the operator's carry none."""
        found = re.search(r'name="token" value="([0-9a-f]+)"', self.get("/").text)
        return found[1] if found else ""

    def send(self, page: str, action: str, fields: Fields | None = None) -> httpx.Response:
        """Fill in and send a form that the page has."""
        shown = self.get(page).text
        assert f'action="{action}"' in shown, f"{page} has no form {action}"
        return self.post(action, fields)

    def post(self, action: str, fields: Fields | None = None) -> httpx.Response:
        return self.client.post(action, data={"token": self.token, **(fields or {})})


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Generator[World]:
    instance = Instance(tmp_path_factory.mktemp("home"))
    cookies = _people(instance)
    shop = instance.app("shop")
    instance.push(shop, "a" * 40, message="Show the price")
    claim = instance.claim()
    instance.step(claim, Phase.BUILD, command="npm run build", code=0)
    instance.succeed(claim)
    with serving(create_app(instance.settings, clock=instance.now)) as url:
        world = World(instance, url, cookies)
        yield world
        for browser in world.browsers.values():
            browser.client.close()
    instance.close()


def _people(instance: Instance) -> dict[str, str]:
    sessions = Sessions(instance.engine, public_url=instance.settings.url)
    nobody = HTTPConnection({"type": "http", "headers": []})
    cookies: dict[str, str] = {}
    now = instance.now()
    with writing(instance.engine) as tx:
        default, _ = apps.ensure_default_scope(tx, now)
        other = people.insert_tenant(tx, "other", "Other", now)
        for name, role in PEOPLE.items():
            tenant = other.id if name == "fred" else default
            people.ensure_member(tx, tenant, f"{name}@acme.example", name="", role=role, now=now)
            user = people.user_by_email(tx, f"{name}@acme.example")
            assert user is not None
            cookies[name] = sessions.begin(tx, nobody, user, SignedInBy.OIDC)
    return cookies


def held(world: World, sha: str, number: int) -> Deployment:
    """A commit of a fork that waits for somebody's word."""
    order = Order(
        app=world.instance.app_named("shop"),
        environment=preview_name(PullNumber(number)),
        branch="prices",
        commit=Commit(Sha(sha), "From a fork", "eve"),
        trigger=Trigger.PULL,
        reason="a pull request of a fork",
        requested_by="eve",
        pull=PullNumber(number),
        hold=Hold.APPROVAL,
    )
    with world.instance.lifecycle.change() as change:
        return world.instance.lifecycle.request(change, order).deployment


PAGES = [
    "/",
    "/apps/shop",
    "/apps/shop/previews",
    "/apps/shop/variables",
    "/apps/shop/access",
    "/apps/shop/activity",
    "/apps/shop/environments/production",
    "/deployments/DEP-1",
    "/queue",
    "/activity",
    "/audit",
    "/orgs",
    "/orgs/default",
    "/orgs/default/variables",
    "/orgs/default/webhooks",
    "/orgs/default/channels",
]


@pytest.mark.parametrize("path", PAGES)
def test_every_page_shows_to_who_may_and_to_nobody_else(world: World, path: str):
    for who in ("operator", "olga"):
        assert world.browser(who).get(path).status_code == 200
    stranger = world.browser("stranger").get(path)
    assert stranger.headers["location"].startswith("/sign-in?next=/")
    own = ("/", "/queue", "/activity", "/audit", "/orgs")
    assert world.browser("fred").get(path).status_code == (200 if path in own else 404)


def test_every_page_that_is_declared_was_tried():
    tried = {re.sub(r"(?<=/apps/)[^/]+", "{app}", path) for path in PAGES}
    tried = {re.sub(r"(?<=/orgs/)[^/]+", "{org}", path) for path in tried}
    tried = {re.sub(r"(?<=/environments/)[^/]+", "{environment}", path) for path in tried}
    declared = {sight.path for sight in SIGHTS}
    assert declared - tried == {"/orgs/{org}/webhooks/{webhook}", "/orgs/{org}/channels/{channel}"}


@pytest.mark.parametrize("deed", routes.DEEDS, ids=lambda deed: deed.path)
def test_no_form_counts_from_elsewhere(world: World, deed: Deed):
    operation = next(one for one in OPERATIONS if one.id == deed.operation)
    assert operation.writes
    path = re.sub(r"\{\w+\}", "1", deed.path)
    before = world.audit()
    assert world.browser("stranger").client.post(path).headers["location"] == "/sign-in?next=/"
    olga = world.browser("olga")
    assert olga.client.post(path).status_code == 403
    assert olga.client.post(path, data={"token": "0" * 64}).status_code == 403
    evil = {"origin": "http://evil.localhost:8080"}
    assert olga.client.post(path, data={"token": olga.token}, headers=evil).status_code == 403
    assert olga.client.get(path).status_code in (200, 404, 405)
    assert world.audit() == before


def test_an_environment_is_locked_with_a_reason_and_an_end_and_unlocked(world: World):
    dora, page = world.browser("dora"), "/apps/shop/environments/production"
    answer = dora.send(page, f"{page}/lock", {"reason": "we move the database", "length": "2h"})
    assert answer.headers["location"] == f"{page}?said=locked"
    one = world.environment()
    assert one.lock is not None
    assert (one.locked_by, one.lock_reason) == ("dora@acme.example", "we move the database")
    assert one.lock_until is not None
    shown = dora.get(answer.headers["location"]).text
    assert "Locked: every deployment waits" in shown
    assert "we move the database" in shown
    assert "the lock ends" in shown
    assert "locked by" in dora.get("/").text
    row = world.audit()[0]
    assert (row.act.action, row.act.actor, row.act.subject) == (
        "lockEnvironment",
        "dora@acme.example",
        "environment production",
    )
    assert row.act.origin.endswith("console")
    assert dora.send(page, f"{page}/unlock").headers["location"] == f"{page}?said=unlocked"
    assert world.environment().lock is None


def test_an_environment_shows_what_speaks_against_a_deployment(world: World):
    page = world.browser("dora").get("/apps/shop/environments/production").text
    assert "No worker is heard of" in page.partition('id="deploy"')[2]


def test_what_a_form_is_refused_for_stands_above_it_with_what_was_typed(world: World):
    dora, page = world.browser("dora"), "/apps/shop/environments/production"
    answer = dora.send(page, f"{page}/lock", {"reason": "x" * 201, "length": "2h"})
    assert answer.status_code == 400
    assert 'role="alert"' in answer.text
    assert "reason" in answer.text
    assert "x" * 201 in answer.text
    assert '<option value="2h" selected>' in answer.text
    assert world.environment().lock is None


@pytest.mark.parametrize(
    ("action", "fields"),
    [
        ("/apps/shop/environments/production/lock", {"reason": "no"}),
        ("/apps/shop/environments/production/deploy", {"environment": "production"}),
        ("/apps/shop/environments/production/rollback", {}),
        ("/apps/shop/environments/production/domains", {"hostname": "www.acme.example"}),
        ("/apps/shop/variables/set", {"name": "A", "value": "b"}),
        ("/deployments/DEP-1/retry", {}),
        ("/orgs/default/webhooks", {"name": "a", "url": "https://a.example"}),
        ("/orgs/default/invitations", {"email": "a@b.example"}),
        ("/apps/shop/access/tokens", {"name": "ci"}),
    ],
)
def test_a_viewer_is_refused_and_others_find_nothing(world: World, action: str, fields: dict[str, str]):
    vera, before = world.browser("vera"), world.audit()
    answer = vera.post(action, {**fields})
    assert answer.status_code == 403
    assert "needs the right" in answer.text
    assert world.browser("fred").post(action, {**fields}).status_code == 404
    assert world.audit() == before


def test_a_viewer_is_offered_no_form(world: World):
    offered = set[str]()
    for path in PAGES:
        page = world.browser("vera").get(path).text
        offered |= set(re.findall(r'method="post" action="([^"]+)"', page))
    assert offered == {"/sign-out"}


def test_a_held_commit_is_approved_or_turned_down_by_its_exact_name(world: World):
    dora, one = world.browser("dora"), held(world, "b" * 40, 7)
    page = f"/deployments/{reference(one.id)}"
    shown = dora.get(page).text
    assert "b" * 40 in shown
    assert "/approve" not in world.browser("vera").get(page).text
    wrong = dora.send(page, f"{page}/approve", {"commit": "c" * 40})
    assert wrong.status_code == 409
    assert dora.send(page, f"{page}/approve", {"commit": "b" * 40}).is_redirect
    assert (world.deployment(one.id).approved_by, world.deployment(one.id).with_secrets) == (
        "dora@acme.example",
        False,
    )
    assert dora.post(f"{page}/reject").status_code == 409
    other = held(world, "d" * 40, 8)
    page = f"/deployments/{reference(other.id)}"
    assert dora.send(page, f"{page}/approve", {"commit": "d" * 40, "secrets": "with"}).is_redirect
    assert world.deployment(other.id).with_secrets
    last = held(world, "e" * 40, 9)
    page = f"/deployments/{reference(last.id)}"
    assert dora.send(page, f"{page}/reject", {"reason": "no thanks"}).is_redirect
    assert "rejected by dora@acme.example: no thanks" in dora.get(page).text


def test_a_webhooks_secret_is_shown_once_and_what_was_sent_is_listed(world: World):
    olga, root = world.browser("olga"), "/orgs/default/webhooks"
    fields: Fields = {"name": "Board", "url": "https://board.example/hook"}
    made = olga.send(root, root, {**fields, "events": ["deployment.failed", "preview.created"]})
    assert made.status_code == 200
    secret = re.findall(r"whsec_[A-Za-z0-9+/=]+", made.text)[0]
    page = re.findall(r'href="(/orgs/default/webhooks/\d+)"', olga.get(root).text)[0]
    shown = olga.get(page).text
    assert secret not in shown
    assert "deployment.failed, preview.created" in shown
    assert olga.send(page, f"{page}/test").headers["location"] == f"{page}?said=tested"
    assert "<code>test</code>" in olga.get(page).text
    again = re.findall(r"whsec_[A-Za-z0-9+/=]+", olga.send(page, f"{page}/rotate").text)[0]
    assert again != secret
    assert olga.send(page, f"{page}/switch", {"enabled": "no"}).is_redirect
    assert "switched off by olga@acme.example" in olga.get(page).text
    assert olga.send(page, f"{page}/change", {**fields, "name": "Wall"}).is_redirect
    assert "Wall" in olga.get(root).text
    assert olga.send(page, f"{page}/remove").headers["location"] == f"{root}?said=removed"
    assert olga.get(page).status_code == 404
    with reading(world.instance.engine) as tx:
        assert receivers.count(tx, world.instance.app_named("shop").tenant_id) == 0


def test_a_channels_address_is_never_shown_again(world: World):
    olga, root = world.browser("olga"), "/orgs/default/channels"
    url = "slack://AAAAAAAAA/BBBBBBBBB/hidden"
    assert olga.send(root, root, {"name": "Team", "url": "gopher://x"}).status_code == 400
    assert olga.send(root, root, {"name": "Team", "url": url}).is_redirect
    page = re.findall(r'href="(/orgs/default/channels/\d+)"', olga.get(root).text)[0]
    assert "BBBBBBBBB" not in olga.get(root).text + olga.get(page).text
    assert olga.send(page, f"{page}/remove").is_redirect


def test_values_of_variables_are_taken_and_never_shown(world: World):
    olga, root = world.browser("olga"), "/apps/shop/variables"
    fields: Fields = {"name": "API_URL", "value": "https://hidden.example\r\nx"}
    assert olga.send(root, f"{root}/set", {**fields, "appliesTo": "all", "secret": "no"}).is_redirect
    assert olga.send(root, f"{root}/import", {"text": "MORE=very-hidden\r\n"}).is_redirect
    shown = olga.get(root).text
    assert "API_URL" in shown
    assert "MORE" in shown
    assert "everywhere" in shown
    assert "hidden" not in re.sub(r'type="hidden"', "", shown)
    refused = olga.send(root, f"{root}/set", {"name": "1 no", "value": "hidden-value"})
    assert refused.status_code == 422
    assert "hidden-value" not in refused.text
    environment = "/apps/shop/environments/production"
    assert "API_URL" in olga.get(environment).text
    own = {"name": "API_URL", "value": "own"}
    assert olga.send(environment, f"{environment}/variables/set", {**own}).is_redirect
    gone: Fields = {"name": "API_URL", "appliesTo": "all"}
    assert olga.send(root, f"{root}/unset", gone).is_redirect
    assert "API_URL" not in olga.get(root).text
    assert olga.send(environment, f"{environment}/variables/unset", gone).is_redirect
    assert "API_URL" not in olga.get(environment).text


def test_a_domain_shows_the_records_to_make(world: World):
    olga, page = world.browser("olga"), "/apps/shop/environments/production"
    assert olga.send(page, f"{page}/domains", {"hostname": "shop.localhost"}).status_code == 422
    assert olga.send(page, f"{page}/domains", {"hostname": "www.acme.example", "pair": "yes"}).is_redirect
    shown = olga.get(page).text
    assert "_slipway-challenge.www.acme.example" in shown
    assert re.search(r">slipway-[\w-]{32}<", shown)
    assert "redirects to www.acme.example" in shown
    number = re.findall(rf'action="{page}/domains/(\d+)/remove"', shown)[0]
    assert olga.send(page, f"{page}/domains/{number}/verify").headers["location"].endswith("said=checking")
    assert olga.send(page, f"{page}/domains/{number}/remove").is_redirect


def test_tokens_are_shown_once_and_revoked(world: World):
    olga = world.browser("olga")
    made = olga.send("/account", "/account/tokens", {"name": "the CLI", "scopes": ["read"], "days": "7"})
    token = re.findall(r"slp_[\w-]{20,}", made.text)[0]
    shown = olga.get("/account").text
    assert token not in shown
    assert "the CLI" in shown
    number = re.findall(r'action="(/account/tokens/\d+/revoke)"', shown)[0]
    assert olga.send("/account", number).is_redirect
    assert "the CLI" not in olga.get("/account").text
    root = "/apps/shop/access"
    assert "sld_" in olga.send(root, f"{root}/tokens", {"name": "ci", "scopes": ["read", "deploy"]}).text
    assert (
        "/hooks/slh_" in olga.send(root, f"{root}/hooks", {"name": "cms", "environment": "production"}).text
    )
    for action in re.findall(rf'action="({root}/\w+/\d+/revoke)"', olga.get(root).text):
        assert olga.send(root, action).headers["location"] == f"{root}?said=revoked"
    assert "/revoke" not in olga.get(root).text


def test_people_are_invited_given_a_role_and_removed(world: World):
    olga, root = world.browser("olga"), "/orgs/default"
    made = olga.send(root, f"{root}/invitations", {"email": "new@acme.example", "role": "viewer"})
    assert "/invitation#" in made.text
    revoke = re.findall(rf'action="({root}/invitations/\d+/revoke)"', olga.get(root).text)[0]
    assert "/invitation#" in olga.send(root, revoke.replace("revoke", "resend")).text
    assert olga.send(root, revoke).is_redirect
    with writing(world.instance.engine) as tx:
        tenant = world.instance.app_named("shop").tenant_id
        member = people.ensure_member(
            tx, tenant, "tess@acme.example", name="", role=Role.VIEWER, now=world.instance.now()
        )
    one = f"{root}/members/{member.id}"
    assert olga.send(root, f"{one}/role", {"role": "admin"}).is_redirect
    assert olga.send(root, f"{one}/remove").is_redirect
    assert "tess@" not in olga.get(root).text
    with reading(world.instance.engine) as tx:
        own = people.member_by_email(tx, tenant, "olga@acme.example")
    assert own is not None
    refused = olga.send(root, f"{root}/members/{own.id}/role", {"role": "viewer"})
    assert refused.status_code == 409
    assert "last owner" in refused.text


def test_what_waits_is_shown_with_its_turn_and_can_be_cancelled(world: World):
    dora = world.browser("dora")
    page = "/apps/shop/environments/production"
    asked = dora.send(page, f"{page}/deploy", {"environment": "production", "branch": "main"})
    here = asked.headers["location"].partition("?")[0]
    assert "Its place in the queue is" in dora.get(here).text
    name = here.rpartition("/")[2]
    listed = dora.get("/queue").text
    assert name in listed
    assert name not in world.browser("fred").get("/queue").text
    assert dora.send("/queue", f"{here}/cancel").is_redirect
    assert name not in dora.get("/queue").text
    assert "brought" in dora.get("/activity").text
    assert "createDeployment" in world.browser("olga").get("/audit").text


def test_previews_are_extended_and_closed(world: World):
    dora, root = world.browser("dora"), "/apps/shop/previews"
    held(world, "f" * 40, 12)
    with writing(world.instance.engine) as tx:
        environments.configure(tx, world.environment("preview/pr-12").id, {"born_at": world.instance.now()})
    shown = dora.get(root).text
    assert "#12" in shown
    assert dora.send(root, f"{root}/12/extend", {"ttl": "3d"}).headers["location"] == f"{root}?said=extended"
    assert world.environment("preview/pr-12").expires_at is not None
    assert dora.post(f"{root}/12/extend", {"ttl": "soon"}).status_code == 400
    number = world.environment("preview/pr-12").id
    shared = dora.post(f"{root}/12/{number}/share", {"ttl": "7d", "note": "for Ada"})
    assert "_slipway_share=" in shared.text
    page = f"/apps/shop/environments/{number}"
    revoke = re.findall(rf'action="({page}/share-links/\d+/revoke)"', dora.get(page).text)[0]
    assert "for Ada" in dora.get(page).text
    assert dora.send(page, revoke).is_redirect
    assert "for Ada" not in dora.get(page).text
    assert dora.send(root, f"{root}/12/close").headers["location"] == f"{root}?said=closed"
    assert "#12" not in dora.get(root).text
    assert "closed by dora@acme.example" in dora.get(f"{root}?status=closed").text
    assert dora.post(f"{root}/12/wake").status_code == 409


def test_an_environment_is_made_and_taken_down_and_pushes_are_switched_off(world: World):
    olga, root = world.browser("olga"), "/apps/shop"
    made = olga.send(root, f"{root}/environments", {"name": "staging", "branch": "develop"})
    page = made.headers["location"].partition("?")[0]
    assert world.environment("staging").branch == "develop"
    here = f"{root}/environments/staging"
    assert page == f"{root}/environments/{world.environment('staging').id}"
    assert olga.send(here, f"{here}/pushes", {"deploys": "manual"}).is_redirect
    assert world.environment("staging").manual
    assert olga.send(here, f"{here}/take-down").is_redirect
    assert world.environment("staging").archived_at is not None
    assert olga.send(root, f"{root}/switch", {"enabled": "no"}).is_redirect
    assert "Automatic deploys" in olga.get(root).text
    assert not world.instance.app_named("shop").enabled
    assert olga.send(root, f"{root}/switch", {"enabled": "yes"}).is_redirect


def test_what_was_ticked_stays_ticked_when_the_form_is_refused(world: World):
    olga, root = world.browser("olga"), "/orgs/default/webhooks"
    fields: Fields = {"name": "Board", "url": "nonsense", "events": ["preview.created", "member.changed"]}
    answer = olga.send(root, root, fields)
    assert answer.status_code == 400
    assert 'value="nonsense"' in answer.text
    assert re.findall(r'value="([a-z.]+)" checked', answer.text) == ["preview.created", "member.changed"]
