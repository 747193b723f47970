"""What the store forgets, and what it must not."""

import json
import sqlite3
import threading
import time
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bot.domain.app import App
from bot.domain.deployment import Blame, Deployment, Failure
from bot.domain.ids import DeliveryId, EnvironmentId, ReleaseId
from bot.errors import ErrorCode
from bot.explain import explain
from bot.store import deliveries, deployments, file, releases, retention
from bot.store.deliveries import NewDelivery, StoredDecision
from bot.store.engine import WAL_BYTES, reading, writing
from bot.store.schema import metadata
from tests.instance import Instance

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OLD = NOW - timedelta(days=40)


@pytest.fixture
def instance(tmp_path: Path) -> Generator[Instance]:
    made = Instance(tmp_path)
    yield made
    made.close()


def receive(
    instance: Instance, count: int, at: datetime, *, decided: bool = True, body: bytes = b"{}"
) -> list[DeliveryId]:
    new = [NewDelivery("7", f"{at.timestamp()}-{n}", "push", body, at) for n in range(count)]
    with writing(instance.engine) as tx:
        ids = sorted(deliveries.insert_new(tx, new).values())
        if decided and ids:
            tx.exec_driver_sql("UPDATE deliveries SET state = 'decided' WHERE id >= ?", (ids[0],))
            deliveries.add_decision(tx, StoredDecision(ids[0], None, "ignore", "ping", "A ping.", {}, at))
    return ids


def held(instance: Instance) -> int:
    with reading(instance.engine) as tx:
        return retention.held_deliveries(tx).count


def forget_all(instance: Instance, before: datetime) -> int:
    total = 0
    while True:
        with writing(instance.engine) as tx:
            gone = retention.forget_deliveries(tx, before)
        if not gone.count:
            return total
        assert gone.count <= retention.ROWS
        total += gone.count


def test_old_deliveries_go_with_their_decisions_and_young_ones_stay(instance: Instance):
    old = receive(instance, 450, OLD)
    young = receive(instance, 3, NOW - timedelta(days=2))
    assert forget_all(instance, NOW - timedelta(days=30)) == 450
    with reading(instance.engine) as tx:
        assert deliveries.decisions_of(tx, old[0]) == []
        assert len(deliveries.decisions_of(tx, young[0])) == 1
        assert deliveries.get(tx, old[-1]) is None
    assert held(instance) == 3


def test_an_undecided_delivery_stays_with_all_behind_it(instance: Instance):
    receive(instance, 5, OLD)
    waiting = receive(instance, 1, OLD + timedelta(hours=1), decided=False)[0]
    receive(instance, 5, OLD + timedelta(hours=2))
    assert forget_all(instance, NOW) == 5
    with writing(instance.engine) as tx:
        assert retention.forget_bodies(tx, NOW).count == 0
        found = deliveries.get(tx, waiting)
        assert found is not None
        assert found.body == b"{}"
        deliveries.mark_decided(tx, waiting, NOW)
    assert forget_all(instance, NOW) == 5


def test_the_newest_delivery_stays_so_that_no_number_is_given_twice(instance: Instance):
    last = receive(instance, 3, OLD)[-1]
    forget_all(instance, NOW)
    assert receive(instance, 1, NOW)[0] > last


def test_a_redelivery_of_one_that_is_kept_is_still_known(instance: Instance):
    at = NOW - timedelta(days=3)
    receive(instance, 1, at)
    forget_all(instance, NOW - timedelta(days=4))
    assert receive(instance, 1, at) == []


def test_bodies_go_before_their_deliveries_and_explain_says_so(instance: Instance):
    receive(instance, 250, OLD, body=b"{" + b" " * 5000 + b"}")
    young = receive(instance, 2, NOW)
    freed = 0
    for _ in range(3):
        with writing(instance.engine) as tx:
            freed += retention.forget_bodies(tx, NOW - timedelta(days=7)).size
    assert freed == 250 * 5002
    with reading(instance.engine) as tx:
        assert retention.old_bodies(tx, NOW - timedelta(days=7)).count == 0
        kept = deliveries.get(tx, young[0])
        assert kept is not None
        assert kept.body == b"{}"
        lines = explain(tx, f"{OLD.timestamp()}-0")
    assert "not kept any more" in lines[0]
    assert "A ping." in lines[2]


