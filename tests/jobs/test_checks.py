"""Deployments that wait for a CI: they go on, are skipped, time out, and never overtake one another."""

import json
from collections.abc import Generator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bot.domain.app import App
from bot.domain.deployment import Deployment, Hold, State
from bot.domain.environment import Environment
from bot.domain.ids import DeliveryId, DeploymentId, Sha
from bot.github.client import connect
from bot.github.wire import Patience
from bot.intake.recipe import policy_to_json
from bot.intake.recipe_file import Checks, Policy, Previews
from bot.settings import Settings
from bot.store import apps, checks, deliveries, deployments, environments
from bot.store.apps import NewApp
from bot.store.deliveries import NewDelivery, StoredDecision
from bot.store.engine import reading, writing
from jobs.checks import Checking
from jobs.git import Mirrors
from jobs.intake import Intake
from tests.fakes import payloads
from tests.fakes.github import FakeGitHub
from tests.instance import Instance

ONE, TWO = "1" * 40, "2" * 40


@dataclass
class House:
    instance: Instance
    checking: Checking
    app: App
    fake: FakeGitHub | None = None
    seconds: float = 0.0
    count: int = field(default=0)

    def __post_init__(self) -> None:
        mirrors = Mirrors(self.instance.settings, lambda _: None)
        self.intake = Intake(lifecycle=self.instance.lifecycle, mirrors=mirrors, clock=self.instance.now)

    def tell(self, event: str, payload: dict[str, Any]) -> StoredDecision:
        self.count += 1
        new = NewDelivery("1", f"g{self.count}", event, json.dumps(payload).encode(), self.instance.now())
        with writing(self.instance.engine) as tx:
            number = deliveries.insert_new(tx, [new])["1", new.guid]
        self.intake.run([number])
        return self.decision(number)

    def decision(self, number: DeliveryId) -> StoredDecision:
        with reading(self.instance.engine) as tx:
            (found,) = deliveries.decisions_of(tx, number)
        return found

    def push(self, sha: str) -> StoredDecision:
        return self.tell("push", payloads.push(after=sha))

    def of(self, sha: str) -> Deployment:
        with reading(self.instance.engine) as tx:
            return next(one for one in deployments.latest(tx, 100) if one.sha == sha)

    def look(self, sha: str) -> Deployment:
        self.checking.look(self.of(sha).id)
        return self.of(sha)

    def environment(self, name: str = "production") -> Environment:
        with reading(self.instance.engine) as tx:
            found = environments.by_name(tx, self.app.id, name)
        assert found is not None
        return found

    def policy(self, policy: Policy) -> None:
        with writing(self.instance.engine) as tx:
            apps.keep_policy(tx, self.app.id, policy_to_json(policy))

    def pass_by(self, **time: float) -> None:
        self.instance.pass_by(timedelta(**time))


def wanting(*names: str, timeout: str = "1h") -> Policy:
    wanted = Checks(names, timeout)
    return Policy(checks={"production": wanted, "preview": wanted}, previews=Previews())


def make(folder: Path, fake: FakeGitHub | None) -> House:
    instance = Instance(folder)
    instance.moment = instance.now()
    new = NewApp("shop", "acme/shop", "file:///nowhere/at/all", "main")
    with writing(instance.engine) as tx:
        app = apps.insert(tx, new, instance.now())
        apps.pin_repository(tx, app.id, 4711, 9)
        apps.keep_policy(tx, app.id, policy_to_json(wanting("test", "lint")))
    values: dict[str, Any] = {}
    if fake is not None:
        values = {"github_app_id": fake.world.app_id, "github_private_key": fake.world.pem}
        values["github_api_url"] = fake.url
    github = connect(Settings.model_validate(values), patience=Patience(0.3, 0.6, ()), clock=instance.now)
    checking = Checking(instance.lifecycle, github, clock=instance.now, monotonic=instance.steady)
    return House(instance, checking, app, fake)


@pytest.fixture
def told(tmp_path: Path) -> Generator[House]:
    """An instance that has events alone."""
    house = make(tmp_path, None)
    yield house
    house.instance.close()


@pytest.fixture
def asking(tmp_path: Path, fake: FakeGitHub) -> Generator[House]:
    """An instance that may ask GitHub."""
    fake.add_repository("acme/shop", 4711)
    house = make(tmp_path, fake)
    yield house
    house.checking.github.session.close()
    house.instance.close()


