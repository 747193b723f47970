"""The life of pull requests: any order of events, kills and clock jumps ends in what the last facts imply.

Real are the store, what decides, the lifecycle, the leases, the sweep over previews and the files of the
edge. A kill is an exception at some statement of SQL that nothing catches, as the end of a process is for
the store; kills between the edge's files are in `test_preview_life`.
"""

import json
import random
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import event

from bot.approvals import Approval, approve, is_held
from bot.domain.app import App
from bot.domain.deployment import Deployment, State
from bot.domain.environment import Environment
from bot.domain.ids import ReleaseId
from bot.domain.pull import PullNumber, PullRequest, preview_name
from bot.domain.release import Release
from bot.errors import PlatformError, UserError
from bot.intake.pull_events import read_pull
from bot.intake.recipe import policy_to_json
from bot.intake.recipe_file import Policy, Previews
from bot.leases import Claim, UnwantedError
from bot.store import apps, deliveries, deployments, environments, releases
from bot.store.deliveries import NewDelivery
from bot.store.engine import reading, writing
from bot.store.releases import NewRelease
from jobs.git import Mirrors
from jobs.intake import Intake
from tests.fakes import payloads
from tests.jobs.test_preview_life import House

NUMBERS = (1, 2, 3, 4)
FORK = 4
LIMIT = 2
SKIP_LABEL = "no-preview"
ACTIONS = (
    *("synchronize", "synchronize", "closed", "reopened", "converted_to_draft", "ready_for_review"),
    *("labeled", "unlabeled", "edited", "noise"),
)
OWN_REASONS = ("made room", "it is older than")
"""Why a preview may be gone whose pull request wants one."""


class KilledError(BaseException):
    """The process ended here."""


@dataclass
class Pull:
    """What GitHub has of a pull request."""

    number: int
    commits: int = 0
    state: str = "none"
    draft: bool = False
    base: str = "main"
    labels: set[str] = field(default_factory=set[str])
    approved: set[str] = field(default_factory=set[str])
    updated_at: str = ""

    @property
    def sha(self) -> str:
        return f"{self.number}{self.commits:02}".ljust(40, "a")

    @property
    def is_wanted(self) -> bool:
        """Whether there may be a preview."""
        return self.state == "open" and self.base == "main" and SKIP_LABEL not in self.labels

    def payload(self, action: str, **more: Any) -> dict[str, Any]:
        return payloads.pull_request(
            action=action,
            number=self.number,
            sha=self.sha,
            state=self.state,
            draft=self.draft,
            base=self.base,
            labels=tuple(sorted(self.labels)),
            head_repository="eve/shop" if self.number == FORK else "",
            updated_at=self.updated_at,
            **more,
        )


@dataclass
class Worker:
    """A process that has a claim. One that was killed may yet act, if it only was slow."""

    name: str
    claim: Claim
    release: ReleaseId | None = None


