import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from bot.domain.app import App
from bot.domain.deployment import Deployment, State
from bot.domain.ids import AppId, DeliveryId, Sha
from bot.explain import explain
from bot.leases import Leases
from bot.lifecycle import Lifecycle
from bot.queue import Queue, connect
from bot.settings import Settings
from bot.store import apps, deliveries, deployments, environments
from bot.store.apps import NewApp
from bot.store.deliveries import Delivery, NewDelivery, StoredDecision
from bot.store.engine import open_engine, reading, writing
from jobs.git import Mirrors
from jobs.intake import MAX_ATTEMPTS, Intake
from tests.fakes import payloads
from tests.fakes.repository import Repository
from tests.stores import migrate


@dataclass
class Now:
    moment: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


class House:
    """A store, a repository, an app made from it, and the intake between them."""

    def __init__(self, tmp_path: Path) -> None:
        self.now = Now()
        self.engine = open_engine(f"sqlite:///{tmp_path / 'store.db'}")
        migrate(self.engine)
        # Nobody listens there: what is enqueued is lost, and nothing may depend on it.
        queue = Queue(connect(f"unix://{tmp_path / 'nothing.sock'}"))
        self.lifecycle = Lifecycle(self.engine, queue, preview_domain="localhost", clock=self.now)
        self.repository = Repository(tmp_path / "origin.git")
        settings = Settings(home=tmp_path / "home")  # pyright: ignore[reportCallIssue]
        self.mirrors = Mirrors(settings, lambda _: None)
        self.intake = Intake(lifecycle=self.lifecycle, mirrors=self.mirrors, clock=self.now)
        self.count = 0

    def app(self, slug: str = "shop", **changes: Any) -> App:
        values: dict[str, Any] = {
            "slug": slug,
            "repository": "acme/shop",
            "clone_url": self.repository.url,
            "production_branch": "main",
            **changes,
        }
        with writing(self.engine) as tx:
            return apps.insert(tx, NewApp(**values), self.now())

    def deliver(self, payload: Any, event: str = "push", app: AppId | None = None) -> DeliveryId:
        self.count += 1
        guid = f"guid-{self.count}"
        new = NewDelivery("1", guid, event, json.dumps(payload).encode(), self.now(), verified_app_id=app)
        with writing(self.engine) as tx:
            return deliveries.insert_new(tx, [new])["1", guid]

    def push(self, *, decide: bool = True, **values: Any) -> DeliveryId:
        delivery = self.deliver(payloads.push(**values))
        if decide:
            self.intake.run([delivery])
        return delivery

    def delivery(self, number: DeliveryId) -> Delivery:
        with reading(self.engine) as tx:
            found = deliveries.get(tx, number)
        assert found is not None
        return found

    def decisions(self, number: DeliveryId) -> list[StoredDecision]:
        with reading(self.engine) as tx:
            return deliveries.decisions_of(tx, number)

    def deployments(self) -> list[Deployment]:
        with reading(self.engine) as tx:
            return sorted(deployments.latest(tx, 1000), key=lambda one: one.id)

    def explained(self, number: int) -> list[str]:
        with reading(self.engine) as tx:
            return explain(tx, f"guid-{number}")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def test_an_old_push_that_is_told_of_again_gives_its_commit_no_other_word(house: House):
    house.app()
    first = house.repository.commit({"index.html": "one"})
    house.push(after=first)
    second = house.repository.commit({"index.html": "two"})
    house.push(after=second, before=first)
    before = house.deployments()
    # With GUIDs of their own, as another webhook sends them.
    for sha in (first, second):
        (decision,) = house.decisions(house.push(after=sha))
        assert [one.sha for one in before if one.id in decision.facts["deployments"]] == [sha]
    assert house.deployments() == before


