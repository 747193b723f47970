import threading
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bot.domain.app import App
from bot.domain.contents import decode
from bot.domain.deployment import UNKNOWN_COMMIT, Commit, Deployment, State, Trigger
from bot.domain.environment import Environment
from bot.domain.ids import Digest
from bot.domain.pull import PullNumber, preview_name
from bot.leases import Claim, Leases
from bot.lifecycle import Lifecycle, Order
from bot.logs import DeploymentLog
from bot.previews import take_down
from bot.queue import Queue, connect
from bot.render import message
from bot.settings import Settings
from bot.store import apps, deployments, environments, releases
from bot.store.apps import NewApp
from bot.store.engine import open_engine, reading, writing
from bot.variables import NOTHING, Given
from jobs.addresses import Addresses
from jobs.artifacts.disk import DiskStore
from jobs.deploy import Deploy
from jobs.gates import Gates
from jobs.git import Mirrors
from jobs.pipeline import Pipeline, Tools
from jobs.sandbox import choose
from jobs.sites import Sites
from tests.fakes.edge import FakeEdge
from tests.fakes.repository import Files, Repository
from tests.stores import migrate
from tests.waiting import wait_until

HOST = "shop.localhost"
PREVIEW = preview_name(PullNumber(1))


class House:
    """A worker's deploy job over a real repository, store, artifacts and routing table."""

    def __init__(self, folder: Path, edge: FakeEdge) -> None:
        self.edge = edge
        self.patience = 0.3
        redis = f"unix://{folder / 'nothing.sock'}"
        self.settings = Settings.model_validate(
            {"home": folder / "home", "edge_address": edge.address, "redis_url": redis, "sandbox": "none"}
        )
        self.engine = open_engine(self.settings.database)
        migrate(self.engine)
        self.repository = Repository(folder / "shop.git")
        client = connect(self.settings.redis, retries=0)
        self.lifecycle = Lifecycle(self.engine, Queue(client), preview_domain="localhost")
        self.leases = Leases(self.lifecycle, concurrency=2)
        self.artifacts = DiskStore(self.settings.artifacts)
        self.sites = Sites(self.settings.edge_home)
        edge.home, edge.silent = self.settings.edge_home, False
        self.tools = Tools(
            mirrors=Mirrors(self.settings, lambda _app: None),
            sandbox=choose.choose(self.settings),
            artifacts=self.artifacts,
            sites=self.sites,
            addresses=Addresses(self.engine, self.sites, Gates(self.settings.edge_home), domain="localhost"),
            give=lambda _app, _claim: NOTHING,
            open_log=lambda _app, deployment, _given: DeploymentLog(self.settings.home, deployment, client),
        )
        with writing(self.engine) as tx:
            new = NewApp("shop", "acme/shop", self.repository.url, "main")
            self.app: App = apps.insert(tx, new, datetime.now(UTC))

    def deploy(self) -> None:
        pipeline = Pipeline(
            settings=self.settings,
            lifecycle=self.lifecycle,
            leases=self.leases,
            tools=self.tools,
            patience=self.patience,
        )
        Deploy(leases=self.leases, pipeline=pipeline)()

    def push(self, text: str, *, run: bool = True) -> Deployment:
        sha = self.repository.commit({"index.html": text})
        order = Order(self.app, "production", "main", Commit(sha), Trigger.PUSH, "pushed", "mona")
        with self.lifecycle.change() as change:
            made = self.lifecycle.request(change, order).deployment
        if run:
            self.deploy()
        return self.seen(made)

    def preview(self, text: str) -> Deployment:
        sha = self.repository.commit({"index.html": text})
        order = Order(
            self.app, PREVIEW, "feature", Commit(sha), Trigger.PULL, "opened", "mona", pull=PullNumber(1)
        )
        with self.lifecycle.change() as change:
            return self.lifecycle.request(change, order).deployment

    def roll_back(self, word: str | None = None) -> Deployment:
        with self.lifecycle.change() as change:
            made = self.lifecycle.rollback(change, self.app, "production", word=word, by="mona")
        self.deploy()
        return self.seen(made)

    def seen(self, deployment: Deployment) -> Deployment:
        with reading(self.engine) as tx:
            return deployments.get(tx, deployment.id)

    def environment(self, name: str = "production") -> Environment:
        with reading(self.engine) as tx:
            found = environments.by_name(tx, self.app.id, name)
        assert found is not None
        return found

    def agrees(self) -> bool:
        """Whether the edge shows what the store says."""
        entry = self.sites.active(HOST)
        return (entry.release if entry else None) == self.environment().active_release_id

    def manifest_of(self, deployment: Deployment) -> str:
        assert deployment.release_id is not None
        with reading(self.engine) as tx:
            return releases.get(tx, deployment.release_id).manifest

    def lose_folder(self, deployment: Deployment) -> None:
        """Take a release's files from the edge, so that they must be laid out again."""
        folder = self.settings.edge_home / "releases" / str(deployment.release_id)
        folder.rename(folder.with_name(f"gone-{folder.name}"))

    def needed(self) -> list[str] | None:
        with reading(self.engine) as tx:
            return environments.required_variables(tx, self.environment().id)

    def close(self) -> None:
        self.engine.dispose()


