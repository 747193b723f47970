"""Composition root of the worker and the sweep: every collaborator, made once and handed to who needs it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from redis import Redis

from bot import freezes, locks
from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.domain.environment import Environment
from bot.domain.ids import DeliveryId, DeploymentId
from bot.domain.pull import PullNumber, PullRequest
from bot.domain.spoken import SpokenId
from bot.errors import UserError
from bot.github import client
from bot.github.client import GitHub
from bot.github.errors import GitHubError
from bot.github.pacing import Pacing, windows
from bot.github_app import MadeApp
from bot.leases import Leases
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.queue import ANNOUNCE_QUEUE, Queue, connect
from bot.rehearsal import rehearse
from bot.settings import Settings
from bot.store import apps, gaps
from bot.store.engine import Engine, open_engine, reading, writing
from bot.vault import open_vault
from jobs import announce, answering, asking, recovery
from jobs.addresses import Addresses
from jobs.artifacts.disk import DiskStore
from jobs.asking import Asking
from jobs.deploy import Deploy
from jobs.domains import Domains
from jobs.entitled import entitlement
from jobs.errands import Errands
from jobs.gates import Gates
from jobs.git.mirrors import Mirrors
from jobs.given import Giver
from jobs.housekeeping import Housekeeping
from jobs.intake import Intake
from jobs.outgoing.postman import Postman
from jobs.permissions import Permissions
from jobs.pipeline import Pipeline, Tools
from jobs.poll import Polling
from jobs.records import Records
from jobs.rehearsing import Steps
from jobs.retention import rules
from jobs.retention.rules import Retention
from jobs.sandbox import choose
from jobs.secrecy import GitSignIn, LogOpener
from jobs.sites import Sites

BUSY_SECONDS = 30
"""How long work waits while another process locks the store: nobody waits for it as GitHub does."""


@dataclass(frozen=True)
class Workshop:
    """The worker's jobs, and what the sweep works with."""

    settings: Settings
    engine: Engine
    queue: Queue
    leases: Leases
    deploy: Deploy
    housekeeping: Housekeeping
    retention: Retention
    clock: Clock
    decide: Intake
    announcing: announce.Announcing
    recovery: recovery.Recovery
    mirrors: Mirrors
    errands: Errands
    polling: Polling
    postman: Postman
    domains: Domains
    asking: Asking
    steps: Steps

    def rehearse(self) -> None:
        """Have the statements of deployments made before anything forks. Without that they take longer."""
        try:
            rehearse(self.engine, self.steps)
        except Exception as error:  # noqa: BLE001 no deployment needs it
            logger.error("the rehearsal failed", error=repr(error))

    def warm_up(self) -> None:
        """Open what a deployment needs open, and ask once what its steps will ask."""
        self.queue.lengths()
        self.steps.about_the_last(self.engine)

    def intake(self, delivery_ids: Sequence[int]) -> None:
        """Job: decide about deliveries."""
        self.decide.run([DeliveryId(one) for one in delivery_ids])

    def announce(self, deployment: int) -> None:
        """Job: make GitHub show a deployment's present state."""
        announce.announce(self.announcing, DeploymentId(deployment))

    def answer(self, number: int) -> None:
        """Job: show that the commands of a comment were heard."""
        answering.answer(self.announcing, SpokenId(number))

    def look_at_checks(self, deployment: int) -> None:
        """Job: see whether the checks that a deployment waits for have passed."""
        self.asking.checking.look(DeploymentId(deployment))

    def errand(self, number: int) -> None:
        """Job: do what a person asked for."""
        self.errands.run(number)

    def send(self) -> None:
        """Job: tell webhooks and channels what waits for them."""
        self.postman.run()

    def agree(self) -> None:
        """Job: bring the edge in step with what somebody just changed."""
        self.housekeeping.agree_with_edge()

    def poll(self) -> None:
        """Chore: ask repositories what is new, where GitHub can't tell."""
        self.polling.run()

    def tell_owed(self) -> None:
        """Chore: enqueue what GitHub must yet be told."""
        if self.queue.is_empty(ANNOUNCE_QUEUE):
            announce.owed(self.announcing, self.queue)
            answering.untold(self.announcing, self.queue)

    def end_locks(self) -> None:
        """Chore: take off the locks that have come to their end, and begin windows whose time has come."""
        with self.announcing.lifecycle.change() as change:
            for environment in locks.end_locks(self.announcing.lifecycle, change):
                logger.info("a lock has ended", environment=environment.id, name=environment.name)
            for environment in freezes.begin_due(change):
                logger.info("a freeze window begins", environment=environment.id, name=environment.name)

    def recover(self) -> None:
        """Chore: find deliveries that never arrived, and branches whose head nobody told us."""
        recovery.recover_deliveries(self.recovery)
        with reading(self.engine) as tx:
            found = apps.all_apps(tx)
        recovery.reconcile_heads(self.recovery, self.queue, found, self._head)
        self.asking.reconciling.run()

    def catch_up(self) -> None:
        """Chore: the same at once, where an app is deployed again that was not for a while."""
        with reading(self.engine) as tx:
            is_asked_for = gaps.is_asked_for(tx)
        if not is_asked_for:
            self.asking.reconciling.go_on()
            return
        with writing(self.engine) as tx:
            gaps.take_wish(tx)
        self.asking.reconciling.forget()
        self.recover()

    def _head(self, app: App, branch: str) -> Commit | None:
        try:
            sha = self.mirrors.newest_head(app, branch)
            self.mirrors.fetch_commit(app, sha)
        except UserError:
            return None
        return Commit(sha, self.mirrors.message(app, sha))


