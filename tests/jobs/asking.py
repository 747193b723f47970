"""A store, a fake GitHub and real git, for what asks GitHub by itself: errands and polling."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from redis import Redis

from bot.domain.app import App
from bot.domain.custom_domain import Texts
from bot.domain.errand import Errand, ErrandKind
from bot.domain.ids import ErrandId
from bot.github.client import connect
from bot.github.wire import Patience
from bot.github_app import MadeApp
from bot.lifecycle import Lifecycle
from bot.queue import Queue
from bot.settings import Settings
from bot.store import apps, deliveries, errands
from bot.store.apps import NewApp
from bot.store.deliveries import Delivery
from bot.store.engine import Engine, open_engine, reading, writing
from bot.vault import open_vault
from jobs.addresses import Addresses
from jobs.domains import Domains
from jobs.entitled import entitlement
from jobs.errands import Errands
from jobs.gates import Gates
from jobs.git import Mirrors
from jobs.intake import Intake
from jobs.permissions import Permissions
from jobs.poll import Polling
from jobs.sites import Sites
from tests.fakes.github import FakeGitHub
from tests.fakes.repository import Repository
from tests.stores import migrate


@dataclass
class Clock:
    moment: datetime
    seconds: float = 0.0

    def now(self) -> datetime:
        return self.moment + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds


class Office:
    """An instance without processes, whose GitHub is a fake and whose repositories are files."""

    def __init__(self, fake: FakeGitHub, folder: Path, **more: Any) -> None:
        self.fake, self.folder = fake, folder
        values = {
            "home": folder / "home",
            "redis_url": f"unix://{folder / 'nobody.sock'}",
            "github_api_url": fake.url,
            "github_url": f"file://{folder}",
            **more,
        }
        self.settings = Settings.model_validate(values)
        fake.apps.clone_base = self.settings.github_url
        self.clock = Clock(datetime.now(UTC))
        self.engine: Engine = open_engine(self.settings.database)
        migrate(self.engine)
        self.vault = open_vault(self.settings)
        self.queue = Queue(Redis.from_url(self.settings.redis))
        self.made_app = MadeApp(self.settings, self.engine, self.vault, clock=self.ticks)
        self._ticks = 0.0
        self.github = connect(
            self.settings,
            made_app=self.made_app.key,
            patience=Patience(0.5, 1, ()),
            clock=self.clock.now,
            may_use=entitlement(self.engine),
        )
        self.mirrors = Mirrors(self.settings, lambda _app: None)
        addresses = Addresses(
            self.engine,
            Sites(self.settings.edge_home),
            Gates(self.settings.edge_home),
            domain="localhost",
        )
        domains = Domains(self.settings, self.engine, addresses, lambda _: Texts(()), self.clock.now)
        self.errands = Errands(
            self.settings,
            self.engine,
            self.queue,
            self.github,
            self.mirrors,
            vault=self.vault,
            domains=domains,
            clock=self.clock.now,
        )
        self.polling = Polling(
            settings=self.settings,
            engine=self.engine,
            queue=self.queue,
            github=self.github,
            mirrors=self.mirrors,
            clock=self.clock.now,
            monotonic=self.clock.monotonic,
        )
        lifecycle = Lifecycle(self.engine, self.queue, preview_domain="localhost", clock=self.clock.now)
        self.intake = Intake(
            lifecycle=lifecycle,
            mirrors=self.mirrors,
            ask_level=Permissions(self.github),
            clock=self.clock.now,
        )

    def ticks(self) -> float:
        """Two seconds later each time, so that what others stored is seen at once."""
        self._ticks += 2
        return self._ticks

    def close(self) -> None:
        self.github.session.close()
        self.engine.dispose()

    def repository(self, name: str, number: int = 1) -> Repository:
        """A repository on the fake GitHub, with git behind it."""
        (self.folder / name).parent.mkdir(exist_ok=True)
        made = Repository(self.folder / f"{name}.git")
        self.fake.add_repository(name, number)
        self.fake.world.installations[9].permissions |= {"pull_requests": "read"}
        self.fake.apps.git[name] = made
        return made

    def ask(self, kind: ErrandKind, secret: str | None = None, **subject: Any) -> ErrandId:
        sealed = self.vault.seal(secret.encode()) if secret is not None else None
        with writing(self.engine) as tx:
            return errands.ask(tx, kind, subject, self.clock.now(), sealed=sealed)

    def errand(self, number: ErrandId) -> Errand:
        with reading(self.engine) as tx:
            found = errands.get(tx, number)
        assert found is not None
        return found

    def do(self, kind: ErrandKind, secret: str | None = None, **subject: Any) -> Errand:
        """Ask for an errand and do it; what came of it."""
        number = self.ask(kind, secret, **subject)
        self.errands.run(number)
        return self.errand(number)

    def app(self, slug: str, clone_url: str, repository: str | None = None) -> App:
        new = NewApp(slug, repository or f"acme/{slug}", clone_url, "main")
        with writing(self.engine) as tx:
            return apps.insert(tx, new, self.clock.now())

    def poll(self) -> list[tuple[str, dict[str, Any]]]:
        """Let a minute pass, and poll: events and payloads that were not there before."""
        before = [one.id for one in self.deliveries()]
        self.clock.seconds += 61
        self.polling.run()
        return [
            (one.event, msgspec.json.decode(one.body)) for one in self.deliveries() if one.id not in before
        ]

    def decided(self) -> list[str]:
        """Let a minute pass, poll, and decide: the codes of what was decided."""
        self.poll()
        waiting = [one.id for one in self.deliveries()]
        self.intake.run(waiting)
        with reading(self.engine) as tx:
            return [one.code for number in waiting for one in deliveries.decisions_of(tx, number)]

    def deliveries(self) -> list[Delivery]:
        with reading(self.engine) as tx:
            waiting = deliveries.undecided(tx, self.clock.now() + timedelta(days=1), 1000)
            return [one for number in waiting if (one := deliveries.get(tx, number))]