@pytest.fixture(scope="module")
def edge() -> Generator[FakeEdge]:
    with FakeEdge().running() as running:
        yield running


@pytest.fixture
def house(tmp_path: Path, edge: FakeEdge) -> Generator[House]:
    made = House(tmp_path, edge)
    yield made
    made.close()


def code_of(deployment: Deployment) -> str | None:
    return deployment.failure.code if deployment.failure else None


def test_an_edge_that_does_not_show_the_release_leaves_the_one_before_live(house: House):
    first = house.push("one")
    assert first.state is State.SUCCEEDED
    house.edge.silent = True
    second = house.push("two")
    assert (second.state, code_of(second)) == (State.FAILED, "edge-silent")
    assert house.environment().active_release_id == first.release_id
    assert house.agrees()
    house.edge.silent = False
    third = house.push("three")
    assert third.state is State.SUCCEEDED
    assert house.agrees()


def test_a_first_release_that_the_edge_does_not_show_is_taken_down(house: House):
    house.edge.silent = True
    failed = house.push("one")
    assert code_of(failed) == "edge-silent"
    assert house.environment().active_release_id is None
    assert house.agrees()


def test_a_switch_that_the_disk_refuses_is_taken_back(house: House):
    first = house.push("one")
    blocked = house.settings.edge_home / "older" / HOST
    blocked.write_text("a file where a folder belongs")
    with pytest.raises(FileExistsError):
        house.push("two")
    assert house.environment().active_release_id == first.release_id
    assert house.agrees()


def test_a_cancel_after_the_switch_waits_for_the_edge_to_agree(house: House):
    first = house.push("one")
    house.edge.silent = True
    second = house.push("two", run=False)

    def cancel_when_switched() -> None:
        wait_until(lambda: house.environment().active_deployment_id == second.id)
        with house.lifecycle.change() as change:
            house.lifecycle.cancel(change, deployments.get(change.tx, second.id), "mona")

    canceller = threading.Thread(target=cancel_when_switched)
    canceller.start()
    house.deploy()
    canceller.join()
    assert (house.seen(second).state, code_of(house.seen(second))) == (State.FAILED, "edge-silent")
    assert house.environment().active_release_id == first.release_id
    assert house.agrees()


def test_a_commit_that_was_named_by_its_id_alone_is_known_by_its_message(house: House):
    sha = house.repository.commit({"index.html": "one"}, "Show the price")
    for named in (sha, UNKNOWN_COMMIT):
        order = Order(house.app, "production", "main", Commit(named), Trigger.MANUAL, "asked", "mona")
        with house.lifecycle.change() as change:
            asked = house.lifecycle.request(change, order).deployment
        house.deploy()
        known = house.seen(asked)
        assert (known.sha, known.message, known.author) == (sha, "Show the price", "Test")
    house.push("two")
    assert house.roll_back("1").message == "Show the price"


def test_what_was_built_is_built_again_only_when_that_is_asked_for(house: House):
    first = house.push("one")
    order = Order(house.app, "production", "main", Commit(first.sha), Trigger.MANUAL, "asked", "mona")
    made: list[Deployment] = []
    for wanted in (order, replace(order, rebuild=True)):
        with house.lifecycle.change() as change:
            asked = house.lifecycle.request(change, wanted).deployment
        house.deploy()
        made.append(house.seen(asked))
    assert [one.state for one in made] == [State.SUCCEEDED, State.SUCCEEDED]
    same, anew = made
    assert same.release_id == first.release_id
    assert anew.release_id not in (None, first.release_id)
    assert house.environment().active_release_id == anew.release_id
    assert house.agrees()


