"""Commits of forks in the store and in the queue: whose they are, where they go, and whom they make wait."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot.domain.deployment import Deployment, State
from bot.domain.pull import PullNumber
from bot.domain.trust import Trust, trust_of
from bot.leases import Leases
from bot.lifecycle import Lifecycle
from bot.previews import make_room
from bot.queue import Queue, connect
from bot.store import deployments, environments, forks, pulls
from bot.store.engine import reading, writing
from bot.store.schema import tenants
from tests.bot.test_decide_pull import pull_of
from tests.bot.test_previews import SHA, House


class Shop(House):
    """An app with pull requests of its own and of strangers."""

    def of(self, number: int, *, stranger: bool) -> Deployment:
        self.know(pull_of(number=number, head_repository="stranger/shop" if stranger else ""))
        return self.request(f"{number:040x}", number=PullNumber(number))

    def executor(self, concurrency: int = 3, strangers: int = 1) -> Leases:
        lifecycle = self.instance.lifecycle
        return Leases(lifecycle, concurrency=concurrency, strangers=strangers, clock=self.instance.now)

    def change(self, deployment: Deployment, **values: Any) -> Deployment:
        with writing(self.instance.engine) as tx:
            return deployments.change(tx, deployment.id, self.instance.now(), **values)


@pytest.fixture
def shop(tmp_path: Path) -> Generator[Shop]:
    made = Shop(tmp_path)
    yield made
    made.instance.close()


def test_what_is_not_known_to_be_ones_own_is_a_strangers(shop: Shop):
    assert trust_of(shop.of(1, stranger=False)) is Trust.FULL
    assert trust_of(shop.of(2, stranger=True)) is Trust.STRANGER
    # Nobody told of this pull request yet.
    assert trust_of(shop.request(number=PullNumber(3))) is Trust.STRANGER
    assert trust_of(shop.instance.push(shop.app, SHA)) is Trust.FULL


def test_in_a_strangers_preview_everything_is_a_strangers(shop: Shop):
    first = shop.of(1, stranger=True)
    shop.change(first, state=State.CANCELLED)
    # As the API asks: by the environment's name, without the pull request.
    again = shop.instance.push(shop.app, SHA, environment="preview/pr-1")
    assert again.pull is None
    assert trust_of(again) is Trust.STRANGER


def test_the_approval_of_one_commit_is_none_of_the_next(shop: Shop):
    first = shop.change(shop.of(1, stranger=True), approved_by="lisa", with_secrets=True)
    assert trust_of(first) is Trust.FULL
    assert trust_of(shop.request("b" * 40)) is Trust.STRANGER


def test_strangers_build_one_at_a_time_and_after_all_others(shop: Shop):
    strange = [shop.of(number, stranger=True) for number in (1, 2, 3)]
    own = shop.of(4, stranger=False)
    production = shop.instance.push(shop.app, SHA)
    leases = shop.executor(concurrency=5)
    claims = [leases.claim("host/1/0") for _ in range(5)]
    claimed = [claim.deployment.id if claim else None for claim in claims]
    assert claimed == [own.id, production.id, strange[0].id, None, None]
    with reading(shop.instance.engine) as tx:
        assert forks.strangers_running(tx) == 1
    assert claims[2] is not None
    assert leases.finish(claims[2], State.CANCELLED, "cancelled")
    following = leases.claim("host/1/0")
    assert following is not None
    assert following.deployment.id == strange[1].id


@pytest.mark.parametrize(("concurrency", "strangers", "taken"), [(1, 1, 1), (2, 4, 1), (3, 2, 1), (5, 2, 2)])
def test_one_executor_stays_free_from_strangers_where_there_are_several(
    shop: Shop, concurrency: int, strangers: int, taken: int
):
    for number in range(1, 6):
        shop.of(number, stranger=True)
    leases = shop.executor(concurrency, strangers)
    assert sum(leases.claim("host/1/0") is not None for _ in range(concurrency + 1)) == taken


def test_strangers_cost_their_tenant_no_turn_and_no_place(shop: Shop):
    with writing(shop.instance.engine) as tx:
        tx.execute(tenants.update().values(build_limit=1))
    shop.of(1, stranger=True)
    leases = shop.executor(concurrency=5, strangers=3)
    assert leases.claim("host/1/0")
    with reading(shop.instance.engine) as tx:
        assert tx.scalar(sa.select(tenants.c.served_at)) is None
    production = shop.instance.push(shop.app, SHA)
    claim = leases.claim("host/1/0")
    assert claim is not None
    assert claim.deployment.id == production.id
    shop.of(2, stranger=False)
    assert leases.claim("host/1/0") is None


def test_a_fork_that_was_approved_with_secrets_waits_in_no_lane_of_strangers(shop: Shop):
    shop.change(shop.of(1, stranger=True), approved_by="lisa", with_secrets=True)
    shop.change(shop.of(2, stranger=True), approved_by="lisa", with_secrets=True)
    leases = shop.executor(concurrency=5)
    assert leases.claim("host/1/0")
    assert leases.claim("host/1/0")


def test_forks_live_on_their_own_domain_and_move_there_when_there_is_one(shop: Shop):
    first = shop.of(1, stranger=True)
    engine, queue = shop.instance.engine, Queue(connect(shop.instance.settings.redis))
    shop.instance.lifecycle = Lifecycle(
        engine, queue, preview_domain="localhost", fork_domain="forks.test", clock=shop.instance.now
    )
    shop.request("b" * 40)
    shop.of(2, stranger=False)
    shop.of(3, stranger=True)
    with reading(engine) as tx:
        names = {one.name: one.hostname for one in environments.of_apps(tx, [shop.app.id])}
        assert environments.get(tx, first.environment_id).hostname == "pr-1-shop.forks.test"
    assert names["preview/pr-2"] == "pr-2-shop.localhost"
    assert names["preview/pr-3"] == "pr-3-shop.forks.test"


def test_previews_of_forks_make_none_of_the_others_go(shop: Shop):
    own = [shop.of(number, stranger=False) for number in (1, 2)]
    strange = [shop.of(number, stranger=True) for number in (3, 4)]
    with shop.instance.lifecycle.change() as change:
        gone = make_room(change, shop.app, 2, strange[1].environment_id)
        assert [one.id for one in gone] == [strange[0].environment_id]
        gone = make_room(change, shop.app, 1, own[0].environment_id)
        assert [one.id for one in gone] == [strange[1].environment_id, own[1].environment_id]


def test_a_pull_request_whose_fork_is_gone_stays_a_strangers(shop: Shop):
    made = shop.of(1, stranger=True)
    with writing(shop.instance.engine) as tx:
        known = pulls.of_app(tx, shop.app, PullNumber(1))
        assert known is not None
        pulls.keep(tx, shop.app.id, replace(known, head_repository_id=None), shop.instance.now())
    assert trust_of(shop.request("b" * 40)) is Trust.STRANGER
    assert made.from_fork
