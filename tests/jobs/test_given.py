"""What a build is given, and what people are shown that it is given: one answer."""

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bot import trusting
from bot.approvals import Approval, approve
from bot.domain.deployment import Commit, Deployment, State, Trigger
from bot.domain.deployment import Hold as HoldFor
from bot.domain.ids import Digest, Sha
from bot.domain.pull import PullNumber, preview_name
from bot.domain.trust import Trust
from bot.orders import Order
from bot.store import apps, environments, pulls, releases
from bot.store.engine import reading, writing
from bot.store.releases import NewRelease
from bot.vault import open_vault
from jobs.given import Giver
from tests.bot.test_decide_pull import pull_of
from tests.calling import Site, api_site

ONE = PullNumber(1)


@dataclass
class Ground:
    site: Site

    def __post_init__(self) -> None:
        instance, owner = self.site.instance, self.site.owner
        with writing(instance.engine) as tx:
            apps.pin_repository(tx, self.site.shop.id, 4711, None)
            self.app = apps.get(tx, self.site.shop.id)
        sent = {"variables": {"API_URL": {"value": "x", "appliesTo": "all"}}}
        assert owner.call("PUT", "/apps/shop/variables", sent).status_code == 200
        self.give = Giver(instance.engine, open_vault(instance.settings))

    def request(self, sha: str, *, head: str, hold: HoldFor | None = None) -> Deployment:
        instance = self.site.instance
        with writing(instance.engine) as tx:
            pulls.keep(tx, self.app.id, pull_of(head_repository=head), instance.now())
        order = Order(
            self.app,
            preview_name(ONE),
            "feature",
            Commit(Sha(sha * 40)),
            Trigger.PULL,
            "opened",
            "eve",
            pull=ONE,
            hold=hold,
        )
        with instance.lifecycle.change() as change:
            return instance.lifecycle.request(change, order).deployment

    def approve(self, deployment: Deployment, *, with_secrets: bool) -> None:
        lifecycle = self.site.instance.lifecycle
        with lifecycle.change() as change:
            approve(lifecycle, change, deployment, Approval("mona", with_secrets=with_secrets))

    def shown(self) -> dict[str, Any]:
        with reading(self.site.instance.engine) as tx:
            place = environments.by_name(tx, self.app.id, preview_name(ONE))
        assert place is not None
        return self.site.owner.get(f"/apps/shop/environments/{place.id}/variables/effective")

    def built(self) -> tuple[list[str], list[str]]:
        """Let the build begin and end: the names that it was given, and those that were kept from it."""
        claim = self.site.instance.claim()
        given = self.give(self.app, claim)
        new = NewRelease(
            self.app.id,
            Digest(f"key of {claim.deployment.id}"),
            Digest("m"),
            claim.deployment.sha,
            1,
            1,
            False,
            claim.deployment.id,
            given.prints,
        )
        with writing(self.site.instance.engine) as tx:
            release = releases.insert(tx, new, self.site.instance.now())
        leases = self.site.instance.leases
        leases.switch(claim, release.id)
        assert leases.finish(claim, State.SUCCEEDED, "live")
        return sorted(given.values), sorted(given.withheld)


@pytest.fixture
def ground(tmp_path: Path) -> Generator[Ground]:
    with api_site(tmp_path / "home") as site:
        yield Ground(site)


def test_what_is_shown_of_a_preview_is_what_its_build_is_given(ground: Ground):
    ground.request("a", head="")
    assert not ground.shown()["withheld"]
    assert ground.built() == (["API_URL"], [])


def test_a_fork_approved_with_secrets_is_shown_with_the_variables_that_its_build_has(ground: Ground):
    held = ground.request("a", head="eve/shop", hold=HoldFor.APPROVAL)
    assert ground.shown()["withheld"]
    ground.approve(held, with_secrets=False)
    assert ground.shown()["withheld"]
    assert ground.built() == ([], ["API_URL"])
    assert ground.shown()["pending"] == []
    ground.approve(held, with_secrets=True)
    assert not ground.shown()["withheld"]
    assert ground.shown()["pending"] == ["API_URL"]
    assert ground.built() == (["API_URL"], [])
    assert ground.shown()["pending"] == []
    ground.request("b", head="eve/shop", hold=HoldFor.APPROVAL)
    assert ground.shown()["withheld"]


def test_before_anything_was_deployed_a_place_of_a_fork_is_a_strangers(ground: Ground):
    instance = ground.site.instance
    with writing(instance.engine) as tx:
        pulls.keep(tx, ground.app.id, pull_of(head_repository="eve/shop"), instance.now())
    with instance.lifecycle.change() as change:
        place = instance.lifecycle.environment(change, ground.app, preview_name(ONE))
        own = instance.lifecycle.environment(change, ground.app, "staging")
    made = ground.request("a", head="eve/shop")
    with reading(instance.engine) as tx:
        assert trusting.of_place(tx, ground.app, own) is Trust.FULL
        assert trusting.of_place(tx, ground.app, place) is Trust.STRANGER
        assert trusting.of_deployment(tx, made) is Trust.STRANGER
