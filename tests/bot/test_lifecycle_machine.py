"""Lifecycle and leases under everything that may happen to them, in any order.

The machine plays people, events, executors, the sweep and the clock on a real store, and keeps a model
of its own of what must be live. An executor may act at any time after it died or lost its lease: then
it must be refused.
"""

import atexit
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bot.domain.app import App
from bot.domain.deployment import NEXT, Blame, Commit, Deployment, Failure, Kind, Phase, State, Trigger
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import AppId, DeploymentId, Digest, EnvironmentId, ReleaseId, Sha
from bot.errors import ErrorCode, PlatformError, UserError
from bot.leases import LEASE, Claim, Leases, Standing
from bot.lifecycle import Lifecycle, Order
from bot.store import apps, deployments, environments, lease_rows, releases, schema, steps
from bot.store.apps import NewApp
from bot.store.engine import Engine, Tx, open_engine, reading, writing
from bot.store.releases import NewRelease
from tests.fakes.queue import KeptQueue
from tests.steady import steady
from tests.stores import migrate

PLACES = (("shop", "production"), ("shop", "staging"), ("blog", "preview"))
BRANCHES = {"production": "main", "staging": "next", "preview": "topic"}
WORKING = (State.RUNNING, State.CANCELLING)
SHM = Path("/dev/shm")  # where a full sync costs nothing
SETTLED_ENOUGH = 40
"""More claims than this in a row mean that the recovery does not come to rest."""

places = st.sampled_from(PLACES)
commits = st.integers(1, 4).map(lambda number: Commit(Sha(f"{number:040x}"), "a change", "mona"))
executors = st.integers(0, 2)
picks = st.integers(0, 10**6)


@dataclass
class Store:
    """One store for all runs, made empty for each: migrations and compiled SQL take most of the time."""

    folder: Path
    engine: Engine

    def empty(self) -> None:
        self.engine.dispose()
        for left in ("store.db-wal", "store.db-shm"):
            (self.folder / left).unlink(missing_ok=True)
        shutil.copy(self.folder / "empty.db", self.folder / "store.db")


@cache
def the_store() -> Store:
    folder = Path(tempfile.mkdtemp(prefix="machine-", dir=SHM if SHM.is_dir() else None))
    atexit.register(shutil.rmtree, folder)
    engine = open_engine(f"sqlite:///{folder / 'empty.db'}")
    migrate(engine)
    engine.dispose()
    return Store(folder, open_engine(f"sqlite:///{folder / 'store.db'}"))


@dataclass
class Executor:
    """A process of the worker, as far as it matters here."""

    name: str
    claim: Claim | None = None
    release: ReleaseId | None = None
    has_switched: bool = False
    entered: int = 0

    def end(self) -> None:
        self.claim, self.release, self.has_switched, self.entered = None, None, False, 0


def head_of(there: list[Deployment]) -> Deployment | None:
    """The newest build of an environment that no newer one and no marker made needless."""
    rollbacks = {one.id for one in there if one.kind is Kind.ROLLBACK}
    wanted = [
        one
        for one in there
        if one.kind is Kind.BUILD
        and one.state is not State.SKIPPED
        and (one.state is not State.SUPERSEDED or one.superseded_by in rollbacks)
    ]
    return max(wanted, key=lambda one: one.id, default=None)


class LifecycleMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        the_store().empty()
        self.engine = the_store().engine
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.queue = KeptQueue()
        self.lifecycle = Lifecycle(
            self.engine, self.queue, preview_domain="localhost", clock=lambda: self.now
        )
        self.leases = Leases(self.lifecycle, concurrency=2, clock=lambda: self.now)
        self.apps: dict[str, App] = {}
        self.executors = [self.executor() for _ in range(3)]
        self.dead: set[str] = set()
        self.successes: dict[EnvironmentId, list[ReleaseId]] = {}
        self.switched: dict[DeploymentId, ReleaseId] = {}
        self.edge: dict[EnvironmentId, dict[int, ReleaseId | None]] = {}
        self.seen: dict[DeploymentId, Deployment] = {}
        self.told: dict[DeploymentId, State] = {}
        self.started = 0

    def executor(self) -> Executor:
        self.started = getattr(self, "started", 0) + 1
        return Executor(f"host/{self.started}/0")

    @initialize()
    def make_places(self) -> None:
        with self.lifecycle.change() as change:
            for slug, name in PLACES:
                if slug not in self.apps:
                    new = NewApp(slug, f"acme/{slug}", "file:///nowhere", "main")
                    self.apps[slug] = apps.insert(change.tx, new, self.now)
                hostname, branch = f"{name}-{slug}.localhost", BRANCHES[name]
                environments.ensure(change.tx, self.apps[slug], name, hostname=hostname, branch=branch)
            table = schema.environments
            preview = table.update().where(table.c.name == "preview")
            change.tx.execute(preview.values(kind=EnvironmentKind.PREVIEW))

    # What people and events do.

    @rule(place=places, commit=commits, trigger=st.sampled_from(Trigger))
    def request(self, place: tuple[str, str], commit: Commit, trigger: Trigger) -> None:
        order = self.order(place, commit, trigger)
        with self.lifecycle.change() as change:
            first = self.lifecycle.request(change, order)
        if not trigger.is_automatic:
            assert first.is_new
            return
        with self.lifecycle.change() as change:
            again = self.lifecycle.request(change, order)
        assert (again.is_new, again.deployment.id) == (False, first.deployment.id)

    @rule(place=places, commit=commits)
    def skip(self, place: tuple[str, str], commit: Commit) -> None:
        with self.lifecycle.change() as change:
            left = self.lifecycle.skip(change, self.order(place, commit, Trigger.PUSH), "[skip ci]")
        assert left.sha == commit.sha

    @rule(place=places, older=commits, newer=commits)
    def overtaken(self, place: tuple[str, str], older: Commit, newer: Commit) -> None:
        with self.lifecycle.change() as change:
            made = self.lifecycle.request(change, self.order(place, newer, Trigger.PUSH)).deployment
            left = self.lifecycle.overtaken(change, self.order(place, older, Trigger.PUSH), made)
        assert (left.state, left.superseded_by) == (State.SUPERSEDED, made.id)

    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        with self.lifecycle.change() as change:
            found = self.deployments(change.tx)
            if found:
                self.lifecycle.cancel(change, found[pick % len(found)], "mona")

    @rule(place=places, word=st.sampled_from((None, "1", "2", "3")))
    def roll_back(self, place: tuple[str, str], word: str | None) -> None:
        slug, name = place
        try:
            with self.lifecycle.change() as change:
                made = self.lifecycle.rollback(change, self.apps[slug], name, word=word, by="mona")
        except UserError as error:
            if error.code not in (ErrorCode.NO_RELEASE, ErrorCode.UNKNOWN_NAME):
                raise
        else:
            assert self.at(place).pinned
            assert made.release_id is not None

    @rule(place=places)
    def resume(self, place: tuple[str, str]) -> None:
        before = self.at(place)
        with self.lifecycle.change() as change:
            brought = self.lifecycle.resume(change, before)
        after = self.at(place)
        assert not after.pinned
        head = self.head(after)
        if not before.pinned or head is None:
            return
        if brought is None:
            assert head.release_id == after.active_release_id
        else:
            assert brought.sha == head.sha
            assert self.get(brought.id).state in (State.QUEUED, State.RUNNING)

    # What executors do, dead ones and late ones, too.

    @rule(number=executors)
    def claim(self, number: int) -> None:
        executor = self.executors[number]
        if executor.claim is not None:
            return
        claim = self.leases.claim(executor.name)
        if claim is not None:
            assert claim.deployment.state is State.RUNNING
            with reading(self.engine) as tx:
                waiting = [one.kind for one in deployments.unfinished(tx, claim.environment.id)]
            assert claim.deployment.kind is Kind.ROLLBACK or Kind.ROLLBACK not in waiting
            executor.claim = claim

    @rule(number=executors)
    def enter(self, number: int) -> None:
        executor = self.at_work(number)
        if executor is None or executor.claim is None or executor.entered == len(Phase):
            return
        if self.refused(executor.claim, lambda claim: self.leases.enter(claim, [*Phase][executor.entered])):
            executor.end()
        else:
            executor.entered += 1

    @rule(number=executors)
    def renew(self, number: int) -> None:
        claim = self.executors[number].claim
        if claim is not None:
            is_mine = self.is_mine(claim)
            assert self.leases.renew(claim) == is_mine
            assert (self.leases.standing(claim) is Standing.LOST) == (not is_mine)

    @rule(number=executors)
    def switch(self, number: int) -> None:
        executor = self.at_work(number)
        if executor is not None and not executor.has_switched:
            self.do_switch(executor)

    @rule(number=executors)
    def succeed(self, number: int) -> None:
        executor = self.at_work(number, switched=True)
        if executor is not None:
            self.do_succeed(executor)

    @rule(number=executors, switched=st.booleans(), takes_back_first=st.booleans())
    def fail(self, number: int, *, switched: bool, takes_back_first: bool) -> None:
        executor = self.at_work(number, switched=switched)
        if executor is None or executor.claim is None:
            return
        claim = executor.claim
        is_mine = self.is_mine(claim)
        if takes_back_first and not self.refused(claim, self.leases.withdraw):
            self.switched.pop(claim.deployment.id, None)
        failure = Failure(ErrorCode.EDGE_SILENT, {}, Blame.PLATFORM)
        assert self.leases.finish(claim, State.FAILED, "it failed", failure=failure) == is_mine
        executor.end()

    @rule(number=executors, is_asked=st.booleans())
    def stop(self, number: int, *, is_asked: bool) -> None:
        """Heed a wish to cancel; after the switch it comes too late."""
        executor = self.at_work(number)
        claim = executor.claim if executor else None
        if executor is None or claim is None:
            return
        if is_asked:
            with self.lifecycle.change() as change:
                self.lifecycle.cancel(change, deployments.get(change.tx, claim.deployment.id), "mona")
        if self.leases.standing(claim) is Standing.CANCEL_WANTED and not executor.has_switched:
            assert self.leases.finish(claim, State.CANCELLED, "cancelled")
            executor.end()

    @rule(number=executors, commit=commits)
    def yield_to_newer(self, number: int, commit: Commit) -> None:
        """The branch has moved on: as the checkout step finds out."""
        executor = self.at_work(number)
        claim = executor.claim if executor else None
        if executor is None or claim is None or executor.has_switched or executor.entered > 1:
            return
        if not claim.deployment.trigger.is_automatic or claim.deployment.sha == commit.sha:
            return
        is_mine = self.is_mine(claim)
        place = self.place_of(claim.environment)
        with self.lifecycle.change() as change:
            newer = self.lifecycle.request(change, self.order(place, commit, Trigger.PUSH)).deployment
        reason = f"superseded by DEP-{newer.id}"
        done = self.leases.finish(claim, State.SUPERSEDED, reason, superseded_by=newer.id)
        assert done == is_mine
        executor.end()

    @rule(number=executors, switched=st.booleans())
    def hand_back(self, number: int, *, switched: bool) -> None:
        executor = self.at_work(number, switched=switched)
        if executor is not None and executor.claim is not None:
            self.leases.hand_back(executor.claim, "its worker stops")
            executor.end()

    @rule(number=executors, switched=st.booleans())
    def die(self, number: int, *, switched: bool) -> None:
        self.at_work(number, switched=switched)
        self.dead.add(self.executors[number].name)
        self.executors[number] = self.executor()

    @rule(number=executors, switched=st.booleans())
    def fall_asleep(self, number: int, *, switched: bool) -> None:
        """Its lease runs out and is taken back; what it does from now on comes too late."""
        self.at_work(number, switched=switched)
        self.now += LEASE + timedelta(seconds=1)
        self.reap()

    def at_work(self, number: int, *, switched: bool = False) -> Executor | None:
        """An executor with a claim, and past its switch where that is asked for; None when there is none."""
        executor = self.executors[number]
        self.claim(number)
        if switched and executor.claim is not None and not executor.has_switched:
            self.do_switch(executor)
        return executor if executor.claim is not None else None

    # What passes by, and what heals.

    @rule(seconds=st.sampled_from((1, 6, 29, 31, 3600, -600)))
    def tick(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule()
    def reap(self) -> None:
        for one in self.leases.reap(self.dead.__contains__):
            assert one.state not in WORKING

    @rule(is_down=st.booleans())
    def queue_dies_or_comes_back(self, *, is_down: bool) -> None:
        self.queue.is_down = is_down

    @precondition(lambda self: bool(self.queue.announcements))
    @rule(pick=picks)
    def announce(self, pick: int) -> None:
        waiting = self.queue.announcements
        self.tell(waiting.pop(pick % len(waiting))[0])

    # What must hold at every moment.

    @invariant()
    def everything_holds(self) -> None:
        with reading(self.engine) as tx:
            found = self.deployments(tx)
            for environment in self.environments(tx):
                there = [one for one in found if one.environment_id == environment.id]
                self.one_at_a_time(environment, there)
                self.what_is_live_succeeded_last_or_is_being_verified(environment, there)
                self.nothing_old_is_live_unless_pinned(environment, there)
                self.the_edge_is_never_ahead_of_the_store(environment)
                self.pins_hold_and_only_pins_hold(environment, there)
            for one in found:
                if self.seen.get(one.id) != one:
                    self.its_history_is_lawful(tx, one, {other.id for other in found})
                    self.seen[one.id] = one

    def one_at_a_time(self, environment: Environment, there: list[Deployment]) -> None:
        working = [one for one in there if one.state in WORKING]
        assert len(working) == (environment.lease_until is not None), (environment, working)
        claims = [one.claim for one in self.executors if one.claim]
        held = [one for one in claims if one.environment.id == environment.id]
        assert len([one for one in held if one.token == environment.lease_token]) <= 1

    def what_is_live_succeeded_last_or_is_being_verified(
        self, environment: Environment, there: list[Deployment]
    ) -> None:
        live = environment.active_deployment_id
        assert (live is None) == (environment.active_release_id is None)
        unverified = [self.switched.get(one.id) for one in there if one.id == live and not one.state.is_final]
        expected = unverified or self.successes.get(environment.id, [])[-1:] or [None]
        assert environment.active_release_id == expected[0]

    def nothing_old_is_live_unless_pinned(self, environment: Environment, there: list[Deployment]) -> None:
        live = next((one for one in there if one.id == environment.active_deployment_id), None)
        if live is None or live.state is not State.SUCCEEDED:
            return
        builds = [one for one in there if one.kind is Kind.BUILD]
        if live.kind is Kind.BUILD:
            assert not any(one.state is State.SUCCEEDED and one.id > live.id for one in builds)
        elif not environment.pinned:
            # Resumed: the head is on its way, ended without success since, or is what is live.
            head = head_of(there)
            is_on_its_way = any(not one.state.is_final for one in builds)
            ended = head is not None and head.state in (State.FAILED, State.CANCELLED)
            assert head is None or is_on_its_way or ended or head.release_id == live.release_id

    def the_edge_is_never_ahead_of_the_store(self, environment: Environment) -> None:
        for activation, release in self.edge.get(environment.id, {}).items():
            assert activation <= environment.activation
            if activation == environment.activation:
                assert release == environment.active_release_id

    def pins_hold_and_only_pins_hold(self, environment: Environment, there: list[Deployment]) -> None:
        for one in there:
            if one.state is State.HELD:
                assert environment.pinned
            elif one.state in (State.QUEUED, State.RUNNING) and one.kind is Kind.BUILD:
                assert not (environment.pinned and one.trigger.is_automatic)

    def its_history_is_lawful(self, tx: Tx, one: Deployment, known: set[DeploymentId]) -> None:
        before = self.seen.get(one.id)
        assert (one.finished_at is not None) == one.state.is_final
        assert one.announced <= one.version
        if one.state is State.SUPERSEDED:
            assert one.superseded_by in known - {one.id}
        if before is not None:
            assert not before.state.is_final or before.state is one.state
            assert before.version < one.version or before.state is one.state
        states = [event.state for event in deployments.events(tx, one.id)]
        assert states[-1] is one.state
        assert all(new in NEXT[old] for old, new in pairwise(states))
        assert not one.state.is_final or "running" not in [
            step.state for step in steps.of_deployment(tx, one.id)
        ]

    def teardown(self) -> None:
        if self.apps:
            self.come_to_rest()

    def come_to_rest(self) -> None:
        """Everybody dies; the sweep and one executor bring every deployment to its last word."""
        self.dead |= {one.name for one in self.executors}
        self.executors = [self.executor()]
        self.now += 2 * timedelta(hours=1)
        self.queue.is_down = False
        self.work_off()
        with reading(self.engine) as tx:
            for one in self.deployments(tx):
                pinned = environments.get(tx, one.environment_id).pinned
                assert one.state.is_final or (one.state is State.HELD and pinned), one
        self.everything_holds()
        for place in PLACES:
            self.go_on(place)
        with reading(self.engine) as tx:
            owed = deployments.owed(tx, 10_000)
        for deployment in owed:
            self.tell(deployment)
        with reading(self.engine) as tx:
            found = self.deployments(tx)
            assert [one for one in found if not one.state.is_final] == []
            assert self.told == {one.id: one.state for one in found}
            assert deployments.owed(tx, 1) == []

    def go_on(self, place: tuple[str, str]) -> None:
        """Resume: then the branch's head is live."""
        was_pinned = self.at(place).pinned
        self.resume(place)
        self.work_off()
        self.everything_holds()
        environment = self.at(place)
        head = self.head(environment)
        if was_pinned and head is not None:
            assert head.release_id == environment.active_release_id

    def work_off(self) -> None:
        executor = self.executors[0]
        self.reap()
        for _ in range(SETTLED_ENOUGH):
            with reading(self.engine) as tx:
                if not lease_rows.ready_ids(tx, self.now):
                    return
            executor.claim = self.leases.claim(executor.name)
            assert executor.claim is not None
            self.do_switch(executor)
            self.do_succeed(executor)
        raise AssertionError("the recovery does not come to rest")

    def do_switch(self, executor: Executor) -> None:
        claim = executor.claim
        assert claim is not None
        made = claim.deployment
        if made.kind is Kind.ROLLBACK:
            assert made.release_id is not None
            release = made.release_id
        else:
            with writing(self.engine) as tx:
                release = self.release_of(tx, made)
        activations: list[int] = []
        if self.refused(claim, lambda mine: activations.append(self.leases.switch(mine, release))):
            executor.end()
            return
        executor.release, executor.has_switched = release, True
        self.switched[made.id] = release
        self.edge.setdefault(claim.environment.id, {})[activations[0]] = release

    def do_succeed(self, executor: Executor) -> None:
        claim = executor.claim
        assert claim is not None
        assert executor.release is not None
        is_mine = self.is_mine(claim)
        assert self.leases.finish(claim, State.SUCCEEDED, "live") == is_mine
        if is_mine:
            self.successes.setdefault(claim.environment.id, []).append(executor.release)
        executor.end()

    def release_of(self, tx: Tx, made: Deployment) -> ReleaseId:
        key = Digest(made.sha)
        known = releases.by_key(tx, made.app_id, key)
        new = NewRelease(made.app_id, key, Digest("m"), made.sha, 1, 1, False, made.id)
        return (known or releases.insert(tx, new, self.now)).id

    def tell(self, deployment: DeploymentId) -> None:
        """What the announce job does: GitHub shows the present state."""
        found = self.get(deployment)
        self.told[deployment] = found.state
        self.lifecycle.announced(deployment, found.version)

    def refused(self, claim: Claim, act: Callable[[Claim], object]) -> bool:
        """Whether an act was refused, which it must be exactly when the claim was lost."""
        is_mine = self.is_mine(claim)
        try:
            act(claim)
        except PlatformError as error:
            if error.code is not ErrorCode.LEASE_LOST or is_mine:
                raise
            return True
        assert is_mine
        return False

    def is_mine(self, claim: Claim) -> bool:
        with reading(self.engine) as tx:
            present = environments.get(tx, claim.environment.id)
        return present.lease_token == claim.token and present.lease_until is not None

    def head(self, environment: Environment) -> Deployment | None:
        with reading(self.engine) as tx:
            return head_of(self.deployments(tx, environment))

    def order(self, place: tuple[str, str], commit: Commit, trigger: Trigger) -> Order:
        slug, name = place
        return Order(self.apps[slug], name, BRANCHES[name], commit, trigger, "pushed", "mona")

    def at(self, place: tuple[str, str]) -> Environment:
        slug, name = place
        with reading(self.engine) as tx:
            found = environments.by_name(tx, self.apps[slug].id, name)
        assert found is not None
        return found

    def place_of(self, environment: Environment) -> tuple[str, str]:
        slugs = {app.id: slug for slug, app in self.apps.items()}
        return slugs[environment.app_id], environment.name

    def get(self, deployment: DeploymentId) -> Deployment:
        with reading(self.engine) as tx:
            return deployments.get(tx, deployment)

    def environments(self, tx: Tx) -> list[Environment]:
        return environments.of_apps(tx, [AppId(app.id) for app in self.apps.values()])

    def deployments(self, tx: Tx, environment: Environment | None = None) -> list[Deployment]:
        return deployments.latest(tx, 10_000, environment=environment.id if environment else None)


class TestLifecycle(LifecycleMachine.TestCase):
    settings = settings(steady, max_examples=12, stateful_step_count=40)


@pytest.mark.long
@pytest.mark.timeout(3600)
class TestLifecycleAtLength(LifecycleMachine.TestCase):
    settings = settings.get_profile("long")
