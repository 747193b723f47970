"""A store with apps and deployments made through the real lifecycle, for tests of what people see."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bot.domain.app import App
from bot.domain.deployment import Commit, Deployment, Failure, Phase, State, Trigger
from bot.domain.ids import Digest, Sha
from bot.leases import Claim, Leases
from bot.lifecycle import Lifecycle, Order
from bot.queue import Queue, connect
from bot.settings import Settings
from bot.store import apps, releases, steps
from bot.store.apps import NewApp
from bot.store.engine import open_engine, reading, writing
from bot.store.releases import NewRelease
from tests.stores import migrate


class Instance:
    """One Slipway without its processes; the test says what the worker does."""

    def __init__(self, home: Path, redis_url: str | None = None, **settings: Any) -> None:
        redis = redis_url or f"unix://{home / 'nothing.sock'}"
        self.settings = Settings.model_validate({"home": home, "redis_url": redis, **settings})
        self.engine = open_engine(self.settings.database)
        migrate(self.engine)
        self.moment: datetime | None = None
        self.passed = 0.0
        queue = Queue(connect(self.settings.redis))
        self.lifecycle = Lifecycle(self.engine, queue, preview_domain="localhost", clock=self.now)
        self.leases = self.executor()

    def executor(self) -> Leases:
        """What another process of the worker or the sweep has: it saw nothing yet."""
        return Leases(self.lifecycle, concurrency=4, clock=self.now, steady=self.steady)

    def steady(self) -> float:
        """Seconds that only `pass_by` lets pass: nobody sets this clock."""
        return self.passed

    def pass_by(self, time: timedelta) -> None:
        self.passed += time.total_seconds()
        self.moment = self.now() + time

    def now(self) -> datetime:
        return self.moment or datetime.now(UTC)

    def app(self, slug: str, repository: str | None = None) -> App:
        name = repository or f"acme/{slug}"
        new = NewApp(slug, name, f"https://github.com/{name}.git", "main")
        with writing(self.engine) as tx:
            return apps.insert(tx, new, self.now())

    def app_named(self, slug: str) -> App:
        with reading(self.engine) as tx:
            found = apps.by_slug(tx, slug)
        assert found is not None
        return found

    def push(
        self, app: App, sha: str, *, environment: str = "production", branch: str = "main", message: str = ""
    ) -> Deployment:
        commit = Commit(Sha(sha), message or "A change", "mona")
        reason = f"pushed to {branch}"
        order = Order(app, environment, branch, commit, Trigger.PUSH, reason, "mona")
        with self.lifecycle.change() as change:
            return self.lifecycle.request(change, order).deployment

    def claim(self) -> Claim:
        claim = self.leases.claim("host/1/0")
        assert claim is not None
        return claim

    def step(
        self, claim: Claim, phase: Phase, *, command: str | None = None, code: int | None = None
    ) -> None:
        self.leases.enter(claim, phase)
        done = {"state": "failed" if code else "succeeded", "finished_at": self.now()}
        changes = {"command": command, "exit_code": code, **done}
        with writing(self.engine) as tx:
            steps.change(tx, claim.deployment.id, claim.deployment.attempt, phase, **changes)

    def succeed(self, claim: Claim, *, size: int = 1_234_567) -> None:
        made = claim.deployment
        key = Digest(f"key of {made.id}")
        new = NewRelease(made.app_id, key, Digest("m"), made.sha, 42, size, False, made.id)
        with writing(self.engine) as tx:
            release = releases.insert(tx, new, self.now())
        self.leases.switch(claim, release.id)
        assert self.leases.finish(claim, State.SUCCEEDED, f"{release.name} is live")

    def fail(self, claim: Claim, failure: Failure) -> None:
        assert self.leases.finish(claim, State.FAILED, "the build failed", failure=failure)

    def close(self) -> None:
        self.engine.dispose()