class Machine(House):
    """Processes that can be killed at any statement."""

    fuse: int | None = None

    def __init__(self, home: Path) -> None:
        super().__init__(home)
        event.listen(self.engine, "before_cursor_execute", self._burn)

    def _burn(self, *_: Any) -> None:
        if self.fuse is not None:
            self.fuse -= 1
            if self.fuse < 0:
                raise KilledError

    def killed(self, after: int, work: Callable[[], object]) -> None:
        """Do something in a process that is killed after so many statements, unless it ends before."""
        self.fuse = after
        try:
            work()
        except KilledError:
            pass
        finally:
            self.fuse = None
        self.start()


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="pulls-"))
        self.house = Machine(self.folder)
        self.house.moment = datetime(2026, 1, 1, tzinfo=UTC)
        rules = Previews(
            drafts="wait", limit=LIMIT, skip_label=SKIP_LABEL, base_branches=("main",), forks="hold"
        )
        with writing(self.house.engine) as tx:
            # No repository is there: the rules are those that were read last, and events are all there is.
            apps.rename(tx, self.house.shop.id, "acme/shop", "file:///nowhere/at/all")
            apps.keep_policy(tx, self.house.shop.id, policy_to_json(Policy(previews=rules)))
        self.mirrors = Mirrors(self.house.settings, lambda _: None)
        self.waiting: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.workers: list[Worker] = []
        self.dead: list[Worker] = []
        self.count = self.seconds = self.started = 0

    @initialize(asks=st.booleans())
    def begin(self, *, asks: bool) -> None:
        """`asks`: GitHub's API answers. Without it, two things of one second can't be told apart."""
        self.pulls = {number: Pull(number) for number in NUMBERS}
        self.asks = asks

    # What happens on GitHub, and when it is heard of.

    @rule(number=st.sampled_from(NUMBERS), action=st.sampled_from(ACTIONS))
    def happens(self, number: int, action: str) -> None:
        pull, more = self.pulls[number], dict[str, Any]()
        if pull.state == "none":
            action = "opened"
        match action:
            case "opened" | "reopened" if pull.state != "open":
                pull.state = "open"
            case "closed" if pull.state == "open":
                pull.state = "closed"
            case "synchronize" if pull.state == "open":
                pull.commits += 1
            case "converted_to_draft" | "ready_for_review":
                pull.draft = action == "converted_to_draft"
            case "labeled" | "unlabeled":
                pull.labels = {SKIP_LABEL} if action == "labeled" else set()
                more["label"] = SKIP_LABEL
            case "edited":
                more["changes"] = {"base": {"ref": {"from": pull.base}}}
                pull.base = "main" if pull.base == "next" else "next"
            case "noise":
                action, more["label"] = "labeled", "bug"
            case _:
                return
        self.count += 1
        self.seconds += not self.asks or self.count % 3 != 0
        pull.updated_at = (
            f"2026-01-01T{12 + self.seconds // 3600}:{self.seconds // 60 % 60:02}:{self.seconds % 60:02}Z"
        )
        self.waiting.append(pull.payload(action, **more))

    @precondition(lambda self: self.waiting)
    @rule(place=st.integers(0, 50))
    def arrives(self, place: int) -> None:
        self._decide(self._store(self.waiting.pop(place % len(self.waiting))))

    @precondition(lambda self: self.told)
    @rule(place=st.integers(0, 50), same=st.booleans())
    def arrives_again(self, place: int, *, same: bool) -> None:
        """The same delivery once more, or another one that tells the same."""
        at = place % len(self.told)
        self._decide(self._store(self.told[at], f"guid-{at + 1}" if same else ""))

    @precondition(lambda self: self.waiting)
    @rule(place=st.integers(0, 50), after=st.integers(0, 60))
    def arrives_and_is_killed(self, place: int, after: int) -> None:
        delivery = self._store(self.waiting.pop(place % len(self.waiting)))
        self.house.killed(after, lambda: self._decide(delivery))

    @rule(number=st.sampled_from(NUMBERS))
    def somebody_approves(self, number: int) -> None:
        environment = self._environment(number)
        with reading(self.house.engine) as tx:
            newest = deployments.newest(tx, environment.id) if environment else None
        if newest is None or not is_held(newest):
            return
        try:
            with self.house.lifecycle.change() as change:
                approve(self.house.lifecycle, change, newest, Approval("mona"))
        except UserError:
            return
        self.pulls[number].approved.add(newest.sha)

    # What workers do.

    @rule()
    def a_worker_begins(self) -> None:
        name = f"host/{self.started}/0"
        claim = self.house.leases.claim(name)
        self.started += 1
        if claim is not None:
            self.workers.append(Worker(name, claim))

    @precondition(lambda self: self.workers)
    @rule(place=st.integers(0, 9))
    def a_worker_switches(self, place: int) -> None:
        self._switch(self.workers[place % len(self.workers)])

    @precondition(lambda self: self.workers)
    @rule(place=st.integers(0, 9), ends=st.sampled_from(["well", "badly", "killed", "handed back"]))
    def a_worker_ends(self, place: int, ends: str) -> None:
        worker = self.workers.pop(place % len(self.workers))
        if ends == "killed":
            self.dead.append(worker)
        else:
            self._end_work(worker, ends)

    @precondition(lambda self: self.dead)
    @rule(place=st.integers(0, 9))
    def one_that_was_taken_for_dead_goes_on(self, place: int) -> None:
        worker = self.dead[place % len(self.dead)]
        self.house.leases.reap(self._is_dead)
        try:
            self.house.leases.switch(worker.claim, self._release(worker))
        except PlatformError:
            assert not self.house.leases.finish(worker.claim, State.SUCCEEDED, "live")
        else:
            raise AssertionError(worker)

    # What time and the sweep do.

    @rule(
        jump=st.sampled_from(
            [
                timedelta(hours=1),
                timedelta(hours=50),
                timedelta(days=31),
                timedelta(days=-90),
                timedelta(days=400),
            ]
        )
    )
    def the_clock_jumps(self, jump: timedelta) -> None:
        assert self.house.moment is not None
        self.house.moment += jump

    @rule()
    def sweeps(self) -> None:
        self._sweep()

    @rule(after=st.integers(0, 80))
    def sweeps_and_is_killed(self, after: int) -> None:
        self.house.killed(after, self._sweep)

    @invariant()
    def nothing_of_a_fork_runs_that_nobody_approved(self) -> None:
        environment = self._environment(FORK)
        if environment is None:
            return
        with reading(self.house.engine) as tx:
            for one in deployments.latest(tx, 100, environment=environment.id):
                assert one.started_at is None or one.sha in self.pulls[FORK].approved

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            self.house.close()
            shutil.rmtree(self.folder)

    def _end(self) -> None:
        if not hasattr(self, "pulls"):
            return
        self.dead += self.workers
        random.Random(self.count).shuffle(self.waiting)
        while self.waiting:
            self._decide(self._store(self.waiting.pop()))
        self._intake().run([])
        self._sweep()
        while (claim := self.house.leases.claim("host/last/0")) is not None:
            self._end_work(Worker("host/last/0", claim), "well")
        self._sweep()
        self.house.settle()
        self.house.assert_agrees()
        with reading(self.house.engine) as tx:
            assert deliveries.undecided(tx, self.house.now(), 10) == []
        there = [number for number in NUMBERS if self._agrees(self.pulls[number])]
        assert len(there) <= LIMIT

    def _agrees(self, pull: Pull) -> bool:
        """Whether a preview is there; it must be as the facts imply."""
        environment = self._environment(pull.number)
        if environment is None:
            assert not pull.is_wanted or pull.draft
            return False
        with reading(self.house.engine) as tx:
            mine = deployments.latest(tx, 200, environment=environment.id)
            shown = environment.active_deployment_id
            live = deployments.get(tx, shown).sha if shown is not None else None
        self._are_final(pull, mine)
        if environment.archived_at is not None or environment.born_at is None:
            reason = environment.archive_reason or ""
            assert not self._must_be_there(pull, mine) or reason.startswith(OWN_REASONS), environment
            return False
        assert pull.is_wanted, environment
        # A failed build, a draft, and a commit that nobody approved leave what was live.
        failed = any(one.sha == pull.sha and one.state is State.FAILED for one in mine)
        assert live == pull.sha or failed or pull.draft or pull.number == FORK
        return True

    def _must_be_there(self, pull: Pull, mine: list[Deployment]) -> bool:
        is_kept_back = pull.draft or (pull.number == FORK and pull.sha not in pull.approved)
        failed = any(one.sha == pull.sha and one.state is State.FAILED for one in mine)
        return pull.is_wanted and not is_kept_back and not failed

    def _are_final(self, pull: Pull, mine: list[Deployment]) -> None:
        """Each has its last word, but the one that waits for somebody's."""
        open_there = [one for one in mine if not one.state.is_final]
        waits = [one for one in open_there if is_held(one) and one.sha == pull.sha and pull.is_wanted]
        assert open_there == waits
        assert len(waits) <= 1
        assert not waits or pull.number == FORK

    def _intake(self) -> Intake:
        """What decides, in a process that was just started."""
        house = self.house
        return Intake(
            lifecycle=house.lifecycle,
            mirrors=self.mirrors,
            ask=lambda _, number: self._truth(number),
            taken_down=house.addresses.take_down,
            clock=house.now,
        )

    def _truth(self, number: PullNumber) -> PullRequest | None:
        pull = self.pulls[number]
        if not self.asks or pull.state == "none":
            return None
        return read_pull(json.dumps(pull.payload("")["pull_request"]).encode())

    def _store(self, payload: dict[str, Any], guid: str = "") -> list[int]:
        if not guid:
            self.told.append(payload)
        name = guid or f"guid-{len(self.told)}"
        new = NewDelivery("1", name, "pull_request", json.dumps(payload).encode(), self.house.now())
        with writing(self.house.engine) as tx:
            return list(deliveries.insert_new(tx, [new]).values())

    def _decide(self, found: list[Any]) -> None:
        self._intake().run(found)
        with reading(self.house.engine) as tx:
            for one in found:
                delivery = deliveries.get(tx, one)
                assert delivery is not None
                assert delivery.note == ""

    def _switch(self, worker: Worker) -> bool:
        try:
            self.house.leases.switch(worker.claim, self._release(worker))
        except (UnwantedError, PlatformError):
            return False
        return True

    def _end_work(self, worker: Worker, ends: str) -> None:
        leases, claim = self.house.leases, worker.claim
        if ends == "handed back":
            leases.hand_back(claim, "handed back")
        elif ends == "badly":
            leases.finish(claim, State.FAILED, "it failed")
        elif self._switch(worker):
            leases.finish(claim, State.SUCCEEDED, "live", release_id=worker.release)
        else:
            leases.finish(claim, State.CANCELLED, "cancelled")

    def _release(self, worker: Worker) -> ReleaseId:
        if worker.release is None:
            made = worker.claim.deployment
            manifest = self.house.manifest(made.sha)
            new = NewRelease(made.app_id, manifest, manifest, made.sha, 1, 1, False, made.id)
            with writing(self.house.engine) as tx:
                same: Release | None = releases.by_key(tx, made.app_id, manifest)
                worker.release = (same or releases.insert(tx, new, self.house.now())).id
        return worker.release

    def _environment(self, number: int) -> Environment | None:
        app: App = self.house.shop
        with reading(self.house.engine) as tx:
            return environments.by_name(tx, app.id, preview_name(PullNumber(number)))

    def _sweep(self) -> None:
        self.house.leases.reap(self._is_dead)
        self.house.sweep()

    def _is_dead(self, holder: str) -> bool:
        return any(one.name == holder for one in self.dead)


class LongLife(Life):
    """The same, for as long as it takes."""


_COMMON: dict[str, Any] = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
Life.TestCase.settings = settings(max_examples=6, stateful_step_count=20, derandomize=True, **_COMMON)
LongLife.TestCase.settings = settings(max_examples=600, stateful_step_count=50, print_blob=True, **_COMMON)
TestLife = Life.TestCase
TestLongLife = pytest.mark.timeout(7200)(pytest.mark.long(LongLife.TestCase))
