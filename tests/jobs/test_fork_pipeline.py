"""Where the result of a stranger's build may go, and what becomes of an approval."""

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.domain.deployment import Commit, Deployment, Hold, State, Trigger
from bot.domain.pull import PullNumber, preview_name
from bot.domain.release import Release
from bot.domain.trust import Trust
from bot.errors import ErrorCode, UserError
from bot.intake.recipe import policy_to_json
from bot.intake.recipe_file import Policy, Previews
from bot.lifecycle import Lifecycle, Order
from bot.promotion import promote
from bot.queue import Queue, connect
from bot.settings import Settings
from bot.store import apps, deployments, environments, pulls, releases
from bot.store.engine import reading, writing
from jobs.addresses import Addresses
from jobs.gates import Gates
from tests.bot.test_decide_pull import pull_of
from tests.fakes.edge import FakeEdge
from tests.jobs.test_pipeline import House, code_of

ONE, TWO = PullNumber(1), PullNumber(2)


class Shop(House):
    """Commits of pull requests of forks, brought to their previews."""

    def __init__(self, folder: Path, edge: FakeEdge) -> None:
        super().__init__(folder, edge)
        self.repository.commit({"index.html": "first"})
        with writing(self.engine) as tx:
            apps.pin_repository(tx, self.app.id, 4711, None)
            self.app = apps.get(tx, self.app.id)

    def bring(self, text: str, number: PullNumber = ONE, *, approved: bool = False) -> Deployment:
        """A push to a pull request, and what was made of it."""
        made = self.ask(text, number, approved=approved)
        self.deploy()
        return self.seen(made)

    def ask(self, text: str, number: PullNumber = ONE, *, approved: bool = False) -> Deployment:
        branch = f"theirs-{number}"
        self.repository.force(branch, self.repository.head() or "")
        sha = self.repository.commit({"index.html": text}, branch=branch)
        self.repository.point(f"refs/pull/{number}/head", sha)
        place = preview_name(number)
        order = Order(self.app, place, "main", Commit(sha), Trigger.PULL, "opened", "eve", pull=number)
        pull = pull_of(number=number, sha=sha, head_repository="eve/shop")
        with self.lifecycle.change() as change:
            pulls.keep(change.tx, self.app.id, pull, change.now)
            made = self.lifecycle.request(change, order).deployment
            if approved:
                deployments.change(change.tx, made.id, change.now, approved_by="lisa", with_secrets=True)
        return made

    def merge(self, text: str) -> Deployment:
        """Bring the same tree to production."""
        return self.push(text)

    def release(self, deployment: Deployment) -> Release:
        assert deployment.release_id is not None, deployment
        with reading(self.engine) as tx:
            return releases.get(tx, deployment.release_id)

    def domains(self, **settings: str) -> None:
        known = self.settings.model_dump(exclude_unset=True)
        self.settings = Settings.model_validate({**known, **settings})
        queue = Queue(connect(self.settings.redis, retries=0))
        domain, forks = self.settings.preview_domain, self.settings.domain_of_forks
        self.lifecycle = Lifecycle(self.engine, queue, preview_domain=domain, fork_domain=forks)
        self.tools = replace(
            self.tools,
            addresses=Addresses(
                self.engine, self.sites, Gates(self.settings.edge_home), domain=domain, fork_domain=forks
            ),
        )


@pytest.fixture(scope="module")
def edge() -> Generator[FakeEdge]:
    with FakeEdge().running() as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, edge: FakeEdge) -> Generator[Shop]:
    made = Shop(tmp_path, edge)
    yield made
    made.close()


def test_what_a_stranger_built_never_goes_live_elsewhere(shop: Shop):
    strange = shop.bring("theirs")
    assert (strange.state, shop.release(strange).trust) == (State.SUCCEEDED, Trust.STRANGER)
    # The very same tree, merged: built anew.
    merged = shop.merge("theirs")
    assert shop.release(merged).trust is Trust.FULL
    assert shop.release(merged).id != shop.release(strange).id
    assert shop.release(merged).key != shop.release(strange).key
    # And a trusted release is none of a stranger's: it may show what strangers must not see.
    assert shop.release(shop.bring("theirs", TWO)).trust is Trust.STRANGER


def test_pull_requests_of_strangers_share_no_release(shop: Shop):
    first, second = shop.bring("same", ONE), shop.bring("same", TWO)
    assert shop.release(first).id != shop.release(second).id
    again = shop.bring("same", ONE)
    assert again.sha == first.sha or shop.release(again).id == shop.release(first).id


