"""Decides about events of pull requests, by the newest facts that the store, GitHub and git have."""

from dataclasses import dataclass, replace
from typing import assert_never

from bot.change import Change
from bot.domain.app import App
from bot.domain.deployment import Commit, Deployment, Trigger
from bot.domain.deployment import Hold as HoldFor
from bot.domain.environment import Environment
from bot.domain.ids import DeliveryId, Sha
from bot.domain.pull import PullRequest, newer, preview_name
from bot.intake.decide_pull import PullFacts, asks_for_changes, asks_for_git, decide_pull
from bot.intake.decision import Command, Decision, Deploy, Hold, Ignore, Skip, Target, TearDown
from bot.intake.pull_events import PullEvent
from bot.intake.recipe import policy_from_json
from bot.lifecycle import Lifecycle
from bot.orders import Order, until_checked
from bot.previews import closing, make_room, take_down
from bot.store import apps, deployments, environments, pulls
from bot.store.engine import Engine, Tx, reading
from jobs.cases import Case, PolicyUnknownError
from jobs.knowledge import Knowledge


class OvertakenFactsError(Exception):
    """While facts were gathered, newer ones came in: the delivery must be decided about anew."""


@dataclass
class PullCase(Case):
    """One app that a pull request's event is about. `head` is the head as git has it."""

    message: str = ""
    head: Sha | None = None


@dataclass(frozen=True)
class PullDecided:
    """A decision, and what it was made from."""

    case: PullCase
    pull: PullRequest
    decision: Decision


class PullIntake:
    """Gathers, decides and applies, for the apps of one repository."""

    def __init__(self, engine: Engine, lifecycle: Lifecycle) -> None:
        self._engine = engine
        self._lifecycle = lifecycle

    def decide(
        self, event: PullEvent, found: list[App], known: Knowledge, *, last_attempt: bool
    ) -> list[PullDecided]:
        """What an event means for each app."""
        cases = [(PullCase(app), self._newest(event, app, known)) for app in found]
        for case, pull in cases:
            if asks_for_git(pull, case.app):
                self._gather(case, event, pull, known, last_attempt=last_attempt)
        decided: list[PullDecided] = []
        for case, pull in cases:
            seen = replace(pull, head_sha=case.head or pull.head_sha)
            with reading(self._engine) as tx:
                there = _is_there(tx, _preview(tx, case.app, pull))
            facts = PullFacts(case.policy, seen, case.message, case.changed, there, case.scope)
            decided.append(PullDecided(case, seen, decide_pull(event, case.app, facts)))
        return decided

    def keep_facts(self, change: Change, decided: list[PullDecided]) -> None:
        """Remember the facts. Raises `OvertakenFactsError` when the store has newer ones by now."""
        for one in decided:
            app, pull = one.case.app.id, one.pull
            stored = pulls.find(change.tx, app, pull.repository_id, pull.number)
            if newer(stored, pull) is not pull:
                raise OvertakenFactsError
            pulls.keep(change.tx, app, pull, change.now)

    def apply(
        self, change: Change, delivery: DeliveryId, event: PullEvent, decided: PullDecided
    ) -> tuple[list[Deployment], list[Environment]]:
        """Do what was decided: the deployments made or found, and the environments taken down."""
        decision = decided.decision
        match decision:
            case Ignore() | Command():
                return [], []
            case TearDown():
                return [], self._tear_down(change, decided, decision)
            case Deploy() | Skip() | Hold():
                return self._bring(change, delivery, event, decided)
            case _:
                assert_never(decision)

    def _newest(self, event: PullEvent, app: App, known: Knowledge) -> PullRequest:
        told = event.pull
        with reading(self._engine) as tx:
            pull = newer(pulls.find(tx, app.id, told.repository_id, told.number), told)
        answer = known.pull(app, told.number) if app.enabled else None
        # A name may have passed to another repository; and GitHub's answers may be behind its events.
        if answer is None or answer.repository_id != told.repository_id:
            return pull
        return newer(pull, answer)

    def _gather(
        self, case: PullCase, event: PullEvent, pull: PullRequest, known: Knowledge, *, last_attempt: bool
    ) -> None:
        with reading(self._engine) as tx:
            kept = policy_from_json(apps.policy(tx, case.app.id))
        problem = known.pull_problem(case.app, pull.number)
        if problem:
            if kept is None and not last_attempt:
                raise PolicyUnknownError(problem)
            case.take_kept(kept, problem)
            return
        case.read_policy(known, event.repository.default_branch, kept)
        case.head = known.pull_head(case.app, pull)
        case.message = known.message(case.app, case.head)
        app = replace(case.app, root_directory=known.root(case.app, case.head))
        if asks_for_changes(app, case.policy):
            case.changed = known.pull_changes(case.app, replace(pull, head_sha=case.head))
            case.scope = known.scope(case.app, case.head)

    def _tear_down(self, change: Change, decided: PullDecided, decision: TearDown) -> list[Environment]:
        environment = _preview(change.tx, decided.case.app, decided.pull)
        pull = decided.pull
        reason = decision.sentence if pull.is_open else closing(pull)
        gone = take_down(change, environment, reason) if environment is not None else None
        return [gone] if gone is not None else []

    def _bring(
        self, change: Change, delivery: DeliveryId, event: PullEvent, decided: PullDecided
    ) -> tuple[list[Deployment], list[Environment]]:
        decision, app = decided.decision, decided.case.app
        assert isinstance(decision, Deploy | Skip | Hold)
        order = _order(decision, app, decision.environments[0], event, delivery=delivery)
        if isinstance(decision, Skip):
            return [self._lifecycle.skip(change, order, decision.sentence)], []
        wanted = decided.case.policy.checks_for(order.environment)
        made = self._lifecycle.request(change, until_checked(order, wanted)).deployment
        found = [made, *self._left_behind(change, order, event, made)]
        if isinstance(decision, Hold):
            return found, []
        return found, make_room(change, app, decided.case.policy.previews.limit, made.environment_id)

    def _left_behind(
        self, change: Change, order: Order, event: PullEvent, made: Deployment
    ) -> list[Deployment]:
        """A last word for the event's own commit, when another took its place before anybody asked for it."""
        sha = event.pull.head_sha
        if sha == made.sha or deployments.newest_of_commit(change.tx, made.environment_id, sha) is not None:
            return []
        return [self._lifecycle.overtaken(change, replace(order, commit=Commit(sha)), made)]


def _preview(tx: Tx, app: App, pull: PullRequest) -> Environment | None:
    return environments.by_name(tx, app.id, preview_name(pull.number))


def _is_there(tx: Tx, environment: Environment | None) -> bool:
    if environment is None or environment.archived_at is not None:
        return False
    return environment.born_at is not None or bool(deployments.unfinished(tx, environment.id))


def _order(
    decision: Deploy | Skip | Hold, app: App, target: Target, event: PullEvent, *, delivery: DeliveryId
) -> Order:
    return Order(
        app=app,
        environment=target.name,
        branch=target.branch,
        commit=decision.commit,
        trigger=Trigger.PULL,
        reason=decision.sentence,
        requested_by=event.sender,
        delivery_id=delivery,
        pull=target.pull,
        hold=HoldFor.APPROVAL if isinstance(decision, Hold) else None,
    )
