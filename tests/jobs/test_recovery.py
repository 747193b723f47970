import json
import threading
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from redis import Redis

from bot.domain.app import App
from bot.domain.deployment import Commit, State, Trigger
from bot.domain.ids import Sha
from bot.github.client import connect
from bot.github.wire import Patience
from bot.lifecycle import Lifecycle, Order
from bot.queue import Queue
from bot.settings import Settings
from bot.store import apps, deliveries, deployments
from bot.store.apps import NewApp
from bot.store.deliveries import NewDelivery
from bot.store.engine import open_engine, reading, writing
from bot.store.gaps import last_check
from jobs.git import Mirrors
from jobs.intake import Intake
from jobs.recovery import MAX_TIMES, Head, Recovery, reconcile_heads, recover_deliveries
from tests.fakes.github import HOOK_ID, FakeGitHub, Hook, deliver_push
from tests.fakes.payloads import push
from tests.fakes.repository import Repository
from tests.stores import migrate
from tests.waiting import wait_until

ZEROS = "0" * 40


class Now:
    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.moment


class House:
    def __init__(self, fake: FakeGitHub, folder: Path, **credentials: str) -> None:
        self.engine = open_engine(f"sqlite:///{folder / 'store.db'}")
        migrate(self.engine)
        self.now = Now()
        self.queue = Queue(Redis.from_url(f"unix://{folder / 'nobody.sock'}"))
        self.lifecycle = Lifecycle(self.engine, self.queue, preview_domain="localhost", clock=self.now)
        settings = Settings.model_validate({"github_api_url": fake.url, **credentials})
        self.github = connect(settings, patience=Patience(0.3, 0.6, (0.01,)), clock=self.now)
        self.tools = Recovery(self.lifecycle, self.github, self.now)

    def close(self) -> None:
        self.github.session.close()
        self.engine.dispose()

    def store(self, guid: str, event: str = "push", body: bytes = b"{}") -> None:
        with writing(self.engine) as tx:
            deliveries.insert_new(tx, [NewDelivery(HOOK_ID, guid, event, body, self.now())])

    def store_all(self, guids: list[str]) -> None:
        with writing(self.engine) as tx:
            deliveries.insert_new(tx, [NewDelivery(HOOK_ID, one, "push", b"{}", self.now()) for one in guids])

    def guids(self) -> list[str]:
        with reading(self.engine) as tx:
            found = [deliveries.get(tx, one) for one in deliveries.undecided(tx, self.now(), 1000)]
        return [one.guid for one in found if one]

    def add_app(self, slug: str = "shop") -> App:
        with writing(self.engine) as tx:
            made = apps.insert(tx, NewApp(slug, f"acme/{slug}", "file:///nowhere", "main"), self.now())
            apps.pin_repository(tx, made.id, 1, 9)
            return apps.get(tx, made.id)

    def deploy(self, app: App, sha: str, trigger: Trigger = Trigger.PUSH) -> None:
        with self.lifecycle.change() as change:
            order = Order(app, "production", "main", Commit(Sha(sha)), trigger, "pushed", "somebody")
            self.lifecycle.request(change, order)


@pytest.fixture
def house(fake: FakeGitHub, tmp_path: Path) -> Generator[House]:
    house = House(fake, tmp_path, github_app_id=fake.world.app_id, github_private_key=fake.world.pem)
    yield house
    house.close()


