"""Previews and share links as the API, the command line and the door to them show them."""

from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from bot.domain.deployment import Commit, Trigger
from bot.domain.environment import Environment
from bot.domain.ids import Sha
from bot.domain.pull import PullNumber, preview_name
from bot.lifecycle import Order
from bot.preview_sharing import comment_link, furnish_comment
from bot.previews import learn_visibility
from bot.share import open_signer
from bot.store import apps, environments, share_links
from bot.store.engine import reading, writing
from tests.calling import Site, api_site
from tests.shell import Shell

HOST = "pr-7-shop.localhost"
LINKS = "/apps/shop/environments/pr-7/share-links"


@pytest.fixture
def site(tmp_path: Path) -> Generator[Site]:
    with api_site(tmp_path) as site:
        with writing(site.instance.engine) as tx:
            apps.set_private(tx, site.shop.id, private=True)
        deploy(site)
        yield site


def deploy(site: Site, sha: str = "a" * 40) -> None:
    instance = site.instance
    with instance.lifecycle.change() as change:
        app = apps.get(change.tx, site.shop.id)
        commit = Commit(Sha(sha))
        order = Order(app, preview_name(PullNumber(7)), "b", commit, Trigger.PUSH, "", "", pull=PullNumber(7))
        instance.lifecycle.request(change, order)
    instance.succeed(instance.claim())


def preview(site: Site) -> Environment:
    with reading(site.instance.engine) as tx:
        found = environments.by_name(tx, site.shop.id, "preview/pr-7")
    assert found is not None
    return found


def test_a_preview_is_listed_extended_closed_and_back_after_a_push(site: Site):
    [shown] = site.owner.get("/apps/shop/previews")
    assert (shown["number"], shown["status"], shown["hostname"]) == (7, "live", HOST)
    assert (shown["protection"], shown["idle"]) == ("link", False)
    extended = site.owner.post("/apps/shop/previews/7/extend", {"ttl": "3d"}, 200)
    assert extended["expiresAt"] < shown["expiresAt"]
    assert site.owner.post("/apps/shop/previews/7/extend", {"ttl": "soon"}, 400)
    closed = site.owner.post("/apps/shop/previews/7/close", status=200)
    assert (closed["status"], closed["reason"]) == ("closed", "closed by owner@acme.example")
    assert site.owner.get("/apps/shop/previews") == []
    assert [one["number"] for one in site.owner.get("/apps/shop/previews?status=closed")] == [7]
    assert site.owner.post("/apps/shop/previews/7/wake", status=409)["code"] == "conflict"
    assert site.owner.post("/apps/shop/previews/8/close", status=404)
    deploy(site, "b" * 40)
    [again] = site.owner.get("/apps/shop/previews")
    assert again["status"] == "live"
    assert again["expiresAt"] > extended["expiresAt"]


def test_a_sleeping_preview_is_woken(site: Site):
    with writing(site.instance.engine) as tx:
        environments.sleep(tx, preview(site).id, site.instance.now())
    assert site.owner.get("/apps/shop/previews")[0]["status"] == "asleep"
    assert site.owner.post("/apps/shop/previews/7/wake", status=200)["status"] == "live"


def test_a_link_is_made_listed_and_revoked(site: Site):
    made: dict[str, str] = site["app-token"].post(LINKS, {"ttl": "2d", "note": "for the review"})
    token = made["url"].partition("_slipway_share=")[2]
    signer = open_signer(site.instance.settings)
    assert signer.read_link(token, [f"e{preview(site).id}"]) is not None
    [listed] = site["viewer"].get(LINKS)
    assert (listed["id"], listed["note"], listed["scope"]) == (made["id"], "for the review", "environment")
    assert token not in str(listed)
    assert site["viewer"].post(LINKS, {}, 403)
    assert site["stranger"].get(LINKS, 404)
    assert site.owner.delete(f"{LINKS}/{made['id']}") is None
    assert site.owner.get(LINKS) == []
    with reading(site.instance.engine) as tx:
        ended = share_links.revoked(tx, [site.shop.id], site.instance.now())
    assert ended == {site.shop.id: [made["id"]]}


def test_links_are_for_previews_that_links_open(site: Site):
    site.owner.post(LINKS, {"scope": "app"})
    own = site.owner.post(LINKS, {})
    assert site.owner.delete(LINKS) is None
    assert [one["scope"] for one in site.owner.get(LINKS)] == ["app"]
    assert site.owner.delete(f"{LINKS}/{own['id'] + 100}", 404)
    assert site.owner.delete("/apps/second/environments/production/share-links/1", 404)
    site.instance.push(site.shop, "c" * 40)
    assert site.owner.post("/apps/shop/environments/production/share-links", {}, 409)
    changed = site.owner.patch("/apps/shop", {"protection": "login"})
    assert changed["protection"] == "login"
    assert site.owner.post(LINKS, {}, 409)
    assert site.owner.patch("/apps/shop", {"protection": "everybody"}, 400)