def test_large_bodies_go_in_small_portions(instance: Instance):
    receive(instance, 4, OLD, body=bytes([1]) + b"\xfe" * (9 * 1024 * 1024))
    with writing(instance.engine) as tx:
        tx.exec_driver_sql("UPDATE deliveries SET body = zeroblob(9000000)")
        assert retention.forget_deliveries(tx, NOW).count == 1


def deploy(instance: Instance, app: App, number: int, at: datetime, *, works: bool = True) -> Deployment:
    instance.moment = at
    pushed = instance.push(app, f"{number:040x}")
    claim = instance.claim()
    if works:
        instance.succeed(claim)
    else:
        instance.fail(claim, Failure(ErrorCode.BUILD_FAILED, {}, Blame.USER))
    with reading(instance.engine) as tx:
        return deployments.get(tx, pushed.id)


def fail(instance: Instance, number: int) -> None:
    with writing(instance.engine) as tx:
        tx.exec_driver_sql(
            "INSERT INTO deployments"
            " (app_id, tenant_id, environment_id, kind, trigger, state, sha, created_at)"
            " VALUES (1, 1, 1, 'build', 'push', 'failed', ?, 0)",
            (f"{number:040x}",),
        )


def forget_deployments(instance: Instance, before: datetime) -> int:
    total = 0
    while True:
        with writing(instance.engine) as tx:
            gone = sum(retention.forget_deployments(tx, one, before) for one in retention.environment_ids(tx))
        if not gone:
            return total
        total += gone


def expire_all(instance: Instance, *spared: ReleaseId | None) -> None:
    with writing(instance.engine) as tx:
        gone = {one.id for one in releases.kept(tx)} - set(spared)
        releases.expire(tx, gone, NOW)


def test_old_deployments_go_but_not_the_newest_the_live_or_those_whose_release_is_kept(instance: Instance):
    app = instance.app("shop")
    made = [deploy(instance, app, n, OLD + timedelta(minutes=n)) for n in range(10)]
    for n in range(10, 120):
        fail(instance, n)
    expire_all(instance, made[9].release_id, made[4].release_id)
    with reading(instance.engine) as tx:
        assert retention.old_deployments(tx, NOW) == 18
    assert forget_deployments(instance, NOW) == 18
    with reading(instance.engine) as tx:
        left = {one.id for one in deployments.latest(tx, 1000)}
        # 4 has a release that is kept, 9 is live, and of the others the newest hundred are there.
        assert left == {made[4].id, made[9].id, *range(21, 121)}
        assert deployments.events(tx, made[0].id) == []
        assert releases.find(tx, ReleaseId(1)) is None
        assert retention.forgotten_of(tx, [made[0].id, made[4].id]) == {made[0].id}
    assert forget_deployments(instance, OLD) == 0


def test_a_release_that_a_younger_deployment_showed_keeps_the_one_that_made_it(instance: Instance):
    app = instance.app("shop")
    made = [deploy(instance, app, n, OLD, works=n < 2) for n in range(2)]
    with instance.lifecycle.change() as change:
        instance.lifecycle.rollback(change, app, "production", word=None, by="mona")
    instance.leases.claim("host/2/0")
    with writing(instance.engine) as tx:
        tx.exec_driver_sql("UPDATE deployments SET state = 'succeeded', created_at = 0")
        tx.exec_driver_sql("UPDATE environments SET active_deployment_id = NULL")
    for n in range(2, 2 + retention.SPARED):
        fail(instance, n)
    expire_all(instance)
    with writing(instance.engine) as tx:
        first = retention.forget_deployments(tx, EnvironmentId(1), NOW)
        assert deployments.find(tx, made[0].id) is not None
    # The rollback went; now what it showed may go, too.
    assert first == 2
    assert forget_deployments(instance, NOW) == 1