def test_a_release_that_failed_is_at_no_address(house: House):
    house.push("one")
    house.edge.silent = True
    failed = house.push("two")
    assert failed.state is State.FAILED
    assert house.environment().active_release_id in house.sites.releases()
    shown = {entry.release for name in house.sites.hostnames() if (entry := house.sites.active(name))}
    assert shown == {house.environment().active_release_id}


def test_a_preview_that_is_taken_down_while_it_is_verified_did_not_fail(house: House):
    house.edge.silent, house.patience = True, 20
    made = house.preview("one")

    def close_when_switched() -> None:
        wait_until(lambda: house.environment(PREVIEW).active_deployment_id == made.id)
        with house.lifecycle.change() as change:
            take_down(change, environments.get(change.tx, made.environment_id), "#1 was closed")

    closer = threading.Thread(target=close_when_switched)
    closer.start()
    house.deploy()
    closer.join()
    seen = house.seen(made)
    assert (seen.state, seen.failure, seen.reason) == (State.CANCELLED, None, "#1 was closed")
    assert house.environment(PREVIEW).active_release_id is None


def break_file(artifacts: DiskStore, manifest: str, how: str) -> None:
    blob = next(iter(decode(artifacts.read(Digest(manifest))).files.values())).digest
    path = Path(artifacts.path(Digest(manifest) if "manifest" in how else blob))
    content = path.read_bytes()
    path.unlink()
    if "cut" in how:
        path.write_bytes(content[:-1])


DAMAGES = ["manifest gone", "manifest cut", "file gone", "file cut"]


@pytest.mark.parametrize("how", DAMAGES)
def test_a_rollback_to_a_damaged_release_is_named_and_switches_nothing(house: House, how: str):
    first, second = house.push("one"), house.push("two")
    break_file(house.artifacts, house.manifest_of(first), how)
    house.lose_folder(first)
    before = house.environment().activation
    rollback = house.roll_back()
    assert (rollback.state, code_of(rollback)) == (State.FAILED, "release-damaged")
    assert house.environment().active_release_id == second.release_id
    assert house.environment().activation == before
    assert house.agrees()


def test_a_rollback_needs_no_artifacts_while_the_edge_has_the_files(house: House):
    first = house.push("one")
    house.push("two")
    break_file(house.artifacts, house.manifest_of(first), "manifest gone")
    assert house.roll_back().state is State.SUCCEEDED
    assert house.environment().active_release_id == first.release_id


@pytest.mark.parametrize("how", ["manifest gone", "file cut"])
def test_a_commit_whose_release_is_damaged_is_built_again(house: House, how: str):
    first = house.push("one")
    house.push("two")
    break_file(house.artifacts, house.manifest_of(first), how)
    house.lose_folder(first)
    again = house.push("one")
    assert again.state is State.SUCCEEDED
    assert again.release_id != first.release_id
    assert house.agrees()
    house.push("two")
    # What was missing is there again, for the old release, too.
    assert house.roll_back("#1").state is State.SUCCEEDED


NEEDS: Files = {"slipway.toml": "[build]\nrequired_variables = ['API_URL', 'API_TOKEN']\n"}


def test_a_deployment_without_variables_that_builds_need_fails_by_their_names(house: House):
    first = house.push("one")
    assert house.needed() == []
    house.repository.commit(NEEDS)
    second = house.push("two")
    assert (second.state, code_of(second)) == (State.FAILED, "variables-missing")
    assert second.failure is not None
    assert second.failure.facts["names"] == "API_TOKEN, API_URL"
    assert "are not set in production: API_TOKEN, API_URL." in message(
        second.failure.code, second.failure.facts
    )
    assert house.needed() == ["API_URL", "API_TOKEN"]
    assert house.environment().active_release_id == first.release_id
    given = Given({"API_URL": "x"}, frozenset(), {"API_URL": "mark"}, ("API_TOKEN",))

    def give(_app: App, _claim: Claim) -> Given:
        return given

    house.tools = replace(house.tools, give=give)
    assert house.push("three").state is State.SUCCEEDED
    with writing(house.engine) as tx:
        house.app = apps.change(tx, house.app.id, {"required_variables": ["OTHER"]})
    last = house.push("four")
    assert last.failure is not None
    assert (last.failure.facts["names"], last.failure.facts["said_by"]) == ("OTHER", "the app's settings")
    assert house.needed() == ["API_URL", "API_TOKEN"]
