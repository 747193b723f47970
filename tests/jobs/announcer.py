from datetime import UTC, datetime, timedelta
from pathlib import Path

from bot.domain.deployment import Commit, State, Trigger
from bot.domain.ids import DeploymentId, Digest, ReleaseId, Sha
from bot.domain.pull import PullNumber
from bot.github.client import connect
from bot.github.wire import Patience
from bot.leases import Claim, Leases
from bot.lifecycle import Lifecycle, Order
from bot.queue import Queue
from bot.queue import connect as connect_redis
from bot.settings import Settings
from bot.store import announcements, apps, deployments, releases
from bot.store.announcements import Announcement
from bot.store.apps import NewApp
from bot.store.engine import Engine, reading, writing
from bot.store.releases import NewRelease
from jobs.announce import Announcing, announce
from tests.fakes.github import FakeGitHub

REPOSITORY = "acme/shop"
CONTEXT = "slipway/shop/production"


class Now:
    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.moment


class House:
    """A store, its lifecycle and an announcer; what a worker does is played by hand."""

    def __init__(self, engine: Engine, fake: FakeGitHub, folder: Path) -> None:
        self.engine, self.now = engine, Now()
        nobody = connect_redis(f"unix://{folder / 'nobody.sock'}")
        self.queue = Queue(nobody)
        self.lifecycle = Lifecycle(engine, self.queue, preview_domain="localhost", clock=self.now)
        self.leases = Leases(self.lifecycle, concurrency=2, clock=self.now)
        key = {"github_app_id": fake.world.app_id, "github_private_key": fake.world.pem}
        self.settings = Settings.model_validate({"github_api_url": fake.url, **key})
        with writing(engine) as tx:
            made = apps.insert(
                tx, NewApp("shop", REPOSITORY, "https://github.com/acme/shop.git", "main"), self.now()
            )
            apps.pin_repository(tx, made.id, 1, 9)
            self.app = apps.get(tx, made.id)
        self.opened: list[Announcing] = []
        self.tools = self.announcing()

    def close(self) -> None:
        for one in self.opened:
            one.github.session.close()
        self.engine.dispose()

    def announcing(self) -> Announcing:
        github = connect(
            self.settings, patience=Patience(connect=0.3, total=0.6, pauses=(0.01, 0.02)), clock=self.now
        )
        self.opened.append(Announcing(self.lifecycle, github, self.settings, self.now))
        return self.opened[-1]

    def push(self, number: int, environment: str = "production") -> DeploymentId:
        order = Order(
            self.app, environment, "main", Commit(sha(number)), Trigger.PUSH, "pushed to main", "somebody"
        )
        with self.lifecycle.change() as change:
            return self.lifecycle.request(change, order).deployment.id

    def open(self, number: int, pull: PullNumber) -> DeploymentId:
        """Ask for a pull request's preview."""
        with self.lifecycle.change() as change:
            return self.lifecycle.request(change, self._of_pull(number, pull)).deployment.id

    def hear_late(self, number: int, pull: PullNumber, newer: DeploymentId) -> DeploymentId:
        """Hear of a commit only after a newer one was deployed."""
        with self.lifecycle.change() as change:
            made = deployments.get(change.tx, newer)
            return self.lifecycle.overtaken(change, self._of_pull(number, pull), made).id

    def _of_pull(self, number: int, pull: PullNumber) -> Order:
        commit, name = Commit(sha(number)), f"preview/pr-{pull}"
        return Order(self.app, name, "feature", commit, Trigger.PULL, "opened", "mona", pull=pull)

    def claim(self) -> Claim:
        claim = self.leases.claim("host/1/0")
        assert claim is not None
        return claim

    def succeed(self, claim: Claim) -> ReleaseId:
        self.now.moment += timedelta(seconds=1)
        wanted = claim.deployment.release_id
        with writing(self.engine) as tx:
            key = Digest(f"key {claim.deployment.id}")
            new = NewRelease(
                self.app.id, key, Digest("m"), claim.deployment.sha, 1, 1, False, claim.deployment.id
            )
            release = wanted or releases.insert(tx, new, self.now()).id
        self.leases.switch(claim, release)
        assert self.leases.finish(claim, State.SUCCEEDED, "live")
        return release

    def deploy(self, number: int, environment: str = "production") -> DeploymentId:
        found = self.push(number, environment)
        announce(self.tools, found)
        claim = self.claim()
        announce(self.tools, found)
        self.succeed(claim)
        announce(self.tools, found)
        return found

    def known(self, deployment: DeploymentId) -> Announcement:
        with reading(self.engine) as tx:
            return announcements.get(tx, deployment)

    def owed(self, *, due: bool = False) -> list[DeploymentId]:
        with reading(self.engine) as tx:
            return deployments.owed(tx, 100, self.now() if due else None)

    def sweep(self) -> None:
        for found in self.owed(due=True):
            announce(self.tools, found)


def sha(number: int) -> Sha:
    return Sha(f"{number:040x}")


def house_says(house: House, deployment: DeploymentId) -> str:
    with reading(house.engine) as tx:
        release = deployments.get(tx, deployment).release_id
        assert release is not None
        return f"Deployed to production as {releases.get(tx, release).name}"