def test_a_push_is_decided_deployed_and_explained(house: House):
    app = house.app()
    sha = house.repository.commit({"index.html": "hi"}, "Open the shop")
    number = house.push(after=sha, message="Open the shop", installation_id=99)
    (decision,) = house.decisions(number)
    (deployment,) = house.deployments()
    assert (decision.kind, decision.code, decision.app_id) == ("deploy", "production-branch", app.id)
    assert decision.facts["deployments"] == [deployment.id]
    assert (deployment.sha, deployment.state, deployment.message) == (sha, State.QUEUED, "Open the shop")
    assert deployment.delivery_id == number
    with reading(house.engine) as tx:
        pinned = apps.get(tx, app.id)
    assert (pinned.repository_id, pinned.installation_id) == (4711, 99)
    lines = house.explained(1)
    assert lines[0].startswith("Received: a 'push' event from github at 2026-01-01 00:00:00 UTC")
    assert lines[1:] == [
        "Verified: signed with the webhook secret of this instance.",
        "Decided for shop: deploy. Pushed to main, the production branch. (rule: production-branch)",
        f"DEP-1: {sha[:7]} to production, queued, Pushed to main, the production branch.",
    ]


def test_running_twice_decides_once(house: House):
    house.app()
    number = house.push(after=house.repository.commit({"a": "1"}))
    house.intake.run([number, number])
    assert len(house.decisions(number)) == 1
    assert len(house.deployments()) == 1


def test_a_mapped_branch_is_named_by_the_default_branch_alone(house: House):
    house.app()
    policy = '[policy.environments]\nstaging = "develop"\n'
    house.repository.commit({"slipway.toml": policy})
    forged = house.repository.commit(
        {"slipway.toml": '[policy.environments]\nqa = "feature"\n'}, branch="feature"
    )
    develop = house.repository.commit({"a": "1"}, branch="develop")
    ignored = house.push(after=forged, ref="refs/heads/feature")
    deployed = house.push(after=develop, ref="refs/heads/develop")
    assert house.decisions(ignored)[0].code == "branch-unused"
    assert house.decisions(deployed)[0].code == "mapped-branch"
    (deployment,) = house.deployments()
    with reading(house.engine) as tx:
        environment = environments.get(tx, deployment.environment_id)
    assert (environment.name, environment.branch, environment.hostname) == (
        "staging",
        "develop",
        "staging-shop.localhost",
    )


def test_a_branch_that_was_named_by_hand_is_brought_to_its_environment(house: House):
    app = house.app()
    house.repository.commit({"slipway.toml": '[policy.environments]\nstaging = "develop"\n'})
    with house.lifecycle.change() as change:
        made = house.lifecycle.environment(change, app, "staging", "next")
        environments.configure(change.tx, made.id, {"follows": "next"})
    develop = house.push(
        after=house.repository.commit({"a": "1"}, branch="develop"), ref="refs/heads/develop"
    )
    following = house.push(after=house.repository.commit({"a": "2"}, branch="next"), ref="refs/heads/next")
    assert house.decisions(develop)[0].code == "branch-unused"
    assert house.decisions(following)[0].facts["environments"] == {"staging": "next"}


def test_paths_are_judged_by_gits_own_list(house: House):
    house.app()
    rules = '[policy]\npaths = ["src/**"]\n'
    first = house.repository.commit({"slipway.toml": rules, "src/a": "1"})
    house.push(after=first)
    docs = house.repository.commit({"docs/a": "1"})
    skipped = house.push(after=docs, before=first)
    both = house.repository.commit({"docs/a": "2", "src/a": "2"})
    deployed = house.push(after=both, before=docs)
    assert house.decisions(skipped)[0].code == "paths-untouched"
    assert house.decisions(skipped)[0].facts["changed"] == 1
    assert house.decisions(deployed)[0].kind == "deploy"
    assert [one.state for one in house.deployments()] == [State.SUPERSEDED, State.SKIPPED, State.QUEUED]


def test_a_push_that_the_branch_moved_on_from_is_superseded_by_the_head_at_once(house: House):
    house.app()
    old = house.repository.commit({"a": "1"})
    new = house.repository.commit({"a": "2"}, "The newest")
    house.push(after=old)
    head, left = house.deployments()
    assert (head.sha, head.state, head.message) == (new, State.QUEUED, "The newest")
    assert (left.sha, left.state, left.superseded_by) == (old, State.SUPERSEDED, head.id)
    house.push(after=new, before=old)
    assert len(house.deployments()) == 2