def test_a_deployment_outlives_its_delivery(instance: Instance):
    app = instance.app("shop")
    made = deploy(instance, app, 1, OLD)
    old = receive(instance, 2, OLD)[0]
    with writing(instance.engine) as tx:
        tx.exec_driver_sql("UPDATE deployments SET delivery_id = ?", (old,))
    assert forget_all(instance, NOW) == 1
    with reading(instance.engine) as tx:
        assert deployments.get(tx, made.id).delivery_id is None


def test_whatever_refers_to_what_is_forgotten_is_thought_of():
    """A table that is added must be dealt with in `forget_...`, else nothing is forgotten any more."""
    wanted = ("deliveries", "deployments", "releases")
    found = {
        (table.name, key.column.table.name)
        for table in metadata.sorted_tables
        for key in table.foreign_keys
        if key.column.table.name in wanted
    }
    assert found == {
        ("decisions", "deliveries"),
        ("commands", "deliveries"),
        ("deployments", "deliveries"),
        ("deployment_events", "deployments"),
        ("deployment_steps", "deployments"),
        ("announcements", "deployments"),
        ("releases", "deployments"),
    }


def test_the_file_gives_its_room_back(instance: Instance):
    receive(instance, 1000, OLD, body=b"{" + b"x" * 12_000)
    forget_all(instance, NOW)
    assert file.free_bytes(instance.engine) > 6_000_000
    given = 0
    while some := file.give_back(instance.engine):
        given += some
    assert given > 6_000_000
    assert file.free_bytes(instance.engine) == 0
    instance.engine.dispose()
    assert file.size_of(instance.engine) < 7_000_000
    with sqlite3.connect(instance.settings.home / "slipway.db") as plain:
        assert plain.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    plain.close()


def test_a_log_of_writes_that_a_reader_let_grow_is_cut(instance: Instance):
    with reading(instance.engine) as tx:
        held_open = retention.held_deliveries(tx)
        for day in range(6):
            receive(instance, 300, OLD + timedelta(days=day), body=b"{" + b"x" * 12_000)
        file.shorten_log(instance.engine)
        assert file.size_of(instance.engine) > WAL_BYTES
    assert held_open.count == 0
    file.shorten_log(instance.engine)
    assert (instance.settings.home / "slipway.db-wal").stat().st_size == 0
    receive(instance, 1, NOW)


def test_a_delivery_is_stored_soon_while_thousands_are_forgotten(instance: Instance):
    for day in range(4):
        receive(instance, 500, OLD + timedelta(hours=day), body=b"{" + b"x" * 8000)
    longest, number = 0.0, 1
    # The newest delivery always stays, so there is one that is not old before anything is forgotten.
    receive(instance, 1, NOW, decided=False)
    worker = threading.Thread(target=forget_all, args=(instance, NOW - timedelta(days=30)))
    worker.start()
    while worker.is_alive():
        began = time.monotonic()
        receive(instance, 1, NOW + timedelta(seconds=number), decided=False)
        longest = max(longest, time.monotonic() - began)
        number += 1
    worker.join()
    assert held(instance) == number
    assert longest < 5, json.dumps({"longest wait, s": longest, "stored": number})


def test_commits_of_recent_deployments_are_wanted_and_old_ones_are_not(instance: Instance):
    app = instance.app("shop")
    for n in range(8):
        deploy(instance, app, n, OLD + timedelta(minutes=n))
    expire_all(instance, ReleaseId(1))
    with reading(instance.engine) as tx:
        wanted = retention.recent_commits(tx, [app.id], 3)
    assert wanted == {f"{n:040x}" for n in (0, 5, 6, 7)}