def test_it_waits_says_for_what_and_goes_on(told: House):
    decision = told.push(ONE)
    assert "production waits for 'test' and 'lint'" in decision.sentence
    held = told.of(ONE)
    assert (held.state, held.hold, held.reason) == (State.HELD, Hold.CHECKS, "waiting for 'test' and 'lint'")
    assert told.instance.leases.claim("nobody/1/0") is None
    first = told.tell("check_run", payloads.check_run(sha=ONE))
    assert (first.kind, first.code) == ("note", "check-reported")
    assert first.sentence == f"'test' passed for 1111111: DEP-{held.id} looks whether it may go on."
    assert told.look(ONE).reason == "waiting for 'lint'"
    told.tell("status", payloads.status(sha=ONE, context="lint"))
    gone = told.look(ONE)
    assert (gone.state, gone.hold, gone.reason) == (State.QUEUED, None, "'test' and 'lint' passed")
    assert told.instance.claim().deployment.sha == ONE


def test_what_is_not_asked_for_is_ignored_with_a_reason(told: House):
    told.push(ONE)
    said = [
        told.tell("check_run", payloads.check_run(sha=ONE, name="docs")),
        told.tell("check_run", payloads.check_run(sha=TWO)),
        told.tell("check_run", payloads.check_run(sha=ONE, action="created", conclusion=None)),
        told.tell("status", payloads.status(sha=ONE, context="slipway/shop/production")),
        told.tell("check_run", payloads.check_run(sha=ONE, action="rerequested")),
        told.tell("check_suite", payloads.check_suite(sha=ONE, action="rerequested")),
        told.tell("check_run", payloads.check_run(sha=ONE, repository_id=1, repository="else/where")),
    ]
    assert [one.kind for one in said] == ["ignore"] * 7
    assert [one.code for one in said] == [
        *["check-unused"] * 4,
        *["checks-not-ours"] * 2,
        "unknown-repository",
    ]
    assert told.look(ONE).state is State.HELD


def test_a_report_that_came_before_the_push_counts(told: House):
    told.tell("check_run", payloads.check_run(sha=ONE))
    told.tell("check_run", payloads.check_run(sha=ONE, name="lint"))
    told.push(ONE)
    assert told.look(ONE).state is State.QUEUED


def test_one_that_fails_skips_it_by_name_and_run_again_it_deploys(told: House):
    told.push(ONE)
    told.tell("check_run", payloads.check_run(sha=ONE, name="lint"))
    told.tell("check_run", payloads.check_run(sha=ONE, conclusion="failure", number=5))
    skipped = told.look(ONE)
    assert (skipped.state, skipped.reason) == (State.SKIPPED, "skipped: 'test' failed")
    told.push(ONE)
    assert told.of(ONE).id == skipped.id
    assert told.tell("check_run", payloads.check_run(sha=ONE, number=6)).code == "check-reported"
    told.checking.look(skipped.id)
    again = told.of(ONE)
    assert (again.state, again.reason) == (State.QUEUED, "'test' and 'lint' passed when run again")
    told.checking.look(skipped.id)
    assert told.of(ONE).id == again.id


def test_it_times_out_with_the_names_of_the_missing(told: House):
    told.push(ONE)
    told.tell("check_run", payloads.check_run(sha=ONE))
    told.checking.sweep()
    told.pass_by(minutes=59)
    told.checking.sweep()
    assert told.of(ONE).state is State.HELD
    told.pass_by(minutes=1, seconds=1)
    told.checking.sweep()
    ended = told.of(ONE)
    assert (ended.state, ended.reason) == (State.CANCELLED, "timed out: 'lint' did not pass within 1 h")


def test_rules_that_ask_for_nothing_any_more_let_it_go(told: House):
    told.push(ONE)
    told.policy(Policy())
    assert told.look(ONE).state is State.QUEUED


def test_a_commit_that_waits_does_not_stop_the_one_that_passed(told: House):
    told.push(ONE)
    told.push(TWO)
    assert told.of(ONE).state is State.HELD
    for name in ("test", "lint"):
        told.tell("check_run", payloads.check_run(sha=ONE, name=name))
    assert told.look(ONE).state is State.QUEUED
    for name in ("test", "lint"):
        told.tell("check_run", payloads.check_run(sha=TWO, name=name))
    assert told.look(TWO).state is State.QUEUED
    older = told.of(ONE)
    assert (older.state, older.superseded_by) == (State.SUPERSEDED, told.of(TWO).id)


def test_an_older_commit_that_passes_last_never_goes_live(told: House):
    told.push(ONE)
    told.push(TWO)
    for name in ("test", "lint"):
        told.tell("check_run", payloads.check_run(sha=TWO, name=name))
    told.look(TWO)
    assert told.of(ONE).state is State.SUPERSEDED
    told.checking.look(told.of(ONE).id)
    assert told.of(ONE).state is State.SUPERSEDED