def test_a_push_that_git_does_not_show_yet_is_deployed_as_told(house: House):
    house.app()
    old = house.repository.commit({"a": "1"})
    new = house.repository.commit({"a": "2"})
    house.mirrors.fetch(house.app("other"))
    house.repository.force("main", old)
    house.push(after=new, before=old)
    assert {one.sha for one in house.deployments()} == {new}


def test_a_skipped_push_leaves_a_finished_deployment_to_announce(house: House):
    house.app()
    kept = house.repository.commit({"a": "1"})
    sha = house.repository.commit({"a": "2"}, "typo [skip ci]")
    house.push(after=kept)
    house.push(after=sha, before=kept, message="typo [skip ci]")
    house.push(after=sha, before=kept, message="typo [skip ci]")
    queued, skipped = house.deployments()
    assert (queued.state, skipped.state) == (State.QUEUED, State.SKIPPED)
    assert (skipped.reason, skipped.sha) == ("Skipped: the commit's message says [skip ci].", sha)
    assert skipped.finished_at is not None
    with reading(house.engine) as tx:
        assert skipped.id in deployments.owed(tx, 10)
    assert house.explained(2)[-1].startswith(f"DEP-2: {sha[:7]} to production, skipped, Skipped: the commit")


def test_a_skipped_push_does_not_take_the_place_of_a_build_that_is_handed_back(house: House):
    house.app()
    built = house.repository.commit({"a": "1"})
    house.push(after=built)
    leases = Leases(house.lifecycle, concurrency=1, clock=house.now)
    claim = leases.claim("host/1/0")
    assert claim is not None
    house.push(after=house.repository.commit({"a": "2"}), before=built, message="[skip ci]")
    leases.hand_back(claim, "the worker stops")
    assert [one.state for one in house.deployments()] == [State.QUEUED, State.SKIPPED]


def test_each_app_of_a_repository_gets_one_decision(house: House):
    house.app("web", root_directory="web")
    house.app("api", root_directory="api")
    off = house.app("off")
    house.app("else", repository="acme/other")
    with writing(house.engine) as tx:
        apps.set_enabled(tx, off.id, enabled=False)
    first = house.repository.commit({"web/a": "1", "api/a": "1"})
    number = house.push(after=house.repository.commit({"web/a": "2"}), before=first)
    codes = {one.app_id: one.code for one in house.decisions(number)}
    assert codes == {1: "production-branch", 2: "paths-untouched", 3: "app-disabled"}


def test_a_delivery_signed_for_one_app_concerns_that_app_alone(house: House):
    house.app("one")
    two = house.app("two")
    sha = house.repository.commit({"a": "1"})
    number = house.deliver(payloads.push(after=sha), app=two.id)
    foreign = house.deliver(payloads.push(after=sha, repository="acme/x", repository_id=1), app=two.id)
    house.intake.run([number, foreign])
    assert [one.app_id for one in house.decisions(number)] == [two.id]
    assert [one.code for one in house.decisions(foreign)] == ["unknown-repository"]
    assert "signed with the webhook secret of two" in house.explained(1)[1]


@pytest.mark.parametrize(
    ("event", "payload", "code"),
    [
        ("push", payloads.push(after="a" * 40, repository="nobody/knows"), "unknown-repository"),
        ("star", {"action": "created"}, "event-unused"),
        ("push", {"ref": None}, "payload-unusable"),
    ],
)
def test_what_concerns_no_app_gets_one_decision(house: House, event: str, payload: Any, code: str):
    number = house.deliver(payload, event)
    house.intake.run([number])
    (decision,) = house.decisions(number)
    assert (decision.app_id, decision.kind, decision.code) == (None, "ignore", code)
    assert house.explained(1)[2].startswith("Decided: ignore. ")


def test_a_name_that_passed_to_another_repository_is_not_followed(house: House):
    house.app()
    sha = house.repository.commit({"a": "1"})
    house.push(after=sha, repository_id=4711)
    other = house.push(after=sha, repository_id=9)
    renamed = house.push(after=house.repository.commit({"a": "2"}), repository="acme/store")
    assert house.decisions(other)[0].code == "unknown-repository"
    assert house.decisions(renamed)[0].kind == "deploy"


