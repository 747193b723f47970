"""Decides about comments on pull requests: asks GitHub who may, then carries their commands out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from bot.change import Change
from bot.commanding import Commanding
from bot.domain.app import App
from bot.domain.audit import Act
from bot.domain.deployment import Commit
from bot.domain.environment import Environment
from bot.domain.ids import AppId, reference
from bot.domain.permission import Level
from bot.domain.pull import PullRequest, newer
from bot.domain.spoken import Outcome, Said, SpokenId
from bot.intake import commands
from bot.intake.comment_events import CommentEvent
from bot.intake.decide_comment import MAX_AGE, ignored, is_late, is_unknown
from bot.intake.decision import Command, Decision, Ignore, Reason
from bot.intake.recipe import policy_from_json
from bot.intake.recipe_file import Policy
from bot.lifecycle import Lifecycle
from bot.speaking import Ground, Speaker
from bot.store import apps, audit, deliveries, pulls, spoken
from bot.store.deliveries import Delivery
from bot.store.engine import reading
from bot.store.spoken import NewSpoken, Pull
from jobs.entitled import kin
from jobs.knowledge import Knowledge
from jobs.verdicts import stored

AskLevel = Callable[[App, str, int | None], Level | None]
"""Asks GitHub what somebody may do in an app's repository; None when it does not say."""


class PermissionUnknownError(Exception):
    """GitHub did not say whether the author may; the delivery is put off."""


def ask_no_level(_app: App, _login: str, _number: int | None) -> Level | None:
    """For an instance that has no way to ask GitHub."""
    return None


@dataclass(frozen=True)
class _Asked:
    """What is known before the transaction begins."""

    speaker: Speaker
    pull: PullRequest | None
    head: Commit | None


class CommentIntake:
    """Gathers, asks, and carries out, for the apps of one repository."""

    def __init__(self, lifecycle: Lifecycle, ask: AskLevel, told: Callable[[SpokenId], object]) -> None:
        self._lifecycle = lifecycle
        self._engine = lifecycle.engine
        self._ask = ask
        self._told = told

    def decide(
        self,
        delivery: Delivery,
        event: CommentEvent,
        found: list[App],
        known: Knowledge,
        *,
        last_attempt: bool,
    ) -> list[Environment]:
        """Decide about a comment, and do what it asks for. The environments that were taken down.

        Raises `PermissionUnknownError` while there are attempts left.
        """
        asked = self._ask_for(delivery, event, found, known, last_attempt=last_attempt)
        gone: list[Environment] = []
        spoke: list[SpokenId] = []
        with self._lifecycle.change() as change:
            if not deliveries.mark_decided(change.tx, delivery.id, change.now):
                return []
            for app in found:
                one = _ForApp(self._lifecycle, change, delivery, event, app, kin(change.tx, app, found))
                decision, facts = one.decide(asked.get(app.id))
                spoke += one.spoke
                gone += one.gone
                kept = stored(delivery, app, decision, now=change.now, facts=facts)
                deliveries.add_decision(change.tx, kept)
        for spoken_id in spoke:
            self._told(spoken_id)
        return gone

    def _ask_for(
        self,
        delivery: Delivery,
        event: CommentEvent,
        found: list[App],
        known: Knowledge,
        *,
        last_attempt: bool,
    ) -> dict[AppId, _Asked]:
        """What is known of each app's speaker; those are missing of whom GitHub does not say it.

        For each app by itself: others may say of their repositories that they are this one.
        """
        heeding = [app for app in found if ignored(event, app) is None]
        levels = {
            app.id: self._ask(_as_named(app, event, delivery), event.author, event.author_id)
            for app in heeding
        }
        allowing = {app.tenant_id for app in heeding if (levels[app.id] or Level.NONE) >= Level.WRITE}
        # Who may command in one tenant's app does not wait for what is said of another's.
        missing = [app for app in heeding if levels[app.id] is None and not allowing - {app.tenant_id}]
        if missing and not last_attempt:
            raise PermissionUnknownError("GitHub did not say what the author may do.")
        told = [(app, level) for app in heeding if (level := levels[app.id]) is not None]
        return {app.id: self._gather(event, app, known, level) for app, level in told}

    def _gather(self, event: CommentEvent, app: App, known: Knowledge, level: Level) -> _Asked:
        speaker = Speaker(event.author, level)
        asks_head = any(isinstance(one.verb, commands.Deploy) for one in event.commands)
        if level < Level.WRITE or not asks_head:
            return _Asked(speaker, None, None)
        pull = self._pull(event, app, known)
        return _Asked(speaker, pull, self._head(app, pull, known) if pull else None)

    def _pull(self, event: CommentEvent, app: App, known: Knowledge) -> PullRequest | None:
        with reading(self._engine) as tx:
            kept = pulls.find(tx, app.id, event.repository.id, event.pull)
        told = known.pull(app, event.pull)
        if told is None or told.repository_id != event.repository.id:
            return kept
        return newer(kept, told)

    def _head(self, app: App, pull: PullRequest, known: Knowledge) -> Commit | None:
        if known.pull_problem(app, pull.number):
            return None
        sha = known.pull_head(app, pull)
        return Commit(sha, known.message(app, sha), pull.author)


