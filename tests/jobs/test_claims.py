"""What an app is told others need not believe: whoever knows its own secret may have lied."""

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot.domain.app import App
from bot.domain.deployment import Deployment, Hold
from bot.domain.ids import AppId, Sha
from bot.domain.pull import PullNumber, preview_name
from bot.domain.trust import Trust, trust_of
from bot.intake.decision import Reason
from bot.lifecycle import Lifecycle
from bot.store import apps, deliveries, deployments, environments, installations, people, pulls
from bot.store.apps import NewApp
from bot.store.deliveries import NewDelivery, insert_new
from bot.store.engine import reading, writing
from jobs.asides import Asides
from jobs.intake import Intake
from jobs.permissions import Permissions
from jobs.pull_comment import comment_of, keeper
from jobs.reconcile import Reconciling
from tests.fakes import payloads
from tests.fakes.github import FakeGitHub
from tests.fakes.repository import Repository
from tests.jobs.asking import Office

NUMBER = PullNumber(7)
EVIL = 10
"""The installation of the other tenant's."""


@dataclass
class House:
    """`shop` is the default tenant's; `mirror`, which was made before it, another tenant's."""

    office: Office
    shop: App
    mirror: App
    repository: Repository
    intake: Intake
    told: int = field(default=0)

    def tell(self, event: str, payload: dict[str, Any], by: App | None = None) -> dict[AppId | None, str]:
        """Tell of an event, signed by GitHub or by an app's own secret; what was decided, by app."""
        self.told += 1
        body = msgspec.json.encode(payload)
        new = NewDelivery(
            "1", f"g{self.told}", event, body, self.office.clock.now(), verified_app_id=by.id if by else None
        )
        with writing(self.office.engine) as tx:
            made = insert_new(tx, [new])["1", new.guid]
        self.intake.run([made])
        with reading(self.office.engine) as tx:
            return {one.app_id: one.code for one in deliveries.decisions_of(tx, made)}

    def claim(self) -> None:
        """Let the other tenant's app say that it is of the shop's repository."""
        payload = payloads.push(repository="evil/mirror", repository_id=1, after="e" * 40)
        assert self.tell("push", payload, self.mirror).keys() == {self.mirror.id}
        assert self.now(self.mirror).repository_id == 1

    def now(self, app: App) -> App:
        with reading(self.office.engine) as tx:
            return apps.get(tx, app.id)

    def propose(self, text: str = "from a fork") -> Sha:
        """A commit of a stranger's, and GitHub's word of its pull request."""
        sha = self.repository.commit({"index.html": text}, branch="theirs")
        self.repository.point(f"refs/pull/{NUMBER}/head", sha)
        payload = payloads.pull_request(
            number=NUMBER,
            sha=sha,
            repository_id=1,
            head_repository="eve/shop",
            head_repository_id=99,
            login="eve",
            updated_at="2026-01-02T12:00:00Z",
        )
        payload["repository"]["private"] = False
        self.tell("pull_request", payload)
        return sha

    def newest(self) -> Deployment:
        with reading(self.office.engine) as tx:
            preview = environments.by_name(tx, self.shop.id, preview_name(NUMBER))
            assert preview is not None
            found = deployments.newest(tx, preview.id)
        assert found is not None
        return found


@pytest.fixture
def house(fake: FakeGitHub, tmp_path: Path) -> Generator[House]:
    office = Office(fake, tmp_path, github_app_id="4711", github_private_key=fake.world.pem)
    repository = office.repository("acme/shop")
    repository.commit({"index.html": "main"})
    theirs = office.repository("evil/mirror", 66)
    theirs.point(f"refs/pull/{NUMBER}/head", theirs.commit({"index.html": "theirs"}))
    fake.add_repository("evil/mirror", 66, installation=EVIL)
    with writing(office.engine) as tx:
        now = office.clock.now()
        apps.ensure_default_scope(tx, now)
        evil = people.insert_tenant(tx, "evil", "Evil", now)
        installations.bind(tx, EVIL, evil.id, account="evil", created_by="a test", now=now)
        new = NewApp("mirror", "evil/mirror", f"{office.settings.github_url}/evil/mirror.git", "main")
        mirror = apps.insert(tx, new, now, (evil.id, people.projects_of(tx, evil.id)[0].id))
    shop = office.app("shop", f"{office.settings.github_url}/acme/shop.git")
    with writing(office.engine) as tx:
        apps.pin_repository(tx, shop.id, 1, 9)
    lifecycle = Lifecycle(office.engine, office.queue, preview_domain="localhost", clock=office.clock.now)
    ask = Permissions(office.github)
    intake = Intake(lifecycle=lifecycle, mirrors=office.mirrors, ask_level=ask, clock=office.clock.now)
    yield House(office, shop, mirror, repository, intake)
    office.close()