def test_an_unreachable_repository_is_deployed_by_its_last_known_rules(house: House, tmp_path: Path):
    house.app()
    house.repository.commit({"slipway.toml": '[policy.environments]\nstaging = "develop"\n'})
    house.push(after=house.repository.commit({"a": "1"}))
    house.repository.path.rename(tmp_path / "away")
    main = house.push(after="a" * 40, before="b" * 40)
    develop = house.push(after="c" * 40, before="b" * 40, ref="refs/heads/develop")
    assert [house.decisions(one)[0].kind for one in (main, develop)] == ["deploy", "deploy"]
    assert "could not be read" in house.explained(2)[3]


def test_a_branch_of_a_repository_that_was_never_read_is_put_off(house: House, tmp_path: Path):
    house.app()
    house.repository.path.rename(tmp_path / "away")
    with capture_logs():
        number = house.push(after="a" * 40, ref="refs/heads/develop")
    assert house.delivery(number).state == "received"
    assert house.delivery(number).retry_at == house.now() + timedelta(seconds=10)
    assert "Not decided yet: tried once, next at 2026-01-01 00:00:10 UTC" in house.explained(1)[2]
    with capture_logs():
        for _ in range(MAX_ATTEMPTS):
            house.intake.run([number])
    assert house.decisions(number)[0].code == "branch-unused"


def test_a_mistake_in_the_policy_leaves_the_last_known_rules(house: House):
    house.app()
    good = house.repository.commit({"slipway.toml": '[policy.environments]\nstaging = "develop"\n'})
    house.push(after=good)
    bad = house.repository.commit({"slipway.toml": "[policy]\nenvironments = 5\n"})
    house.push(after=bad, before=good)
    number = house.push(after=house.repository.commit({"a": "1"}, branch="develop"), ref="refs/heads/develop")
    assert house.decisions(number)[0].kind == "deploy"
    assert "line 2, column 1: policy.environments is 5" in house.explained(3)[3]


def test_one_failure_does_not_stop_the_others_and_ends_after_five(house: House):
    house.app()
    house.repository.commit({"slipway.toml": '[policy.environments]\nstaging = "develop"\n'})
    with writing(house.engine) as tx:
        when = "BEFORE INSERT ON environments WHEN new.name = 'staging'"
        tx.exec_driver_sql(f"CREATE TRIGGER broken {when} BEGIN SELECT RAISE(ABORT, 'broken'); END")
    sha = house.repository.commit({"a": "2"}, branch="develop")
    failing = house.push(after=sha, ref="refs/heads/develop", decide=False)
    good = house.deliver({"ref": None})
    pauses: list[timedelta | None] = []
    with capture_logs() as logged:
        for _ in range(MAX_ATTEMPTS):
            house.intake.run([failing, good])
            retry_at = house.delivery(failing).retry_at
            pauses.append(retry_at - house.now() if retry_at else None)
    assert [one["attempt"] for one in logged if one["event"] == "not decided"] == [1, 2, 3, 4, 5]
    assert house.decisions(good)[0].code == "payload-unusable"
    assert pauses == [timedelta(seconds=10 * 4**power) for power in range(4)] + [None]
    assert (house.delivery(failing).state, house.decisions(failing)) == ("failed", [])
    assert house.explained(1)[2].startswith("Not decided: given up after 5 attempts.")
    assert house.deployments() == []


def test_a_burst_of_pushes_is_one_fetch_and_the_last_commit_waits(house: House):
    house.app()
    shas: list[Sha] = [house.repository.commit({"a": str(number)}) for number in range(30)]
    numbers = [house.push(after=after, before=before, decide=False) for before, after in pairwise(shas)]
    house.intake.run(reversed(numbers))
    states = [(one.sha, one.state) for one in house.deployments()]
    assert states[0] == (shas[-1], State.QUEUED)
    assert {state for _, state in states[1:]} == {State.SUPERSEDED}
    assert [sha for sha, _ in states[1:]] == shas[1:-1]
    assert len(list((house.mirrors.path(house.app("x")) / "objects" / "pack").glob("*.pack"))) == 1


def test_nothing_is_told_of_a_guid_that_never_came(house: House):
    assert house.explained(77) == []
