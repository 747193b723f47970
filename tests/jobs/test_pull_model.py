"""Any order of events, losses and delays ends in the state that the last facts imply."""

import json
import random
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from bot.domain.deployment import State
from bot.domain.environment import Environment
from bot.domain.pull import PullNumber, preview_name
from bot.intake.recipe import policy_to_json
from bot.intake.recipe_file import Policy, Previews
from bot.leases import Leases, UnwantedError
from bot.lifecycle import Lifecycle
from bot.previews import tidy
from bot.store import apps, deliveries, deployments, environments
from bot.store.apps import NewApp
from bot.store.deliveries import NewDelivery
from bot.store.engine import reading, writing
from jobs.git import Mirrors
from jobs.intake import Intake
from tests.fakes import payloads
from tests.instance import Instance

NUMBERS = (1, 2, 3)
LIMIT = 2


class Pull:
    """What GitHub has."""

    def __init__(self, number: int) -> None:
        self.number, self.commits = number, 0
        self.state, self.draft, self.labels = "none", False, ()

    @property
    def sha(self) -> str:
        return f"{self.number}{self.commits:02}".ljust(40, "a")


class Life(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="pulls-"))
        self.instance = Instance(self.folder)
        self.instance.moment = datetime(2026, 1, 1, tzinfo=UTC)
        new = NewApp("shop", "acme/shop", "file:///nowhere/at/all", "main")
        policy = Policy(previews=Previews(drafts="wait", limit=LIMIT))
        with writing(self.instance.engine) as tx:
            self.app = apps.insert(tx, new, self.instance.now())
            apps.keep_policy(tx, self.app.id, policy_to_json(policy))
        # No repository is there: the rules are those that were read last, and events are all there is.
        mirrors = Mirrors(self.instance.settings, lambda _: None)
        self.lifecycle: Lifecycle = self.instance.lifecycle
        self.leases: Leases = self.instance.leases
        self.intake = Intake(lifecycle=self.lifecycle, mirrors=mirrors, clock=self.instance.now)
        self.waiting: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.count, self.seconds = 0, 0

    @initialize()
    def begin(self) -> None:
        self.pulls = {number: Pull(number) for number in NUMBERS}

    @rule(
        number=st.sampled_from(NUMBERS),
        action=st.sampled_from(
            ["synchronize", "closed", "reopened", "converted_to_draft", "ready_for_review", "labeled"]
        ),
    )
    def happens(self, number: int, action: str) -> None:
        pull = self.pulls[number]
        if pull.state == "none":
            pull.state, action = "open", "opened"
        elif (action == "reopened") == (pull.state == "open"):
            return
        elif action in ("closed", "reopened"):
            pull.state = "closed" if action == "closed" else "open"
        elif action == "synchronize":
            pull.commits += 1
        elif action in ("converted_to_draft", "ready_for_review"):
            pull.draft = action == "converted_to_draft"
        # Sometimes several things happen in one second.
        self.seconds += self.count % 3 != 0
        self.count += 1
        payload = payloads.pull_request(
            action=action,
            number=number,
            sha=pull.sha,
            state=pull.state,
            draft=pull.draft,
            label="bug",
            updated_at=f"2026-01-01T12:{self.seconds // 60:02}:{self.seconds % 60:02}Z",
        )
        self.waiting.append(payload)

    @precondition(lambda self: self.waiting)
    @rule(place=st.integers(0, 50))
    def arrives(self, place: int) -> None:
        self._deliver(self.waiting.pop(place % len(self.waiting)))

    @precondition(lambda self: self.told)
    @rule(place=st.integers(0, 50))
    def arrives_again(self, place: int) -> None:
        self._deliver(self.told[place % len(self.told)])

    @rule(ends=st.sampled_from(["well", "badly", "killed", "handed back"]))
    def works(self, ends: str) -> None:
        claim = self.leases.claim("host/1/0")
        if claim is None:
            return
        if ends == "well":
            self.instance.succeed(claim)
        elif ends == "badly":
            self.leases.finish(claim, State.FAILED, "it failed")
        elif ends == "killed":
            self.leases.reap(lambda _: True)
        else:
            self.leases.hand_back(claim, "handed back")

    @rule(index=st.sampled_from(NUMBERS))
    def closes_while_it_works(self, index: int) -> None:
        claim = self.leases.claim("host/1/0")
        if claim is None:
            return
        number = claim.environment.pull or index
        if self.pulls[number].state == "open":
            self.happens(number, "closed")
            self._deliver(self.waiting.pop())
        try:
            self.instance.succeed(claim)
        except UnwantedError:
            self.leases.finish(claim, State.CANCELLED, "cancelled")

    @rule(hours=st.integers(1, 12))
    def time_passes(self, hours: int) -> None:
        assert self.instance.moment is not None
        self.instance.moment += timedelta(hours=hours)
        self._sweep()

    def teardown(self) -> None:
        try:
            self._end()
        finally:
            self.instance.close()
            shutil.rmtree(self.folder)

    def _end(self) -> None:
        random.Random(self.count).shuffle(self.waiting)
        while self.waiting:
            self._deliver(self.waiting.pop())
        self._sweep()
        while (claim := self.leases.claim("host/1/0")) is not None:
            self.instance.succeed(claim)
        self._sweep()
        there = [number for number in NUMBERS if self._agrees(self.pulls[number])]
        assert len(there) <= LIMIT

    def _agrees(self, pull: Pull) -> bool:
        """Whether a preview is there; it must be as the facts imply."""
        environment = self._environment(pull.number)
        if environment is None:
            assert pull.state in ("none", "closed") or pull.draft
            return False
        with reading(self.instance.engine) as tx:
            assert deployments.unfinished(tx, environment.id) == []
            shown = environment.active_deployment_id
            live = deployments.get(tx, shown).sha if shown is not None else None
            mine = deployments.latest(tx, 100, environment=environment.id)
        if environment.archived_at is not None:
            made_room = "made room" in (environment.archive_reason or "")
            assert pull.state == "closed" or made_room
            return False
        if environment.born_at is None:
            return False
        assert pull.state == "open"
        # A failed build leaves what was live; a draft is not deployed before it is ready.
        failed = any(one.sha == pull.sha and one.state is State.FAILED for one in mine)
        assert live == pull.sha or failed or pull.draft
        return True

    def _environment(self, number: int) -> Environment | None:
        with reading(self.instance.engine) as tx:
            return environments.by_name(tx, self.app.id, preview_name(PullNumber(number)))

    def _sweep(self) -> None:
        self.leases.reap(lambda _: False)
        with self.lifecycle.change() as change:
            tidy(change)

    def _deliver(self, payload: dict[str, Any]) -> None:
        self.told.append(payload)
        guid = f"guid-{len(self.told)}"
        new = NewDelivery("1", guid, "pull_request", json.dumps(payload).encode(), self.instance.now())
        with writing(self.instance.engine) as tx:
            (delivery,) = deliveries.insert_new(tx, [new]).values()
        self.intake.run([delivery])
        with reading(self.instance.engine) as tx:
            found = deliveries.get(tx, delivery)
        assert found is not None
        assert found.note == ""


Life.TestCase.settings = settings(
    max_examples=6,
    stateful_step_count=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestLife = Life.TestCase
