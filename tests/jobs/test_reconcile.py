"""What no event told of is found by asking GitHub: pull requests, new names, archived repositories."""

import json
from collections.abc import Generator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.domain.app import Absence, App
from bot.domain.deployment import Deployment, State
from bot.domain.ids import Sha
from bot.domain.pull import PullNumber, preview_name
from bot.lifecycle import Lifecycle
from bot.store import apps, deliveries, deployments, environments, pulls
from bot.store.deliveries import NewDelivery
from bot.store.engine import reading, writing
from jobs.asides import Asides
from jobs.reconcile import Reconciling
from tests.fakes.github import FakeGitHub
from tests.fakes.repository import Repository
from tests.jobs.asking import Office

NAME = "acme/shop"


class House:
    def __init__(self, office: Office) -> None:
        self.office = office
        self.repository: Repository = office.repository(NAME)
        office.fake.world.installations[9].permissions |= {"metadata": "read"}
        self.repository.commit({"index.html": "main"})
        app = office.app("shop", f"{office.settings.github_url}/{NAME}.git")
        with writing(office.engine) as tx:
            apps.pin_repository(tx, app.id, 1, 9)
        self.id = app.id
        office.clock.seconds += 5
        lifecycle = Lifecycle(office.engine, office.queue, preview_domain="localhost", clock=office.clock.now)
        asides = Asides(lifecycle, office.settings.github_url)
        self.tool = Reconciling(lifecycle, office.queue, office.github, asides, clock=office.clock.now)

    def change(self, number: int, text: str) -> Sha:
        branch = f"change-{number}"
        if not self.repository.head(branch):
            head = self.repository.head("main")
            assert head is not None
            self.repository.force(branch, head)
        sha = self.repository.commit({"index.html": text}, branch=branch)
        self.repository.point(f"refs/pull/{number}/head", sha)
        return sha

    def ask(self) -> int:
        """Ask GitHub, and decide about what that made."""
        self.office.clock.seconds += 300
        made = self.tool.run()
        self.office.intake.run([one.id for one in self.office.deliveries()])
        return made

    def app(self) -> App:
        with reading(self.office.engine) as tx:
            return apps.get(tx, self.id)

    def newest(self, number: int) -> Deployment | None:
        with reading(self.office.engine) as tx:
            environment = environments.by_name(tx, self.id, preview_name(PullNumber(number)))
            return deployments.newest(tx, environment.id) if environment else None


@pytest.fixture
def house(fake: FakeGitHub, tmp_path: Path) -> Generator[House]:
    office = Office(fake, tmp_path, github_app_id="4711", github_private_key=fake.world.pem)
    yield House(office)
    office.close()
    fake.assert_nothing_unexpected()


def test_a_lost_opening_deploys_and_a_lost_closing_tears_down(house: House):
    fake = house.office.fake
    one = house.change(1, "one")
    fake.apps.pull(NAME, 1, one)
    assert house.ask() == 1
    made = house.newest(1)
    assert made is not None
    assert (made.sha, made.state) == (one, State.QUEUED)
    assert house.ask() == 0
    two = house.change(1, "two")
    fake.apps.pull(NAME, 1, two)
    assert house.ask() == 1
    newer = house.newest(1)
    assert newer is not None
    assert (newer.sha, newer.state) == (two, State.QUEUED)
    fake.apps.pull(NAME, 1, two, state="closed", merged_at="2026-01-01T00:00:00Z")
    assert house.ask() == 1
    ended = house.newest(1)
    assert ended is not None
    assert (ended.state, ended.reason) == (State.CANCELLED, "#1 was merged")
    with reading(house.office.engine) as tx:
        assert pulls.open_of(tx, [house.id], 1) == []
    assert house.ask() == 0


def test_a_lost_reopening_deploys_again(house: House):
    fake = house.office.fake
    one = house.change(1, "one")
    fake.apps.pull(NAME, 1, one)
    house.ask()
    fake.apps.pull(NAME, 1, one, state="closed")
    house.ask()
    fake.apps.pull(NAME, 1, one, state="open")
    assert house.ask() == 1
    made = house.newest(1)
    assert made is not None
    assert made.state is State.QUEUED