def test_a_comment_has_one_link_until_it_is_revoked_or_strangers_read_it(site: Site):
    def furnished() -> int | None:
        with site.instance.lifecycle.change() as change:
            furnish_comment(change, apps.get(change.tx, site.shop.id), preview(site))
            found = comment_link(change.tx, preview(site))
            return found.id if found else None

    first = furnished()
    assert first is not None
    assert furnished() == first
    site.owner.delete(f"{LINKS}/{first}")
    second = furnished()
    assert second not in (None, first)
    site.instance.pass_by(timedelta(days=29, hours=1))
    third = furnished()
    assert third not in (None, first, second)
    with site.instance.lifecycle.change() as change:
        learn_visibility(change, apps.get(change.tx, site.shop.id), private=False)
    assert furnished() is None
    site.owner.patch("/apps/shop", {"protection": "link"})
    assert furnished() is None


def test_the_door_sends_members_back_with_a_hand_over(site: Site):
    base, signer = site.instance.settings.site_url(HOST), open_signer(site.instance.settings)
    for to, target in (
        ("/docs?x=1", "/docs?x=1&"),
        ("/", "/?"),
        ("//evil.example", "//evil.example?"),
        ("@evil.example/", "/?"),
        ("/a%0d%0ab\r\nSet-Cookie: a=b", "/a%0d%0ab%0D%0ASet-Cookie:%20a=b?"),
        ("/x#y", "/x?"),
    ):
        answer = site["viewer"].http.get("/previews/enter", params={"host": HOST, "to": to})
        assert answer.status_code == 303
        assert answer.headers["cache-control"] == "no-store"
        location, _, token = answer.headers["location"].partition("_slipway_share=")
        assert location == f"{base}{target}"
        assert signer.read_hand_over(token, HOST) is not None
        assert signer.read_hand_over(token, f"x{HOST}") is None


def test_the_door_is_shut_for_others(site: Site):
    def asked(who: str, host: str) -> int:
        return site[who].http.get("/previews/enter", params={"host": host, "to": "/"}).status_code

    lasting = f"{'a' * 12}-shop.localhost"
    assert (asked("viewer", HOST), asked("viewer", lasting), asked("operator", HOST)) == (303, 303, 303)
    assert [asked(who, HOST) for who in ("stranger", "second-token")] == [404, 404]
    for host in ("", "..", "evil.example", "pr-9-shop.localhost", f"{HOST}:80", HOST.upper(), "@evil"):
        assert asked("operator", host) == 404, host
    answer = site["nobody"].http.get("/previews/enter", params={"host": HOST, "to": "/a?b=c"})
    assert answer.status_code == 303
    next_one = parse_qs(urlsplit(answer.headers["location"]).query)["next"][0]
    assert answer.headers["location"].startswith("/sign-in?next=")
    assert parse_qs(urlsplit(next_one).query) == {"host": [HOST], "to": ["/a?b=c"]}


def test_the_door_knows_who_signed_in_wherever_they_come_from(site: Site):
    def asked(host: str, site_of: str) -> int:
        headers = {"sec-fetch-site": site_of, "sec-fetch-mode": "navigate"}
        query = {"host": host, "to": "/"}
        return site["session"].http.get("/previews/enter", params=query, headers=headers).status_code

    assert [asked(HOST, came) for came in ("cross-site", "same-site", "none")] == [303, 303, 303]
    sent = site["session-forged"].http.get("/previews/enter", params={"host": HOST, "to": "/"})
    assert sent.headers["location"].startswith(site.instance.settings.site_url(HOST))
    theirs = f"{'a' * 12}-theirs.localhost"
    assert [asked(theirs, came) for came in ("same-site", "same-origin")] == [404, 404]
    ended = site["session-ended"].http.get("/previews/enter", params={"host": HOST, "to": "/"})
    assert ended.headers["location"].startswith("/sign-in?next=")


def test_the_command_line_does_the_same_from_elsewhere(site: Site):
    shell = Shell(site)
    slipway = shell.said
    assert HOST in slipway("preview", "list", "shop")
    assert HOST in slipway("previews")
    (row,) = shell.json("previews", who="app-token")
    assert (row["app"], row["number"], row["status"], row["deployment"]) == ("shop", 7, "live", "DEP-1")
    url = slipway("preview", "share", "shop", "7", "--ttl", "1d", "--note", "for mona").strip()
    assert url.startswith(f"{site.instance.settings.site_url(HOST)}/?_slipway_share=l.1.e")
    assert "for mona" in slipway("preview", "shares", "shop", "7")
    assert "nothing any more" in slipway("preview", "unshare", "shop", "7", "1")
    assert slipway("preview", "protect", "shop", "off").endswith("off.\n")
    assert slipway("preview", "protect", "shop", "default").endswith("as slipway.toml says.\n")
    assert "taken down at" in slipway("preview", "extend", "shop", "7", "3d")
    assert "wakes up" in slipway("preview", "wake", "shop", "7")
    assert slipway("open", "shop", "preview/pr-7").strip() == site.instance.settings.site_url(HOST)
    assert "closed by owner@acme.example" in slipway("preview", "close", "shop", "7")
    for words in (("wake", "shop", "7"), ("close", "shop", "8"), ("protect", "shop", "maybe")):
        shell.refused("preview", *words)
    shell.refused("preview", "extend", "shop", "7", "3d", who="viewer")
