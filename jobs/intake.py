"""Decides about deliveries: reads the event, gathers the facts that the rules ask for, asks for deploys."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import assert_never

from bot import troubles
from bot.change import Change
from bot.clock import Clock, utc_now
from bot.domain.app import App
from bot.domain.deployment import Commit, Trigger
from bot.domain.environment import Environment
from bot.domain.ids import DeliveryId
from bot.domain.spoken import SpokenId
from bot.intake.comment_events import CommentEvent
from bot.intake.decide import asks_for_changes, asks_for_policy, decide, decide_alone, is_deployed
from bot.intake.decision import Decision, Deploy, Facts, Skip
from bot.intake.events import Event, PushEvent, parse
from bot.intake.pull_events import PullEvent
from bot.intake.recipe import policy_from_json, policy_to_json
from bot.lifecycle import Lifecycle
from bot.log import logger
from bot.orders import Order, until_checked
from bot.previews import learn_visibility
from bot.store import apps, deliveries, deployments
from bot.store.deliveries import GITHUB, NO_REPOSITORY_ID, RECEIVED, RECONCILE, Delivery
from bot.store.engine import reading, writing
from jobs.asides import Aside, Asides, leave_to_the_sweep
from jobs.cases import Case, PolicyUnknownError, case_of
from jobs.comment_intake import AskLevel, CommentIntake, ask_no_level
from jobs.entitled import Told, entitled, may_keep
from jobs.git import Mirrors
from jobs.git.share import Share
from jobs.heads import overtaking
from jobs.knowledge import Ask, Knowledge, ask_nobody
from jobs.pull_intake import OvertakenFactsError, PullDecided, PullIntake
from jobs.verdicts import facts_kept, log, stored

MAX_ATTEMPTS = 5
FIRST_PAUSE = timedelta(seconds=10)
"""Pause before the second attempt; it grows fourfold with each."""
MAX_BATCH = 200
"""Deliveries that one run takes along."""
_ROUNDS = 3


@dataclass(frozen=True)
class _Decided:
    case: Case
    decision: Decision


class Intake:
    """Turns stored deliveries into decisions and deployments.

    `ask` asks GitHub for a pull request, `ask_level` what somebody may do. `answer` is told of comments
    whose commands were carried out, to show a receipt. `taken_down` is told of each environment that was
    taken down, once that is committed, to take its hostnames off the edge. `has_sign_in`: whether there is
    a sign-in to GitHub.
    """

    def __init__(
        self,
        *,
        lifecycle: Lifecycle,
        mirrors: Mirrors,
        ask: Ask = ask_nobody,
        ask_level: AskLevel = ask_no_level,
        answer: Callable[[SpokenId], object] = leave_to_the_sweep,
        taken_down: Callable[[Environment], None] = leave_to_the_sweep,
        has_sign_in: Callable[[], bool] = lambda: False,
        clock: Clock = utc_now,
    ) -> None:
        self._engine = lifecycle.engine
        self._ask = ask
        self._taken_down = taken_down
        self._pulls = PullIntake(lifecycle.engine, lifecycle)
        self._asides = Asides(lifecycle, mirrors.github_url, taken_down, has_sign_in=has_sign_in)
        self._lifecycle = lifecycle
        self._comments = CommentIntake(lifecycle, ask_level, answer)
        self._mirrors = mirrors
        self._share = Share()
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
        known = Knowledge(self._mirrors, self._ask, self._share)
        with self._mirrors.kept_open():
            for delivery_id in sorted({*delivery_ids, *waiting}):
                self._decide_one(delivery_id, known)

    def _decide_one(self, delivery_id: DeliveryId, known: Knowledge) -> None:
        with reading(self._engine) as tx:
            delivery = deliveries.get(tx, delivery_id)
        if delivery is None or delivery.state != RECEIVED:
            return
        try:
            self._decide(delivery, known)
        except Exception as error:  # noqa: BLE001 the note and the log keep it; the others must go on
            self._put_off(delivery, error)

    def _decide(self, delivery: Delivery, known: Knowledge) -> None:
        event = parse(delivery.event, delivery.body)
        found = self._apps(event, delivery)
        last_attempt = delivery.attempts + 1 >= MAX_ATTEMPTS
        if isinstance(event, Aside):
            self._asides.decide(delivery, event, found)
            return
        if isinstance(event, PullEvent) and found:
            self._decide_pull(delivery, event, found, known, last_attempt=last_attempt)
            return
        if isinstance(event, CommentEvent) and found:
            for environment in self._comments.decide(
                delivery, event, found, known, last_attempt=last_attempt
            ):
                self._taken_down(environment)
            return
        cases = [case_of(self._engine, app) for app in found]
        for case in cases:
            self._gather(case, event, known, last_attempt=last_attempt)
        decided = [
            _Decided(case, decide(event, case.app, Facts(case.policy, case.changed, case.scope)))
            for case in cases
        ]
        with self._lifecycle.change() as change:
            if not deliveries.mark_decided(change.tx, delivery.id, change.now):
                return
            for one in decided:
                self._keep(change, delivery, event, one)
            if not decided:
                deliveries.add_decision(
                    change.tx, stored(delivery, None, decide_alone(event), now=change.now)
                )
        log(delivery, [(one.case.app, one.decision) for one in decided])

    def _decide_pull(
        self, delivery: Delivery, event: PullEvent, found: list[App], known: Knowledge, *, last_attempt: bool
    ) -> None:
        for _ in range(_ROUNDS):
            decided = self._pulls.decide(event, found, known, last_attempt=last_attempt)
            try:
                gone = self._keep_pull(delivery, event, decided)
            except OvertakenFactsError:
                continue
            for environment in gone:
                self._taken_down(environment)
            return
        raise OvertakenFactsError

    def _keep_pull(
        self, delivery: Delivery, event: PullEvent, decided: list[PullDecided]
    ) -> list[Environment]:
        gone: list[Environment] = []
        with self._lifecycle.change() as change:
            if not deliveries.mark_decided(change.tx, delivery.id, change.now):
                return []
            for one in decided:
                self._learn(change, delivery, event, one.case)
            self._pulls.keep_facts(change, decided)
            for one in decided:
                app = apps.get(change.tx, one.case.app.id)
                case = replace(one.case, app=app)
                made, down = self._pulls.apply(change, delivery.id, event, replace(one, case=case))
                gone += down
                facts = facts_kept(case, [deployment.id for deployment in made])
                facts["pull"] = one.pull.number
                kept = stored(delivery, app, one.decision, now=change.now, facts=facts)
                deliveries.add_decision(change.tx, kept)
        log(delivery, [(one.case.app, one.decision) for one in decided])
        return gone

    def _apps(self, event: Event, delivery: Delivery) -> list[App]:
        if not isinstance(event, Told):
            return []
        repository = event.repository
        only = delivery.verified_app_id
        with reading(self._engine) as tx:
            if delivery.source == RECONCILE and only is not None:
                return [apps.get(tx, only)]
            found = apps.of_repository(tx, repository.id, repository.full_name)
            return entitled(tx, found, delivery, event, github_url=self._mirrors.github_url)

    def _gather(self, case: Case, event: Event, known: Knowledge, *, last_attempt: bool) -> None:
        """Fill in what the rules ask for, and nothing else."""
        if not isinstance(event, PushEvent) or not asks_for_policy(event, case.app):
            return
        with reading(self._engine) as tx:
            kept = policy_from_json(apps.policy(tx, case.app.id))
        problem = known.problem(case.app)
        if problem:
            case.take_kept(kept, problem)
            unsure = kept is None and not is_deployed(event.branch or "", case.app, case.policy)
            if unsure and not last_attempt:
                raise PolicyUnknownError(problem)
            return
        case.read_policy(known, event.repository.default_branch, kept)
        if event.after is None or event.branch is None:
            return
        if not is_deployed(event.branch, case.app, case.policy):
            return
        root = known.root(case.app, event.after)
        if asks_for_changes(event, replace(case.app, root_directory=root), case.policy):
            case.changed = self._mirrors.changed(case.app, event.before, event.after)
            case.scope = known.scope(case.app, event.after)
        head = known.head(case.app, event.branch)
        markers = case.policy.skip_markers
        case.newer = overtaking(self._mirrors, case.app, event.after, head, markers=markers) if head else None

    def _learn(self, change: Change, delivery: Delivery, event: PushEvent | PullEvent, case: Case) -> None:
        """Remember what an event told of an app's repository."""
        # What the sweep makes up of a branch knows no id; a pull request is GitHub's own answer.
        is_told = delivery.source != RECONCILE or isinstance(event, PullEvent)
        if is_told and not _is_pinned(case.app, event):
            by = event.installation_id if may_keep(change.tx, case.app, event.installation_id) else None
            apps.pin_repository(change.tx, case.app.id, event.repository.id, by)
        if delivery.source == GITHUB and case.app.repository_id == event.repository.id:
            self._asides.hear(change, case.app, event.repository.full_name, delivery)
        if is_told:
            learn_visibility(change, case.app, event.repository.private)
        if case.policy_read is not None:
            apps.keep_policy(change.tx, case.app.id, policy_to_json(case.policy_read))

    def _keep(self, change: Change, delivery: Delivery, event: Event, decided: _Decided) -> None:
        case, decision = decided.case, decided.decision
        if isinstance(event, PushEvent):
            self._learn(change, delivery, event, case)
        facts = facts_kept(case, [])
        if isinstance(decision, Deploy | Skip):
            facts["environments"] = {target.name: target.branch for target in decision.environments}
            facts["deployments"] = self._apply(change, delivery, event, decided)
        deliveries.add_decision(change.tx, stored(delivery, case.app, decision, now=change.now, facts=facts))

    def _apply(self, change: Change, delivery: Delivery, event: Event, decided: _Decided) -> list[int]:
        decision = decided.decision
        assert isinstance(decision, Deploy | Skip)
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
            wanted = decided.case.policy.checks_for(target.name)
            match decision:
                case Deploy():
                    order = until_checked(order, wanted)
                    made.append(self._request(change, order, decided.case.newer))
                case Skip():
                    made.append(self._lifecycle.skip(change, order, decision.sentence).id)
                case _:
                    assert_never(decision)
        return made

    def _request(self, change: Change, order: Order, newer: Commit | None) -> int:
        """Ask for a deployment; of the branch's head, when that took the place of the event's commit.

        A commit that had its deployment, and its word, gets no other one by an event that comes again.
        """
        if newer is None:
            return self._lifecycle.request(change, order).deployment.id
        reason = f"{order.branch} moved on to {newer.sha[:7]}" if order.hold is None else order.reason
        head = self._lifecycle.request(change, replace(order, commit=newer, reason=reason)).deployment
        known = deployments.newest_of_commit(change.tx, head.environment_id, order.commit.sha)
        return known if known is not None else self._lifecycle.overtaken(change, order, head).id

    def _put_off(self, delivery: Delivery, error: Exception) -> None:
        attempt = delivery.attempts + 1
        # A fault of the machine's says nothing about the delivery, which waits for as long as it lasts.
        goes_on = attempt < MAX_ATTEMPTS or troubles.named(error) is not None
        pause = FIRST_PAUSE * 4 ** (min(attempt, MAX_ATTEMPTS - 1) - 1)
        retry_at = self._clock() + pause if goes_on else None
        note = f"{type(error).__name__}: {error}"
        with writing(self._engine) as tx:
            present = deliveries.get(tx, delivery.id)
            if present is None or present.state != RECEIVED:
                return
            deliveries.put_off(tx, delivery.id, note, retry_at)
        logger.error("not decided", delivery=delivery.id, attempt=attempt, retry_at=retry_at, exc_info=error)


def _is_pinned(app: App, event: PushEvent | PullEvent) -> bool:
    if event.repository.id == NO_REPOSITORY_ID:
        return True
    known_installation = event.installation_id in (None, app.installation_id)
    return app.repository_id == event.repository.id and known_installation