class Webhook(ThreadingHTTPServer):
    """Takes deliveries as the bot's webhook does, as far as recovery sees it."""

    daemon_threads = True
    request_queue_size = 100

    def __init__(self, house: House) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.house, self.down = house, False
        self.url = f"http://127.0.0.1:{self.server_port}/webhooks/github"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        webhook = self.server
        assert isinstance(webhook, Webhook)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if not webhook.down:
            webhook.house.store(self.headers["X-GitHub-Delivery"], self.headers["X-GitHub-Event"], body)
        self.send_response(503 if webhook.down else 202)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing: the default prints."""


@pytest.fixture
def webhook(house: House, fake: FakeGitHub) -> Generator[Webhook]:
    webhook = Webhook(house)
    fake.hook = Hook(webhook.url, "secret")
    yield webhook
    webhook.close()


def at(sha: str | None) -> Head:
    return lambda _app, _branch: Commit(Sha(sha)) if sha else None


def payload(number: int = 1) -> dict[str, object]:
    return push(after=f"{number:040x}", before=ZEROS, installation_id=9)


def test_what_failed_is_delivered_again_and_what_arrived_is_not(
    house: House, fake: FakeGitHub, webhook: Webhook
):
    fake.deliver("push", payload(1), guid="arrived")
    webhook.down = True
    fake.deliver("push", payload(2), guid="refused")
    webhook.down = False
    fake.lose("push", payload(3), guid="timed-out")
    fake.lose("push", payload(4), guid="stored-but-too-late")
    house.store("stored-but-too-late")
    assert recover_deliveries(house.tools).gaps == 2
    wait_until(lambda: {"refused", "timed-out"} <= set(house.guids()), what="redeliveries")
    assert sorted(fake.said()) == ["redelivery of refused", "redelivery of timed-out"]
    house.now.moment += timedelta(minutes=5)
    assert recover_deliveries(house.tools).gaps == 0
    assert len(fake.said()) == 2
    with reading(house.engine) as tx:
        assert last_check(tx).checked_at == house.now()


def test_one_is_asked_for_a_few_times_with_growing_pauses_and_stays_a_gap(
    house: House, fake: FakeGitHub, webhook: Webhook
):
    webhook.down = True
    fake.lose("push", payload(), guid="never")
    asked_after: list[int] = []
    for minutes in range(0, 400, 5):
        before = len(fake.said())
        assert recover_deliveries(house.tools).gaps == 1
        if len(fake.said()) > before:
            asked_after.append(minutes)
        house.now.moment += timedelta(minutes=5)
    assert asked_after == [0, 5, 15, 35, 75]
    assert len(asked_after) == MAX_TIMES
    house.now.moment += timedelta(days=3)
    assert recover_deliveries(house.tools).gaps == 0
    wait_until(lambda: len(fake.world.attempts) == 1 + MAX_TIMES)


@pytest.mark.usefixtures("webhook")
def test_all_pages_of_three_days_are_read_at_first_and_an_hour_later(house: House, fake: FakeGitHub):
    fake.lose("push", payload(), age=timedelta(days=3, hours=1), guid="too-old")
    for number in range(250):
        fake.lose(
            "push", payload(), age=timedelta(hours=70) - timedelta(minutes=number), guid=f"old-{number}"
        )
    for number in range(30):
        fake.lose("push", payload(), age=timedelta(minutes=number), guid=f"new-{number}")
    house.store_all([f"old-{number}" for number in range(1, 250)] + [f"new-{number}" for number in range(30)])
    assert list(recover_deliveries(house.tools).open) == ["old-0"]
    assert len(fake.requests) == 3 + 1
    fake.requests.clear()
    house.now.moment += timedelta(minutes=5)
    recover_deliveries(house.tools)
    assert fake.requests.count("GET /app/hook/deliveries") == 1
    wait_until(lambda: "old-0" in house.guids(), what="the redelivery")


@pytest.mark.usefixtures("webhook")
def test_a_run_does_so_much_and_the_next_goes_on(house: House, fake: FakeGitHub):
    tools = Recovery(house.lifecycle, house.github, house.now, pages=2, redeliveries=10)
    for number in range(350):
        fake.lose("push", payload(), age=timedelta(minutes=number), guid=f"lost-{number}")
    house.store_all([f"lost-{number}" for number in range(1, 340)])
    assert recover_deliveries(tools).gaps == 1
    wait_until(lambda: "lost-0" in house.guids(), what="the redelivery")
    house.now.moment += timedelta(minutes=5)
    found = recover_deliveries(tools)
    assert found.gaps == 0, "the newest hour takes one page, the other goes further back"
    house.now.moment += timedelta(minutes=5)
    assert recover_deliveries(tools).gaps == 10
    wait_until(lambda: len(house.guids()) == 350, what="the rest")


@pytest.mark.usefixtures("webhook")
def test_a_run_asks_for_so_many(house: House, fake: FakeGitHub):
    tools = Recovery(house.lifecycle, house.github, house.now, redeliveries=10)
    for number in range(25):
        fake.lose("push", payload(), guid=f"lost-{number}")
    assert recover_deliveries(tools).gaps == 25
    assert len(fake.said()) == 10
    wait_until(lambda: len(house.guids()) == 10)


@pytest.mark.usefixtures("webhook")
def test_an_outage_is_noted_and_nothing_is_forgotten(house: House, fake: FakeGitHub):
    fake.lose("push", payload(), guid="lost")
    fake.fail_next(9, 503)
    found = recover_deliveries(house.tools)
    assert found.checked_at is None
    assert "503" in found.note
    fake.repair()
    assert recover_deliveries(house.tools).note == ""
    wait_until(lambda: house.guids() == ["lost"])


def test_without_an_app_nothing_is_asked(fake: FakeGitHub, tmp_path: Path):
    house = House(fake, tmp_path, github_token=fake.add_token())
    assert recover_deliveries(house.tools).checked_at is None
    assert fake.requests == []
    house.close()


def test_a_head_that_nobody_told_of_becomes_a_push_once(house: House):
    app = house.add_app()
    house.deploy(app, "1" * 40)
    heads = {"main": Commit(Sha("2" * 40), "fix it", "ada")}
    assert reconcile_heads(house.tools, house.queue, [app], lambda _, branch: heads.get(branch)) == 1
    assert reconcile_heads(house.tools, house.queue, [app], lambda _, branch: heads.get(branch)) == 0
    with reading(house.engine) as tx:
        (stored,) = deliveries.by_guid(tx, f"reconcile-1-{'2' * 40}")
    assert (stored.hook_id, stored.source, stored.event, stored.verified_app_id) == (
        "reconcile",
        "reconcile",
        "push",
        app.id,
    )
    told = json.loads(stored.body)
    assert (told["ref"], told["before"], told["after"]) == ("refs/heads/main", "1" * 40, "2" * 40)
    assert told["head_commit"]["message"] == "fix it"
    assert (told["repository"]["id"], told["repository"]["full_name"]) == (1, "acme/shop")


def test_a_branch_that_was_put_back_unheard_is_followed_and_what_a_person_deployed_stays(house: House):
    app = house.add_app()
    one, two = "1" * 40, "2" * 40
    house.deploy(app, one)
    house.deploy(app, two)
    assert reconcile_heads(house.tools, house.queue, [app], at(two)) == 0
    assert reconcile_heads(house.tools, house.queue, [app], at(one)) == 1
    assert reconcile_heads(house.tools, house.queue, [app], at(one)) == 0
    house.deploy(app, one)
    assert reconcile_heads(house.tools, house.queue, [app], at(one)) == 0
    assert reconcile_heads(house.tools, house.queue, [app], at(two)) == 1
    house.deploy(app, "3" * 40, Trigger.MANUAL)
    assert reconcile_heads(house.tools, house.queue, [app], at(one)) == 0


def test_heads_that_are_known_gone_unreadable_or_not_followed_are_left_alone(house: House):
    followed, manual, disabled = house.add_app(), house.add_app("manual"), house.add_app("disabled")
    house.deploy(followed, "1" * 40)
    house.deploy(manual, "1" * 40, Trigger.MANUAL)
    disabled = replace(disabled, enabled=False)
    everything = [followed, manual, disabled]

    def unreadable(_app: App, _branch: str) -> Commit | None:
        raise OSError("no route")

    assert reconcile_heads(house.tools, house.queue, everything, at("1" * 40)) == 0
    assert reconcile_heads(house.tools, house.queue, [manual, disabled], at("2" * 40)) == 0
    assert reconcile_heads(house.tools, house.queue, everything, at(None)) == 0
    assert reconcile_heads(house.tools, house.queue, everything, unreadable) == 0


@pytest.mark.parametrize("github_knows_it", [True, False])
def test_a_first_push_that_was_lost_is_found_in_the_repository(
    house: House, tmp_path: Path, github_knows_it: bool
):
    repository = Repository(tmp_path / "shop.git")
    with writing(house.engine) as tx:
        app = apps.insert(tx, NewApp("shop", "acme/shop", repository.url, "main"), house.now())
    mirrors = Mirrors(Settings.model_validate({"home": tmp_path / "home"}), lambda _app: None)

    def head(app: App, branch: str) -> Commit | None:
        sha = mirrors.newest_head(app, branch)
        mirrors.fetch_commit(app, sha)
        return Commit(sha, mirrors.message(app, sha))

    # Nothing was pushed yet.
    assert reconcile_heads(house.tools, house.queue, [app], head) == 0
    sha = repository.commit({"index.html": "hi"}, "Open the shop")
    assert reconcile_heads(house.tools, house.queue, [app], head) == 1
    intake = Intake(lifecycle=house.lifecycle, mirrors=mirrors, clock=house.now)
    intake.run([])
    with reading(house.engine) as tx:
        (made,) = deployments.latest(tx, 10)
        assert apps.get(tx, app.id).repository_id is None
    assert (made.sha, made.state, made.message) == (sha, State.QUEUED, "Open the shop")
    assert reconcile_heads(house.tools, house.queue, [app], head) == 0
    if github_knows_it:
        # The webhook comes after all: it changes nothing, but tells the repository's id.
        with writing(house.engine) as tx:
            late = json.dumps(push(after=sha, before=ZEROS, message="Open the shop")).encode()
            deliveries.insert_new(tx, [NewDelivery(HOOK_ID, "late", "push", late, house.now())])
        intake.run([])
        with reading(house.engine) as tx:
            assert [one.id for one in deployments.latest(tx, 10)] == [made.id]
            assert apps.get(tx, app.id).repository_id is not None
    else:
        newer = repository.commit({"index.html": "hello"}, "Greet")
        assert reconcile_heads(house.tools, house.queue, [app], head) == 1
        intake.run([])
        with reading(house.engine) as tx:
            assert deployments.latest(tx, 1)[0].sha == newer


def test_a_push_can_be_delivered_without_any_github(house: House, webhook: Webhook):
    assert deliver_push(Hook(webhook.url, "secret"), payload(), guid="by-hand") == 202
    assert house.guids() == ["by-hand"]
