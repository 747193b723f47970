"""Webhooks and channels by the API: made, shown, changed, tested, and nobody else's."""

import json
from collections.abc import Generator
from typing import Any

import pytest

from bot import signing
from bot.api.outgoing import MAX_RECEIVERS
from bot.domain.deployment import State
from bot.domain.outgoing import Event, ReceiverKind
from bot.store import outbox, people, receivers
from bot.store.engine import reading, writing
from bot.store.receivers import NewReceiver
from bot.vault import open_vault
from tests.calling import Site, api_site

HOOK = {"name": "board", "url": "https://board.example.org/x"}
SLACK = "slack://TokenAAAA/TokenBBBB/TokenCCCCCCCC"


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with api_site(tmp_path_factory.mktemp("home")) as site:
        yield site


def waiting(site: Site) -> list[tuple[int, str, dict[str, Any]]]:
    with reading(site.instance.engine) as tx:
        found = [outbox.find(tx, number) for number in range(1, 50)]
    return [(one.receiver_id, one.event, one.facts) for one in found if one is not None]


def test_a_webhook_is_made_and_its_secret_is_shown_once(site: Site):
    made = site.owner.post("/webhooks", {**HOOK, "events": ["deployment.failed"], "app": "shop"})
    secret = made.pop("secret")
    assert secret.startswith("whsec_")
    assert (made["app"], made["project"], made["enabled"]) == ("shop", None, True)
    assert site.owner.get(f"/webhooks/{made['id']}") == made
    assert site.owner.get("/webhooks") == [made]
    assert site.owner.get("/webhooks?app=second") == []
    assert site["stranger"].get("/webhooks") == []
    assert site["stranger"].get(f"/webhooks/{made['id']}", 404)["code"] == "not-found"
    row = site.owner.get("/audit?action=createWebhook")[0]
    assert (row["subject"], row["after"]["events"]) == ("webhook board", ["deployment.failed"])
    assert secret not in json.dumps(row)
    refused = site.owner.patch(f"/webhooks/{made['id']}", {"url": "http://192.168.1.7/"}, 422)
    assert "OUTGOING_NETWORKS" in refused["message"]
    changed = site.owner.patch(f"/webhooks/{made['id']}", {"name": "other", "events": []})
    assert (changed["name"], changed["events"], changed["url"]) == ("other", [], HOOK["url"])
    assert site.owner.get("/audit?action=updateWebhook")[0]["before"] == {
        "events": ["deployment.failed"],
        "name": "board",
    }
    site.owner.delete(f"/webhooks/{made['id']}")
    assert site.owner.get("/webhooks") == []


def test_a_rotated_secret_signs_beside_the_one_before(site: Site):
    made = site.owner.post("/webhooks", HOOK)
    second = site.owner.post(f"/webhooks/{made['id']}/rotate-secret")["secret"]
    third = site.owner.post(f"/webhooks/{made['id']}/rotate-secret")["secret"]
    with reading(site.instance.engine) as tx:
        one = receivers.find(tx, made["id"])
    assert one is not None
    kept = signing.unseal(open_vault(site.instance.settings), one.sealed)
    assert [each.text for each in kept] == [third, second]
    assert kept[0].until is None
    assert kept[1].until is not None


def test_a_channel_never_shows_its_url_again(site: Site):
    made = site.owner.post("/channels", {"name": "ops", "url": SLACK})
    assert made["service"] == "slack"
    assert "deployment.failed" in made["events"]
    answers = [
        site.owner.get(f"/channels/{made['id']}"),
        site.owner.patch(f"/channels/{made['id']}", {"url": "ntfys://topicSECRET", "name": "new"}),
        site.owner.get("/channels"),
        site.owner.get("/audit"),
        site.owner.post(f"/channels/{made['id']}/test"),
        site.owner.get(f"/channels/{made['id']}/notices"),
    ]
    assert answers[1]["service"] == "ntfys"
    assert "Token" not in json.dumps(answers)
    assert "SECRET" not in json.dumps(answers)
    with site.instance.engine.connect() as connection:
        stored = connection.exec_driver_sql("SELECT * FROM receivers").fetchall()
    assert "Token" not in str(stored)


@pytest.mark.parametrize(
    ("address", "body", "status"),
    [
        ("/webhooks", {"name": "x", "url": "ftp://x.example"}, 400),
        ("/webhooks", {"name": "x", "url": "https://user:pass@x.example/"}, 400),
        ("/webhooks", {"name": "x", "url": "http://169.254.169.254/latest"}, 422),
        ("/webhooks", {"name": "x", "url": "https://[fd00::1]:8443/"}, 422),
        ("/webhooks", {**HOOK, "events": ["nonsense"]}, 400),
        ("/webhooks", {**HOOK, "app": "theirs"}, 422),
        ("/webhooks", {**HOOK, "project": "nope"}, 422),
        ("/channels", {"name": "x", "url": "file:///etc/passwd"}, 400),
        ("/channels", {"name": "x", "url": "syslog://"}, 400),
        ("/channels", {"name": "x", "url": "no url at all"}, 400),
    ],
)
def test_what_can_t_be_is_refused(site: Site, address: str, body: dict[str, Any], status: int):
    site.owner.post(address, body, status)
    assert site.owner.get(address) == []