def test_what_passed_in_a_pinned_environment_waits_for_the_pin(told: House):
    told.push(ONE)
    with writing(told.instance.engine) as tx:
        environments.pin(tx, told.environment().id, "rolled back by mona")
    for name in ("test", "lint"):
        told.tell("check_run", payloads.check_run(sha=ONE, name=name))
    pinned = told.look(ONE)
    assert (pinned.state, pinned.hold, pinned.reason) == (State.HELD, Hold.PINNED, "rolled back by mona")
    with told.instance.lifecycle.change() as change:
        told.instance.lifecycle.resume(change, told.environment())
    assert told.of(ONE).state is State.QUEUED


def test_a_preview_waits_too_and_closing_ends_that(told: House):
    told.tell("pull_request", payloads.pull_request(sha=ONE))
    assert told.of(ONE).hold is Hold.CHECKS
    told.tell(
        "pull_request", payloads.pull_request(sha=ONE, action="closed", updated_at="2026-01-01T12:00:09Z")
    )
    assert told.of(ONE).state is State.CANCELLED
    told.tell(
        "pull_request", payloads.pull_request(sha=ONE, action="reopened", updated_at="2026-01-01T12:01:00Z")
    )
    for name in ("test", "lint"):
        told.tell("check_run", payloads.check_run(sha=ONE, name=name))
    assert told.look(ONE).state is State.QUEUED


def test_what_was_approved_waits_for_checks_then(told: House):
    payload = payloads.pull_request(sha=ONE, head_repository="fork/shop", head_repository_id=5)
    told.tell("pull_request", payload)
    held = told.of(ONE)
    assert held.hold is Hold.APPROVAL
    with told.instance.lifecycle.change() as change:
        told.instance.lifecycle.let_go(change, held, "approved by mona")
    waiting = told.of(ONE)
    assert (waiting.hold, waiting.reason) == (Hold.CHECKS, "waiting for 'test' and 'lint'")


def test_github_is_asked_and_its_word_counts_not_the_events(asking: House):
    assert asking.fake is not None
    asking.push(ONE)
    for name in ("test", "lint"):
        asking.tell("check_run", payloads.check_run(sha=ONE, name=name))
    assert asking.look(ONE).state is State.HELD
    asking.fake.check("acme/shop", ONE, "test", "failure")
    asking.fake.check("acme/shop", ONE, "test", "success")
    asking.fake.world.repositories["acme/shop"].statuses.append(
        {"id": 3, "sha": ONE, "context": "lint", "state": "pending"}
    )
    assert asking.look(ONE).reason == "waiting for 'lint'"
    asking.fake.world.repositories["acme/shop"].statuses.append(
        {"id": 4, "sha": ONE, "context": "lint", "state": "success"}
    )
    assert asking.look(ONE).state is State.QUEUED


def test_while_github_is_down_it_stays_held_and_is_asked_again(asking: House):
    assert asking.fake is not None
    asking.push(ONE)
    asking.fake.fail_next(100, 503)
    asking.pass_by(hours=2)
    for _ in range(3):
        asking.checking.sweep()
    assert asking.of(ONE).state is State.HELD
    asking.fake.repair()
    for name in ("test", "lint"):
        asking.fake.check("acme/shop", ONE, name, "success")
    asking.checking.sweep()
    assert asking.of(ONE).state is State.HELD
    asking.pass_by(seconds=16)
    asking.checking.sweep()
    assert asking.of(ONE).state is State.QUEUED


def test_where_github_refuses_events_count_and_the_end_says_why(asking: House):
    assert asking.fake is not None
    asking.fake.suspend()
    asking.push(ONE)
    asking.tell("check_run", payloads.check_run(sha=ONE))
    assert asking.look(ONE).state is State.HELD
    asking.pass_by(hours=1, seconds=1)
    ended = asking.look(ONE)
    assert ended.state is State.CANCELLED
    assert ended.reason.startswith("timed out: 'lint' did not pass within 1 h (GitHub could not be asked: ")


def test_nothing_is_held_for_ever(told: House):
    told.tell(
        "pull_request", payloads.pull_request(sha=ONE, head_repository="fork/shop", head_repository_id=5)
    )
    told.pass_by(days=29)
    told.checking.sweep()
    assert told.of(ONE).state is State.HELD
    told.pass_by(days=2)
    told.checking.sweep()
    assert told.of(ONE).state is State.CANCELLED
    assert told.of(ONE).reason.startswith(
        "nobody let it go within 30 days; it was held: it comes from a fork"
    )


def test_what_events_told_is_forgotten_in_time(told: House):
    told.tell("check_run", payloads.check_run(sha=ONE))
    told.checking.sweep()
    with reading(told.instance.engine) as tx:
        assert len(checks.of_commit(tx, told.app.id, Sha(ONE))) == 1
    told.pass_by(days=8)
    told.checking.sweep()
    with reading(told.instance.engine) as tx:
        assert checks.of_commit(tx, told.app.id, Sha(ONE)) == []


def test_a_deployment_that_is_not_there_is_nothing_to_look_at(told: House):
    told.checking.look(DeploymentId(99))