@pytest.mark.parametrize("with_pulls", [True, False])
def test_what_was_told_while_an_app_was_off_is_decided_about_once_it_is_on(house: House, *, with_pulls: bool):
    fake, office = house.office.fake, house.office
    tool = replace(house.tool, with_pulls=with_pulls, known={})
    with writing(office.engine) as tx:
        apps.set_enabled(tx, house.id, enabled=False, absence=Absence.ARCHIVED)
    one = house.change(1, "one")
    shown = fake.apps.pull(NAME, 1, one)
    told = {"action": "opened", "pull_request": shown, "repository": fake.apps.shown(NAME)}
    new = NewDelivery("1", "told", "pull_request", json.dumps(told).encode(), office.clock.now())
    with writing(office.engine) as tx:
        office_of = list(deliveries.insert_new(tx, [new]).values())
    office.intake.run(office_of)
    assert house.newest(1) is None
    assert tool.run() == 1
    assert house.app().enabled
    office.intake.run([found.id for found in office.deliveries()])
    made = house.newest(1)
    assert made is not None
    assert (made.sha, made.state) == (one, State.QUEUED)
    assert tool.run() == 0
    tool.forget()
    assert tool.run() == 0


def test_pull_requests_are_asked_for_as_soon_as_what_waits_is_decided_about(house: House):
    house.office.fake.apps.pull(NAME, 1, house.change(1, "one"))
    waiting = NewDelivery("1", "waiting", "push", b"{}", house.office.clock.now())
    with writing(house.office.engine) as tx:
        deliveries.insert_new(tx, [waiting])
    assert house.tool.run() == 0
    assert house.tool.go_on() == 0
    house.office.intake.run([])
    assert house.tool.go_on() == 1
    assert house.tool.go_on() == 0


def test_what_was_open_before_the_app_was_made_is_left_alone(house: House):
    old = house.change(1, "old")
    found = house.office.fake.apps.pull(NAME, 1, old)
    known = house.office.fake.apps.pulls[NAME][0]
    known["updated_at"] = "2020-01-01T00:00:00Z"
    assert found["number"] == 1
    assert house.ask() == 0
    house.office.fake.apps.pull(NAME, 1, house.change(1, "new"))
    assert house.ask() == 1


def test_nothing_is_asked_of_the_store_while_deliveries_wait(house: House):
    house.office.fake.apps.pull(NAME, 1, house.change(1, "one"))
    assert house.tool.run() == 1
    assert house.tool.run() == 0


def test_names_and_archives_follow_without_any_event(house: House):
    fake = house.office.fake
    house.ask()
    repository = fake.world.repositories.pop(NAME)
    repository.full_name = "acme/store"
    fake.world.repositories["acme/store"] = repository
    # The fake's tokens name repositories, GitHub's know their ids.
    fake.revoke_tokens()
    house.ask()
    assert (house.app().repository, house.app().clone_url) == (
        "acme/store",
        f"{house.office.settings.github_url}/acme/store.git",
    )
    repository.archived = True
    house.ask()
    assert house.app().absence is Absence.ARCHIVED
    repository.archived = False
    house.ask()
    assert house.app().enabled


def test_a_suspension_and_its_end_are_seen_without_any_event(house: House):
    house.office.fake.suspend()
    assert house.ask() == 0
    assert house.app().absence is Absence.SUSPENDED
    house.office.fake.suspend(suspended=False)
    house.ask()
    assert house.app().enabled


def test_one_repository_that_refuses_keeps_no_other_from_being_asked(house: House):
    other = house.office.app("other", f"{house.office.settings.github_url}/acme/other.git")
    with writing(house.office.engine) as tx:
        apps.pin_repository(tx, other.id, 99, 9)
    house.office.fake.apps.pull(NAME, 1, house.change(1, "one"))
    house.office.clock.moment += timedelta(seconds=1)
    assert house.ask() == 1
    house.office.fake.unexpected.clear()


def test_who_may_see_a_repository_is_learned_and_learned_again(house: House):
    repository = house.office.fake.world.repositories[NAME]
    repository.private = True
    house.ask()
    assert house.app().private is True
    with writing(house.office.engine) as tx:
        apps.set_private(tx, house.id, private=False)
    house.ask()
    assert house.app().private is True
    repository.private = False
    house.ask()
    assert house.app().private is False