@dataclass
class _ForApp:
    """The comment, for one app, in the transaction that decides about it."""

    lifecycle: Lifecycle
    change: Change
    delivery: Delivery
    event: CommentEvent
    app: App
    siblings: Sequence[App]
    spoke: list[SpokenId] = field(default_factory=list[SpokenId])
    gone: list[Environment] = field(default_factory=list[Environment])

    def decide(self, asked: _Asked | None) -> tuple[Decision, dict[str, Any]]:
        """What the comment means for the app, and what was done."""
        event, tx = self.event, self.change.tx
        means_nothing = ignored(event, self.app)
        if means_nothing is not None:
            return means_nothing, {}
        if spoken.is_known(tx, self.app.id, event.comment):
            text = "The commands of this comment were carried out before."
            return Ignore(Reason.COMMAND_DONE, text), {}
        if asked is None:
            self._remember(Outcome.UNKNOWN)
            text = f"GitHub did not say whether {event.author} may command here, so nothing was done."
            return Ignore(Reason.PERMISSION_UNKNOWN, text), {}
        if asked.speaker.level < Level.WRITE:
            self._remember(Outcome.DENIED)
            text = f"{event.author} may not command here: that takes the permission to write on GitHub."
            return Ignore(Reason.COMMAND_DENIED, text), {}
        mine = self._mine()
        if not mine or (is_unknown(mine) and self._explained_before()):
            return Ignore(Reason.NO_COMMAND, "None of the comment's commands is for this app."), {}
        return self._carry_out(mine, asked)

    def _carry_out(
        self, mine: tuple[commands.Command, ...], asked: _Asked
    ) -> tuple[Decision, dict[str, Any]]:
        ground = self._ground(asked)
        doing = Commanding(self.lifecycle, self.change, ground, asked.speaker)
        late = is_late(self.event, self.change.now)
        answers = tuple(_too_late(one) if late else doing.carry_out(one) for one in mine)
        self.gone += doing.gone
        self._remember(Outcome.DONE if all(one.ok for one in answers) else Outcome.REFUSED, answers)
        if any(one.ok for one in answers):
            self._audit(asked.speaker, mine, answers, doing)
        said = ", ".join(f"/{one.word} {'was done' if one.ok else 'was refused'}" for one in answers)
        facts = {"pull": self.event.pull, "deployments": doing.made, "answers": [one.text for one in answers]}
        return Command(Reason.COMMAND, f"{self.event.author} commanded: {said}."), facts

    def _mine(self) -> tuple[commands.Command, ...]:
        """Commands for this app; for none at all, those that name an app that there is not."""
        slugs = self._slugs
        nobodys = self.app.slug == slugs[0]
        return tuple(
            one
            for one in self.event.commands
            if one.app in (None, self.app.slug) or (one.app not in slugs and nobodys)
        )

    def _ground(self, asked: _Asked) -> Ground:
        tx, event = self.change.tx, self.event
        if asked.pull is not None and newer(self._known_pull(), asked.pull) is asked.pull:
            pulls.keep(tx, self.app.id, asked.pull, self.change.now)
        return Ground(
            app=self.app,
            number=event.pull,
            policy=policy_from_json(apps.policy(tx, self.app.id)) or Policy(),
            pull=self._known_pull(),
            head=asked.head,
            siblings=self._slugs,
        )

    @property
    def _slugs(self) -> list[str]:
        return [one.slug for one in self.siblings]

    def _known_pull(self) -> PullRequest | None:
        return pulls.find(self.change.tx, self.app.id, self.event.repository.id, self.event.pull)

    def _explained_before(self) -> bool:
        """Whether somebody was told on this pull request already which commands there are."""
        place = Pull(self.event.repository.id, self.event.pull, [one.id for one in self.siblings])
        before = spoken.on_pull(self.change.tx, place)
        return any(answer.helps for one in before for answer in one.answers)

    def _remember(self, outcome: Outcome, answers: tuple[Said, ...] = ()) -> None:
        new = NewSpoken(
            app_id=self.app.id,
            delivery_id=self.delivery.id,
            repository_id=self.event.repository.id,
            number=self.event.pull,
            comment_id=self.event.comment,
            author=self.event.author,
            outcome=outcome,
            answers=answers,
        )
        self.spoke.append(spoken.add(self.change.tx, new, self.change.now))

    def _audit(
        self,
        speaker: Speaker,
        mine: tuple[commands.Command, ...],
        answers: tuple[Said, ...],
        doing: Commanding,
    ) -> None:
        for command, answer in zip(mine, answers, strict=True):
            if not answer.ok:
                continue
            after = {
                "comment": self.event.comment,
                "deployments": [reference(one) for one in doing.of(command)],
            }
            act = Act(
                action=f"command.{command.word}",
                actor=speaker.login,
                actor_key=speaker.key,
                origin=f"delivery {self.delivery.guid}",
                tenant_id=self.app.tenant_id,
                app_id=self.app.id,
                subject=f"pull request #{self.event.pull}",
                after=after,
            )
            audit.record(self.change.tx, act, self.change.now)


def _as_named(app: App, event: CommentEvent, delivery: Delivery) -> App:
    """The app with the name that GitHub says its repository has by now: the old one may be another's."""
    if delivery.verified_app_id is not None:
        return app
    return replace(app, repository=event.repository.full_name)


def _too_late(command: commands.Command) -> Said:
    hours = MAX_AGE // timedelta(hours=1)
    return Said(command.word, ok=False, text=f"That came more than {hours} h late; write it again.")
