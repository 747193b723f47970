"""Decides about deliveries: reads the event, gathers the facts that the rules ask for, asks for deploys."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, assert_never

from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.deployment import Commit, Trigger
from bot.domain.ids import DeliveryId
from bot.errors import UserError
from bot.intake.decide import (
    Decision,
    Deploy,
    Facts,
    Ignore,
    Skip,
    asks_for_changes,
    asks_for_policy,
    decide,
    decide_alone,
    is_deployed,
)
from bot.intake.events import Event, PushEvent, parse, repository_of
from bot.intake.paths import RECIPE_FILE
from bot.intake.recipe import policy_from_json, policy_part, policy_to_json
from bot.intake.recipe_file import Policy
from bot.lifecycle import Change, Lifecycle, Order
from bot.log import logger
from bot.store import apps, deliveries
from bot.store.deliveries import RECEIVED, Delivery, StoredDecision
from bot.store.engine import reading, writing
from jobs.git import Mirrors
from jobs.heads import overtaking
from jobs.knowledge import Knowledge

MAX_ATTEMPTS = 5
FIRST_PAUSE = timedelta(seconds=10)
"""Pause before the second attempt; it grows fourfold with each."""
MAX_BATCH = 200
"""Deliveries that one run takes along."""


class PolicyUnknownError(Exception):
    """Whether a branch is deployed can't be told: the repository was never read, and can't be now."""


@dataclass
class _Case:
    """One app that an event is about, with the facts gathered for it."""

    app: App
    policy: Policy = field(default_factory=Policy)
    changed: Sequence[str] | None = None
    notes: list[str] = field(default_factory=list[str])
    policy_read: Policy | None = None
    newer: Commit | None = None


@dataclass(frozen=True)
class _Decided:
    case: _Case
    decision: Decision


class Intake:
    """Turns stored deliveries into decisions and deployments."""

    def __init__(self, *, lifecycle: Lifecycle, mirrors: Mirrors, clock: Clock = utc_now) -> None:
        self._engine = lifecycle.engine
        self._lifecycle = lifecycle
        self._mirrors = mirrors
        self._clock = clock

    def run(self, delivery_ids: Iterable[DeliveryId]) -> None:
        """Decide about each delivery that is still undecided, in the order of their ids.

        Others that wait are taken along: what is learned of a repository then serves them all. May run
        twice or beside another process: the first to commit decides. What fails is put off, and after
        `MAX_ATTEMPTS` marked as failed; it never keeps the others from being decided.
        """
        with reading(self._engine) as tx:
            waiting = deliveries.undecided(tx, self._clock(), MAX_BATCH)
        # Read before anything is fetched, so that what is fetched is at least as new as each of them.
        known = Knowledge(self._mirrors)
        for delivery_id in sorted({*delivery_ids, *waiting}):
            with reading(self._engine) as tx:
                delivery = deliveries.get(tx, delivery_id)
            if delivery is None or delivery.state != RECEIVED:
                continue
            try:
                self._decide(delivery, known)
            except Exception as error:  # noqa: BLE001 the note and the log keep it; the others must go on
                self._put_off(delivery, error)

    def _decide(self, delivery: Delivery, known: Knowledge) -> None:
        event = parse(delivery.event, delivery.body)
        cases = [_Case(app) for app in self._apps(event, delivery)]
        last_attempt = delivery.attempts + 1 >= MAX_ATTEMPTS
        for case in cases:
            self._gather(case, event, known, last_attempt=last_attempt)
        decided = [_Decided(case, decide(event, case.app, _facts(case))) for case in cases]
        with self._lifecycle.change() as change:
            if not deliveries.mark_decided(change.tx, delivery.id, change.now):
                return
            for one in decided:
                self._keep(change, delivery, event, one)
            if not decided:
                deliveries.add_decision(
                    change.tx, _stored(delivery, None, decide_alone(event), now=change.now)
                )
        logger.info(
            "decided",
            delivery=delivery.id,
            kind=delivery.event,
            decisions=[f"{one.case.app.slug}: {_kind(one.decision)}" for one in decided],
        )

    def _apps(self, event: Event, delivery: Delivery) -> list[App]:
        repository = repository_of(event)
        if repository is None:
            return []
        with reading(self._engine) as tx:
            found = apps.of_repository(tx, repository.id, repository.full_name)
        only = delivery.verified_app_id
        return [app for app in found if only is None or app.id == only]

    def _gather(self, case: _Case, event: Event, known: Knowledge, *, last_attempt: bool) -> None:
        """Fill in what the rules ask for, and nothing else."""
        if not isinstance(event, PushEvent) or not asks_for_policy(event, case.app):
            return
        with reading(self._engine) as tx:
            kept = policy_from_json(apps.policy(tx, case.app.id))
        problem = known.problem(case.app)
        if problem:
            case.notes.append(f"The repository could not be read, so its last known rules count: {problem}.")
            case.policy = kept or Policy()
            unsure = kept is None and not is_deployed(event.branch or "", case.app, case.policy)
            if unsure and not last_attempt:
                raise PolicyUnknownError(problem)
            return
        case.policy = self._policy(case, event, kept, known)
        if event.after is None or event.branch is None:
            return
        if asks_for_changes(event, case.app, case.policy):
            case.changed = self._mirrors.changed(case.app, event.before, event.after)
        if is_deployed(event.branch, case.app, case.policy):
            head = known.head(case.app, event.branch)
            case.newer = overtaking(self._mirrors, case.app, event.after, head) if head else None

    def _policy(self, case: _Case, event: PushEvent, kept: Policy | None, known: Knowledge) -> Policy:
        """The policy part of slipway.toml at the default branch's head."""
        branch = event.repository.default_branch or case.app.production_branch
        content = known.recipe_file(case.app, branch)
        try:
            policy = policy_part(content) if content is not None else Policy()
        except UserError as error:
            facts = error.facts
            where = f"{RECIPE_FILE} on {branch}, line {facts['line']}, {facts['key']}: {facts['found']}"
            case.notes.append(f"The last known rules count, because of a mistake in {where}.")
            return kept or Policy()
        case.policy_read = policy if policy != kept else None
        return policy

    def _keep(self, change: Change, delivery: Delivery, event: Event, decided: _Decided) -> None:
        case, decision = decided.case, decided.decision
        if isinstance(event, PushEvent) and not _is_pinned(case.app, event):
            apps.pin_repository(change.tx, case.app.id, event.repository.id, event.installation_id)
        if case.policy_read is not None:
            apps.keep_policy(change.tx, case.app.id, policy_to_json(case.policy_read))
        facts: dict[str, Any] = {"notes": case.notes, "deployments": []}
        if case.changed is not None:
            facts["changed"] = len(case.changed)
        if not isinstance(decision, Ignore):
            facts["environments"] = {target.name: target.branch for target in decision.environments}
            facts["deployments"] = self._apply(change, delivery, event, decided)
        deliveries.add_decision(change.tx, _stored(delivery, case.app, decision, now=change.now, facts=facts))

    def _apply(self, change: Change, delivery: Delivery, event: Event, decided: _Decided) -> list[int]:
        decision = decided.decision
        assert not isinstance(decision, Ignore)
        by = event.pusher if isinstance(event, PushEvent) else ""
        made: list[int] = []
        for target in decision.environments:
            order = Order(
                app=decided.case.app,
                environment=target.name,
                branch=target.branch,
                commit=decision.commit,
                trigger=Trigger.PUSH,
                reason=decision.sentence,
                requested_by=by,
                delivery_id=delivery.id,
            )
            match decision:
                case Deploy():
                    made.append(self._request(change, order, decided.case.newer))
                case Skip():
                    made.append(self._lifecycle.skip(change, order, decision.sentence).id)
                case _:
                    assert_never(decision)
        return made

    def _request(self, change: Change, order: Order, newer: Commit | None) -> int:
        """Ask for a deployment; of the branch's head, when that took the place of the event's commit."""
        if newer is None:
            return self._lifecycle.request(change, order).deployment.id
        reason = f"{order.branch} moved on to {newer.sha[:7]}"
        head = self._lifecycle.request(change, replace(order, commit=newer, reason=reason)).deployment
        return self._lifecycle.overtaken(change, order, head).id

    def _put_off(self, delivery: Delivery, error: Exception) -> None:
        attempt = delivery.attempts + 1
        retry_at = self._clock() + FIRST_PAUSE * 4 ** (attempt - 1) if attempt < MAX_ATTEMPTS else None
        note = f"{type(error).__name__}: {error}"
        with writing(self._engine) as tx:
            present = deliveries.get(tx, delivery.id)
            if present is None or present.state != RECEIVED:
                return
            deliveries.put_off(tx, delivery.id, note, retry_at)
        logger.error("not decided", delivery=delivery.id, attempt=attempt, retry_at=retry_at, exc_info=error)


def _is_pinned(app: App, event: PushEvent) -> bool:
    known_installation = event.installation_id in (None, app.installation_id)
    return app.repository_id == event.repository.id and known_installation


def _facts(case: _Case) -> Facts:
    return Facts(case.policy, case.changed)


def _kind(decision: Decision) -> str:
    match decision:
        case Deploy():
            return "deploy"
        case Skip():
            return "skip"
        case Ignore():
            return "ignore"
        case _:
            assert_never(decision)


def _stored(
    delivery: Delivery,
    app: App | None,
    decision: Decision,
    *,
    now: datetime,
    facts: dict[str, Any] | None = None,
) -> StoredDecision:
    return StoredDecision(
        delivery_id=delivery.id,
        app_id=app.id if app else None,
        kind=_kind(decision),
        code=decision.code,
        sentence=decision.sentence,
        facts=facts or {},
        created_at=now,
    )