def test_a_test_goes_to_one_that_chose_nothing_like_it(site: Site):
    made = site.owner.post("/webhooks", {**HOOK, "events": ["deployment.failed"]})
    sent = site.owner.post(f"/webhooks/{made['id']}/test")
    assert (sent["event"], sent["status"], sent["attempts"]) == ("test", "waiting", [])
    assert site.owner.get(f"/webhooks/{made['id']}/deliveries") == [sent]
    assert site.owner.get(f"/webhooks/{made['id']}/deliveries?status=failed") == []
    again = f"/webhooks/{made['id']}/deliveries/{sent['id']}/redeliver"
    assert site.owner.post(again, status=409)["code"] == "still-busy"
    site.owner.patch(f"/webhooks/{made['id']}", {"enabled": False})
    (given_up,) = site.owner.get(f"/webhooks/{made['id']}/deliveries")
    assert given_up["status"] == "failed"
    assert "owner@acme.example" in site.owner.get(f"/webhooks/{made['id']}")["notice"]
    site.owner.post(again, status=409)
    site.owner.post(f"/webhooks/{made['id']}/test", status=409)
    site.owner.patch(f"/webhooks/{made['id']}", {"enabled": True})
    taken = site.owner.post(again)
    assert (taken["status"], taken["uid"]) == ("waiting", sent["uid"])
    other = site.owner.post("/webhooks", HOOK)
    site.owner.post(f"/webhooks/{other['id']}/deliveries/{sent['id']}/redeliver", status=404)


def test_a_change_by_the_api_is_told_with_names_alone(site: Site):
    whole = site.owner.post("/webhooks", {**HOOK, "events": ["app.changed", "token.changed"]})["id"]
    site.owner.post("/webhooks", {**HOOK, "events": ["app.changed"], "app": "second"})
    theirs = site["stranger"].post("/webhooks", HOOK)["id"]
    site.owner.patch("/apps/shop", {"productionBranch": "trunk"})
    made = site.owner.post("/account/api-tokens", {"name": "laptop"})
    told = waiting(site)
    assert [(receiver, event) for receiver, event, _ in told] == [
        (whole, Event.APP_CHANGED),
        (whole, Event.TOKEN_CHANGED),
    ]
    assert theirs not in [receiver for receiver, _, _ in told]
    assert (told[0][2]["app"], told[0][2]["action"]) == ("shop", "updateApp")
    assert made["token"] not in json.dumps([facts for _, _, facts in told])


def test_what_is_not_known_yet_is_not_made_up_and_a_note_is_told(site: Site):
    whole = site.owner.post("/webhooks", {**HOOK, "events": []})["id"]
    site.owner.post(f"/webhooks/{whole}/rotate-secret")
    site.owner.post("/apps/shop/deployments", {"branch": "main", "note": "the prices"})
    [(_, event, facts)] = waiting(site)
    assert (event, facts["commit"], facts["note"]) == ("deployment.queued", None, "the prices")
    assert "main in production" in site.owner.get("/activity?limit=1")["entries"][0]["text"]


def test_a_preview_that_comes_and_goes_is_told(site: Site):
    site.owner.post("/webhooks", {**HOOK, "events": ["preview.created", "preview.removed"]})
    lifecycle, app = site.instance.lifecycle, site.shop
    with lifecycle.change() as change:
        preview = lifecycle.environment(change, app, "preview/pr-7")
        change.use(preview)
    with lifecycle.change() as change:
        change.use(lifecycle.environment(change, app, "preview/pr-7"))
        change.archive(preview, "acme/shop#7 was closed")
    assert [(event, facts["environment"], facts["reason"]) for _, event, facts in waiting(site)] == [
        ("preview.created", "preview/pr-7", None),
        ("preview.removed", "preview/pr-7", "acme/shop#7 was closed"),
    ]


def test_a_rollback_is_told_as_one(site: Site):
    instance = site.instance
    site.owner.post("/webhooks", {**HOOK, "events": ["release.rolled-back", "release.activated"]})
    for sha in "ab":
        instance.push(site.shop, sha * 40)
        instance.succeed(instance.claim())
    with instance.lifecycle.change() as change:
        instance.lifecycle.rollback(change, site.shop, "production", word=None, by="mona")
    claim = instance.claim()
    assert claim.deployment.release_id is not None
    instance.leases.switch(claim, claim.deployment.release_id)
    assert instance.leases.finish(claim, State.SUCCEEDED, "live")
    told = [(event, facts["releaseNumber"]) for _, event, facts in waiting(site)]
    assert told == [
        ("release.activated", 1),
        ("release.activated", 2),
        ("release.activated", 1),
        ("release.rolled-back", 1),
    ]


def test_an_organisation_may_have_so_many(site: Site):
    with writing(site.instance.engine) as tx:
        acme = people.tenant(tx, "acme")
        assert acme is not None
        for _ in range(MAX_RECEIVERS):
            new = NewReceiver(
                tenant_id=acme.id,
                project_id=None,
                app_id=None,
                kind=ReceiverKind.WEBHOOK,
                name="x",
                address="https://x.example",
                sealed=b"",
                events=frozenset(),
                created_by="x",
            )
            receivers.insert(tx, new, site.instance.now())
    assert site.owner.post("/webhooks", HOOK, 409)["code"] == "conflict"
    assert site["stranger"].post("/webhooks", HOOK)["id"]


def test_every_event_that_can_be_chosen_is_described(site: Site):
    listed = site["viewer"].get("/event-types?pageSize=100")
    assert [one["type"] for one in listed] == list(Event)