def _untold(_token: str) -> None:
    """No log is open where nothing is deployed."""


@dataclass(frozen=True)
class PullSource:
    """Asks GitHub for pull requests, where there are credentials to ask with."""

    hub: GitHub

    def __call__(self, app: App, number: PullNumber) -> PullRequest | None:
        """A pull request as GitHub has it now; None when it does not say."""
        if not self.hub.is_set:
            return None
        try:
            return self.hub.pull_request(app, number)
        except GitHubError as error:
            logger.warning("GitHub was not asked for a pull request", number=number, why=str(error))
            return None


def open_mirrors(settings: Settings) -> Mirrors:
    """The mirrors alone, for a program that only reads repositories."""
    engine = open_engine(settings.database)
    made_app = MadeApp(settings, engine, open_vault(settings))
    hub = _hub(settings, engine, connect(settings.redis), made_app)
    return Mirrors(settings, GitSignIn(hub, _untold))


def _hub(settings: Settings, engine: Engine, redis: Redis, made_app: MadeApp) -> GitHub:
    pacing = Pacing(redis, windows(settings))
    return client.connect(settings, pacing, made_app=made_app.key, may_use=entitlement(engine))


@dataclass(frozen=True)
class _Keeping:
    settings: Settings
    lifecycle: Lifecycle
    tools: Tools
    artifacts: DiskStore
    redis: Redis

    def furnish(self) -> Housekeeping:
        return Housekeeping(
            settings=self.settings,
            engine=self.lifecycle.engine,
            artifacts=self.artifacts,
            sites=self.tools.sites,
            gates=Gates(self.settings.edge_home),
            addresses=self.tools.addresses,
            lifecycle=self.lifecycle,
            sandbox=self.tools.sandbox,
            redis=self.redis,
        )


def _intake(
    lifecycle: Lifecycle,
    mirrors: Mirrors,
    hub: GitHub,
    *,
    answer: Callable[[SpokenId], object],
    taken_down: Callable[[Environment], None],
) -> Intake:
    return Intake(
        lifecycle=lifecycle,
        mirrors=mirrors,
        ask=PullSource(hub),
        ask_level=Permissions(hub),
        answer=answer,
        taken_down=taken_down,
        has_sign_in=lambda: hub.is_set,
    )


def _deploying(settings: Settings, lifecycle: Lifecycle, leases: Leases, tools: Tools) -> Deploy:
    pipeline = Pipeline(settings=settings, lifecycle=lifecycle, leases=leases, tools=tools)
    return Deploy(leases=leases, pipeline=pipeline)


def furnish(settings: Settings) -> Workshop:
    """Make everything; nothing is started and nobody outside is asked."""
    engine = open_engine(settings.database, busy_seconds=BUSY_SECONDS)
    redis = connect(settings.redis)
    queue = Queue(redis)
    domain, forks = settings.preview_domain, settings.domain_of_forks
    lifecycle = Lifecycle(engine, queue, preview_domain=domain, fork_domain=forks)
    leases = Leases(lifecycle, concurrency=settings.build_concurrency, strangers=settings.fork_concurrency)
    vault = open_vault(settings)
    hub = _hub(settings, engine, redis, made_app := MadeApp(settings, engine, vault))
    # A log never waits for Redis: its lines are in the spool already.
    opener = LogOpener(settings, engine, connect(settings.redis, retries=0), made_app)
    mirrors = Mirrors(settings, GitSignIn(hub, opener.hide))
    artifacts = DiskStore(settings.artifacts)
    sites = Sites(settings.edge_home)
    addresses = Addresses(engine, sites, Gates(settings.edge_home), domain=domain, fork_domain=forks)
    box, give = choose.choose(settings), Giver(engine, vault)
    tools = Tools(mirrors, box, artifacts, sites, addresses, opener.open, give)
    keeping = _Keeping(settings, lifecycle, tools, artifacts, redis)
    domains = Domains(settings, engine, addresses, Records(settings.dns_servers).texts)
    return Workshop(
        settings=settings,
        engine=engine,
        queue=queue,
        leases=leases,
        deploy=_deploying(settings, lifecycle, leases, tools),
        housekeeping=keeping.furnish(),
        retention=rules.make(settings, engine, git=mirrors.git, sites=sites),
        clock=utc_now,
        decide=_intake(lifecycle, mirrors, hub, answer=queue.answer, taken_down=addresses.take_down),
        announcing=announce.Announcing(lifecycle, hub, settings),
        recovery=recovery.Recovery(lifecycle, hub),
        mirrors=mirrors,
        errands=Errands(settings, engine, queue, hub, mirrors, vault, domains),
        postman=Postman(settings, engine, queue, vault),
        polling=Polling(settings=settings, engine=engine, queue=queue, github=hub, mirrors=mirrors),
        domains=domains,
        asking=asking.make(settings, lifecycle, queue=queue, github=hub),
        steps=Steps(settings, vault),
    )
