"""What GitHub tells of installations and repositories: apps follow, are switched off, and come back."""

import json
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot.domain.app import Absence, App, moved_url
from bot.domain.deployment import State
from bot.domain.environment import Environment
from bot.intake.events import parse
from bot.intake.place_events import InstallationEvent, RepositoryEvent
from bot.intake.recipe import policy_to_json
from bot.intake.recipe_file import Policy
from bot.store import apps, deliveries, deployments, environments, installations
from bot.store.apps import NewApp
from bot.store.deliveries import NewDelivery, StoredDecision
from bot.store.engine import reading, writing
from bot.store.schema import audit
from jobs.git import Mirrors
from jobs.intake import Intake
from tests.fakes import payloads
from tests.instance import Instance

ONE, TWO = "1" * 40, "2" * 40


@dataclass
class House:
    instance: Instance
    down: list[Environment]
    count: int = 0

    def __post_init__(self) -> None:
        mirrors = Mirrors(self.instance.settings, lambda _: None)
        self.intake = Intake(lifecycle=self.instance.lifecycle, mirrors=mirrors, taken_down=self.down.append)

    def app(self, slug: str = "shop", number: int | None = 4711, repository: str = "acme/shop") -> App:
        new = NewApp(slug, repository, f"https://github.com/{repository}.git", "main")
        with writing(self.instance.engine) as tx:
            app = apps.insert(tx, new, self.instance.now())
            if number is not None:
                apps.pin_repository(tx, app.id, number, 9)
            apps.keep_policy(tx, app.id, policy_to_json(Policy()))
        return self.now(slug)

    def now(self, slug: str = "shop") -> App:
        return self.instance.app_named(slug)

    def tell(self, event: str, payload: dict[str, Any], app: App | None = None) -> list[StoredDecision]:
        self.count += 1
        only = app.id if app else None
        body = json.dumps(payload).encode()
        new = NewDelivery("1", f"g{self.count}", event, body, self.instance.now(), verified_app_id=only)
        with writing(self.instance.engine) as tx:
            number = deliveries.insert_new(tx, [new])["1", new.guid]
        self.intake.run([number])
        with reading(self.instance.engine) as tx:
            return deliveries.decisions_of(tx, number)

    def installation(self, action: str, **more: Any) -> list[str]:
        event = "installation_repositories" if action in ("added", "removed") else "installation"
        return [one.code for one in self.tell(event, payloads.installation(action, **more))]

    def repository(self, action: str, **more: Any) -> list[str]:
        return [one.code for one in self.tell("repository", payloads.repository_event(action, **more))]

    def audited(self) -> list[tuple[str, str]]:
        with reading(self.instance.engine) as tx:
            return [(row.action, row.actor) for row in tx.execute(audit.select().order_by(audit.c.id))]


@pytest.fixture
def house(tmp_path: Path) -> Generator[House]:
    house = House(Instance(tmp_path), [])
    yield house
    house.instance.close()


def test_a_suspended_installation_switches_its_apps_off_until_it_is_back(house: House):
    house.app()
    house.app("other", 5, "acme/other")
    with writing(house.instance.engine) as tx:
        apps.set_enabled(tx, house.now("other").id, enabled=False)
    assert house.installation("suspend") == ["app-away", "app-away"]
    shop = house.now()
    assert (shop.enabled, shop.absence, shop.off_reason) == (
        False,
        Absence.SUSPENDED,
        "The GitHub App's installation is suspended.",
    )
    (decision,) = house.tell("push", payloads.push(after=ONE))
    assert (decision.code, decision.sentence) == ("app-disabled", shop.off_reason)
    assert house.installation("unsuspend") == ["app-back", "app-back"]
    assert house.now().enabled
    assert (house.now("other").enabled, house.now("other").absence) == (False, None)
    assert house.audited() == [("app.disabled", "mona"), ("app.enabled", "mona")]


def test_what_a_person_says_meanwhile_counts(house: House):
    app = house.app()
    house.installation("suspend")
    with writing(house.instance.engine) as tx:
        apps.change(tx, app.id, {"enabled": False})
    house.installation("unsuspend")
    assert not house.now().enabled


def test_an_app_that_was_uninstalled_comes_back_with_another_installation(house: House):
    house.app()
    listed = {4711: "acme/shop"}
    assert house.installation("deleted", repositories=listed) == ["app-away"]
    assert house.now().absence is Absence.UNINSTALLED
    house.installation("unsuspend")
    assert house.now().absence is Absence.UNINSTALLED
    assert house.installation("created", number=10, repositories=listed) == ["app-back"]
    assert (house.now().enabled, house.now().installation_id) == (True, 10)


def test_repositories_leave_and_join_an_installation(house: House):
    house.app()
    house.app("named", None, "acme/named")
    assert house.installation("removed", repositories={4711: "acme/shop"}) == ["app-away"]
    assert house.now().absence is Absence.REMOVED
    both = {4711: "acme/shop", 12: "acme/named"}
    assert house.installation("added", repositories=both) == ["app-back", "app-back"]
    assert house.now().enabled
    assert (house.now("named").repository_id, house.now("named").installation_id) == (12, 9)
    assert house.installation("added", repositories={1: "else/where"}) == ["unknown-installation"]