def test_nobody_makes_a_fork_s_commits_an_app_s_own_but_github(house: House):
    house.claim()
    lie = payloads.pull_request(
        number=NUMBER,
        sha="e" * 40,
        repository="evil/mirror",
        repository_id=1,
        head_repository="evil/mirror",
        head_repository_id=1,
        updated_at="2099-01-01T12:00:00Z",
    )
    house.tell("pull_request", lie, house.mirror)
    sha = house.propose()
    made = house.newest()
    assert (made.sha, made.hold, trust_of(made)) == (sha, Hold.APPROVAL, Trust.STRANGER)
    with reading(house.office.engine) as tx:
        known = pulls.of_app(tx, house.now(house.shop), NUMBER)
        believed = pulls.of_app(tx, house.now(house.mirror), NUMBER)
    assert known is not None
    assert believed is not None
    assert (known.head_repository, believed.head_repository) == ("eve/shop", "evil/mirror")


def test_who_may_command_elsewhere_commands_nobody_s_app_here(house: House):
    house.claim()
    sha = house.propose()
    house.office.fake.world.repositories["evil/mirror"].collaborators["eve"] = "admin"
    house.office.fake.world.repositories["acme/shop"].collaborators["eve"] = "read"
    comment = payloads.issue_comment(
        body=f"/approve {sha} --with-secrets",
        comment=1,
        number=NUMBER,
        repository_id=1,
        login="eve",
        written_at=f"{house.office.clock.now():%Y-%m-%dT%H:%M:%SZ}",
    )
    comment["repository"]["private"] = False
    decided = house.tell("issue_comment", comment)
    assert decided[house.shop.id] == Reason.COMMAND_DENIED
    assert house.newest().hold is Hold.APPROVAL
    # Who may is not kept from it by an app of others: neither by what GitHub does not say of that one.
    house.office.fake.world.repositories["acme/shop"].collaborators["mona"] = "write"
    comment["comment"] |= {"id": 2, "user": {**comment["comment"]["user"], "login": "mona"}}
    assert house.tell("issue_comment", comment)[house.shop.id] == Reason.COMMAND
    approved = house.newest()
    assert (approved.hold, approved.approved_by, approved.with_secrets) == (None, "mona", True)


def test_apps_of_others_are_neither_named_in_comments_nor_shown_there(house: House):
    house.claim()
    house.propose()
    with reading(house.office.engine) as tx:
        shop, mirror = house.now(house.shop), house.now(house.mirror)
        settings = house.office.settings
        assert [one.app for one in comment_of(tx, shop, NUMBER, settings).held] == ["shop"]
        assert comment_of(tx, mirror, NUMBER, settings).held == []
        assert (keeper(tx, shop), keeper(tx, mirror)) == (shop.id, mirror.id)


def test_what_is_private_and_told_by_no_installation_is_for_the_operator_s_own(house: House):
    house.claim()
    with writing(house.office.engine) as tx:
        apps.pin_repository(tx, house.mirror.id, 1, EVIL)
    payload = payloads.push(repository_id=1, after=house.repository.commit({"index.html": "two"}))
    payload["repository"]["private"] = True
    assert house.tell("push", payload).keys() == {house.shop.id}


def test_what_happens_to_others_installations_happens_to_their_apps_alone(house: House):
    house.claim()
    with writing(house.office.engine) as tx:
        apps.pin_repository(tx, house.mirror.id, 1, EVIL)
    house.office.fake.world.installations[EVIL].suspended = True
    lifecycle = Lifecycle(house.office.engine, house.office.queue, preview_domain="localhost")
    asides = Asides(lifecycle, house.office.settings.github_url)
    tool = Reconciling(lifecycle, house.office.queue, house.office.github, asides)
    tool.run()
    assert (house.now(house.mirror).enabled, house.now(house.shop).enabled) == (False, True)


def test_an_own_secret_leads_no_sign_in_to_other_repositories(house: House):
    with writing(house.office.engine) as tx:
        apps.change(tx, house.shop.id, {"webhook_secret": b"sealed"})
    hears = Intake(
        lifecycle=Lifecycle(house.office.engine, house.office.queue, preview_domain="localhost"),
        mirrors=house.office.mirrors,
        has_sign_in=lambda: house.office.github.is_set,
    )
    told = replace(house, intake=hears)
    payload = payloads.push(repository="acme/payroll", repository_id=1, after="a" * 40)
    told.tell("push", payload, house.shop)
    assert house.now(house.shop).repository == "acme/shop"
    # Neither does the number of another repository, which GitHub knows by its name.
    house.office.fake.add_repository("acme/payroll", 5)
    with writing(house.office.engine) as tx:
        apps.pin_repository(tx, house.shop.id, 5, 9)
    lifecycle = Lifecycle(house.office.engine, house.office.queue, preview_domain="localhost")
    asides = Asides(lifecycle, house.office.settings.github_url)
    Reconciling(lifecycle, house.office.queue, house.office.github, asides).run()
    assert house.now(house.shop).repository == "acme/shop"
    house.office.fake.unexpected.clear()


def test_a_mirror_is_read_by_apps_of_its_tenant_alone(house: House):
    sha = house.repository.commit({"index.html": "secret"})
    house.office.mirrors.fetch(house.shop)
    other = replace(house.mirror, clone_url=house.shop.clone_url)
    assert house.office.mirrors.has(house.shop, sha)
    assert not house.office.mirrors.has(other, sha)
    same = replace(house.shop, id=AppId(77))
    assert house.office.mirrors.has(same, sha)