def test_a_commit_approved_with_secrets_is_like_ones_own(shop: Shop):
    approved = shop.bring("good", approved=True)
    assert shop.release(approved).trust is Trust.FULL
    assert shop.release(shop.merge("good")).id == shop.release(approved).id


def test_nobody_can_promote_a_strangers_release(shop: Shop):
    production, strange = shop.merge("ours"), shop.bring("theirs")
    release = shop.release(strange)
    for word in (release.name, str(release.number), release.sha[:12]):
        with pytest.raises(UserError) as raised:
            shop.roll_back(word)
        assert raised.value.code is ErrorCode.RELEASE_OF_STRANGER
    with pytest.raises(UserError) as raised, shop.lifecycle.change() as change:
        promote(change, environments.get(change.tx, production.environment_id), release, by="mona")
    assert raised.value.code is ErrorCode.RELEASE_OF_STRANGER
    assert shop.environment().active_release_id == production.release_id
    # In its own preview it may come back.
    with shop.lifecycle.change() as change:
        promote(change, environments.get(change.tx, strange.environment_id), release, by="mona")


@pytest.mark.parametrize(
    ("forks", "state", "hold"), [("hold", State.HELD, Hold.APPROVAL), ("sandboxed", State.QUEUED, None)]
)
def test_a_push_after_the_approval_is_not_approved(shop: Shop, forks: str, state: State, hold: Hold | None):
    with writing(shop.engine) as tx:
        policy = Policy(previews=Previews(forks=forks))  # type: ignore[arg-type]
        apps.keep_policy(tx, shop.app.id, policy_to_json(policy))
    approved = shop.ask("good", approved=True)
    # The fork moves on before the build begins; only git knows of it yet.
    evil = shop.repository.commit({"index.html": "evil"}, branch="theirs-1")
    shop.repository.point("refs/pull/1/head", evil)
    shop.deploy()
    assert shop.seen(approved).state is State.SUPERSEDED
    with reading(shop.engine) as tx:
        newest = deployments.latest(tx, 1)[0]
    assert (newest.sha, newest.state, newest.hold) == (evil, state, hold)
    assert (newest.approved_by, newest.with_secrets, newest.from_fork) == (None, False, True)


def test_beside_sites_on_a_real_domain_strangers_wait_for_one_of_their_own(shop: Shop):
    shop.domains(preview_domain="sites.test")
    refused = shop.bring("theirs")
    assert (refused.state, code_of(refused)) == (State.FAILED, "fork-domain-missing")
    assert shop.sites.active("pr-1-shop.sites.test") is None
    shop.domains(preview_domain="sites.test", fork_domain="forks.test")
    shown = shop.bring("theirs once more")
    assert (shown.state, code_of(shown)) == (State.SUCCEEDED, None)
    assert shop.environment(preview_name(ONE)).hostname == "pr-1-shop.forks.test"
    hostnames = {path.name for path in (shop.settings.edge_home / "hosts").iterdir()}
    assert {name.partition(".")[2] for name in hostnames} == {"forks.test"}
    assert len(hostnames) == 2
    # Whoever says so shares the domain.
    shop.domains(preview_domain="sites.test", fork_domain="sites.test")
    assert shop.bring("theirs a third time").state is State.SUCCEEDED


def test_a_strangers_commit_goes_nowhere_but_into_its_preview(shop: Shop):
    strange = shop.bring("theirs")
    by_hand = Order(shop.app, "production", None, Commit(strange.sha), Trigger.MANUAL, "asked for", "mona")
    # As `/deploy production` on the pull request asks, and as the API does by the commit's name.
    for order in (replace(by_hand, pull=ONE), by_hand):
        with shop.lifecycle.change() as change:
            made = shop.lifecycle.request(change, order).deployment
        shop.deploy()
        assert (shop.seen(made).state, code_of(shop.seen(made))) == (State.FAILED, "commit-of-fork")
    assert shop.environment().active_release_id is None
    # Pushed to a branch by somebody who may, it is the repository's own.
    push = replace(by_hand, trigger=Trigger.PUSH, branch="main")
    shop.repository.force("main", strange.sha)
    for order in (push, by_hand):
        with shop.lifecycle.change() as change:
            made = shop.lifecycle.request(change, order).deployment
        shop.deploy()
        assert shop.seen(made).state is State.SUCCEEDED
        assert shop.release(shop.seen(made)).trust is Trust.FULL