def test_a_renamed_repository_takes_its_apps_along_by_its_id(house: House):
    house.app()
    house.app("squatter", None, "acme/shop-2")
    renamed = {"repository": {"name": {"from": "shop"}}}
    assert house.repository("renamed", repository="acme/store", changes=renamed) == ["repository-moved"]
    shop = house.now()
    assert (shop.repository, shop.clone_url) == ("acme/store", "https://github.com/acme/store.git")
    moved = {"owner": {"from": {"user": {"login": "acme"}}}}
    house.repository("transferred", repository="umbrella/store", changes=moved)
    assert house.now().repository == "umbrella/store"
    assert house.now("squatter").repository == "acme/shop-2"
    house.tell("push", payloads.push(after=ONE, repository="umbrella/shop"))
    assert house.now().clone_url == "https://github.com/umbrella/shop.git"
    assert [what for what, _ in house.audited()] == ["app.renamed"] * 3


def test_a_deleted_repository_loses_its_previews_and_production_stays(house: House):
    app = house.app()
    house.tell("push", payloads.push(after=ONE))
    house.instance.succeed(house.instance.claim())
    house.tell("pull_request", payloads.pull_request(sha=TWO))
    house.tell("push", payloads.push(after=TWO))
    assert house.repository("deleted") == ["app-away"]
    assert house.now().absence is Absence.DELETED
    assert [one.name for one in house.down] == ["preview/pr-1"]
    with reading(house.instance.engine) as tx:
        states = {one.sha + str(one.pull): one.state for one in deployments.latest(tx, 10)}
        production = environments.by_name(tx, app.id, "production")
    assert production is not None
    assert production.active_release_id is not None
    ended = {ONE + "None": State.SUCCEEDED, TWO + "None": State.CANCELLED, TWO + "1": State.CANCELLED}
    assert states == ended


def test_an_archived_repository_rests(house: House):
    house.app()
    assert house.repository("archived") == ["app-away"]
    assert house.now().absence is Absence.ARCHIVED
    house.repository("unarchived")
    assert house.now().enabled
    assert house.repository("edited") == ["event-unused"]
    assert house.repository("deleted", repository="who/knows", repository_id=1) == ["unknown-repository"]


def test_previews_follow_who_may_see_their_repository(house: House):
    app = house.app()
    with writing(house.instance.engine) as tx:
        tenant = app.tenant_id
        installations.bind(tx, 9, tenant, account="acme", created_by="a test", now=house.instance.now())
    assert house.now().private is None
    assert house.repository("privatized", private=True) == ["visibility-learned"]
    assert house.now().private is True
    assert house.repository("publicized") == ["visibility-learned"]
    assert house.now().private is False
    house.repository("renamed", repository="acme/store", private=True)
    assert house.now().private is True
    house.installation("added", repositories={4711: "acme/store"})
    assert house.now().private is False


def test_what_one_app_s_own_secret_verified_speaks_for_that_app_alone(house: House):
    shop = house.app()
    house.app("other", 5, "acme/other")
    listed = {4711: "acme/shop", 5: "acme/other"}
    house.tell("installation", payloads.installation("deleted", repositories=listed), shop)
    assert (house.now().enabled, house.now("other").enabled) == (False, True)


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ("https://github.com/acme/shop.git", "https://github.com/new/name.git"),
        ("https://github.com/Acme/Shop", "https://github.com/new/name"),
        ("git@github.com:acme/shop.git", "git@github.com:new/name.git"),
        ("ssh://git@github.com/acme/shop", "ssh://git@github.com/new/name"),
        ("https://mirror.example.org/acme/shop.git", "https://mirror.example.org/acme/shop.git"),
        ("https://github.com/acme/big-shop.git", "https://github.com/acme/big-shop.git"),
        ("https://github.com.evil.org/acme/shop", "https://github.com.evil.org/acme/shop"),
        ("file:///srv/acme/shop.git", "file:///srv/acme/shop.git"),
    ],
)
def test_addresses_on_github_follow_and_others_stay(before: str, expected: str):
    assert moved_url(before, "acme/shop", "new/name", "https://github.com/") == expected


def test_events_of_places_are_read():
    event = parse("repository", json.dumps(payloads.repository_event("transferred")).encode())
    assert isinstance(event, RepositoryEvent)
    assert (event.action, event.sender) == ("transferred", "mona")
    added = payloads.installation("added", repositories={3: "a/b"})
    event = parse("installation_repositories", json.dumps(added).encode())
    assert isinstance(event, InstallationEvent)
    assert [(one.id, one.full_name) for one in event.added] == [(3, "a/b")]
    odd: dict[str, Any] = {**added, "repositories_added": [{"id": "x"}, 7, None], "changes": 4}
    event = parse("installation_repositories", json.dumps(odd).encode())
    assert isinstance(event, InstallationEvent)
    assert event.added == ()
