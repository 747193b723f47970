"""Events that deploy nothing by themselves: what others reported of commits, and what GitHub lets us see.

They are decided about for each app that they concern, like all others, and kept in the same ledger.
"""

from collections.abc import Callable
from dataclasses import dataclass

from bot import gates
from bot.change import Change
from bot.domain.app import Absence, App, moved_url
from bot.domain.audit import Act
from bot.domain.checks import CheckReport, CheckState, is_own, names
from bot.domain.deployment import Deployment, State
from bot.domain.environment import Environment
from bot.domain.ids import reference
from bot.intake.check_events import CheckEvent
from bot.intake.decide import decide_alone
from bot.intake.decision import Ignore, Note, Reason
from bot.intake.fields import Repository
from bot.intake.place_events import InstallationEvent, RepositoryEvent
from bot.lifecycle import Lifecycle
from bot.previews import learn_visibility, take_down
from bot.store import announcements, apps, audit, checks, deliveries, deployments, environments
from bot.store.deliveries import Delivery
from bot.store.engine import Tx, reading
from jobs.entitled import may_keep
from jobs.verdicts import log, stored

Aside = CheckEvent | InstallationEvent | RepositoryEvent

_OURS = ("rerequested", "requested_action")
_AWAY = {"suspend": Absence.SUSPENDED, "deleted": Absence.UNINSTALLED, "removed": Absence.REMOVED}
_BACK = {
    "unsuspend": (Absence.SUSPENDED,),
    "created": (Absence.UNINSTALLED, Absence.REMOVED, Absence.SUSPENDED),
    "added": (Absence.UNINSTALLED, Absence.REMOVED),
}
_WORDS = {CheckState.PENDING: "is not done", CheckState.PASSED: "passed", CheckState.FAILED: "failed"}


@dataclass(frozen=True)
class Who:
    """Who did something on GitHub, and what told of it."""

    name: str
    origin: str

    @classmethod
    def of(cls, delivery: Delivery, sender: str = "") -> "Who":
        """Who is behind a delivery."""
        return cls(sender or "GitHub", f"delivery {delivery.guid}")


@dataclass(frozen=True)
class _Case:
    """One app that a delivery concerns; `gone` collects the previews that are taken down."""

    change: Change
    app: App
    delivery: Delivery
    gone: list[Environment]


def leave_to_the_sweep(_thing: object) -> None:
    """Where nobody takes hostnames off the edge, or answers, at once, the sweep does."""


class Asides:
    """Decides about events that deploy nothing. `taken_down` and `has_sign_in` as for `Intake`."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        github_url: str,
        taken_down: Callable[[Environment], None] = leave_to_the_sweep,
        *,
        has_sign_in: Callable[[], bool] = lambda: False,
    ) -> None:
        self._lifecycle = lifecycle
        self._github_url = github_url
        self._taken_down = taken_down
        self._has_sign_in = has_sign_in

    def decide(self, delivery: Delivery, event: Aside, found: list[App]) -> None:
        """Remember and do what an event means for each app; `found` are those of its repository."""
        gone: list[Environment] = []
        decided: list[tuple[App, Ignore | Note]] = []
        if isinstance(event, InstallationEvent):
            with reading(self._lifecycle.engine) as tx:
                found = _covered(tx, event, delivery)
        with self._lifecycle.change() as change:
            if not deliveries.mark_decided(change.tx, delivery.id, change.now):
                return
            for app in found:
                decision = self._of(_Case(change, app, delivery, gone), event)
                decided.append((app, decision))
                deliveries.add_decision(change.tx, stored(delivery, app, decision, now=change.now))
            if not found:
                deliveries.add_decision(
                    change.tx, stored(delivery, None, decide_alone(event), now=change.now)
                )
        for environment in gone:
            self._taken_down(environment)
        log(delivery, decided)

    def hear(self, change: Change, app: App, full_name: str, delivery: Delivery, *, sender: str = "") -> None:
        """Follow the name that a delivery tells of an app's repository.

        Whoever knows an app's own secret could name any repository, and our sign-in would read that one. So
        where there is a sign-in, GitHub is asked for the name instead (`jobs/reconcile.py`).
        """
        if delivery.verified_app_id is None or not self._has_sign_in():
            self.follow(change, app, full_name, Who.of(delivery, sender))

    def follow(self, change: Change, app: App, full_name: str, who: Who) -> bool:
        """Let an app have the name that its repository has by now; whether that is another one."""
        if app.repository == full_name:
            return False
        url = moved_url(app.clone_url, app.repository, full_name, self._github_url)
        apps.rename(change.tx, app.id, full_name, url)
        _record(
            change,
            app,
            "app.renamed",
            who,
            before={"repository": app.repository},
            after={"repository": full_name},
        )
        return True

    def set_absence(self, change: Change, app: App, absence: Absence, who: Who) -> bool:
        """Switch an app off because of what happened on GitHub; False when a person did so before."""
        if not app.enabled and app.absence is None:
            return False
        apps.set_enabled(change.tx, app.id, enabled=False, absence=absence)
        if app.absence is not absence:
            _record(change, app, "app.disabled", who, after={"why": absence.value})
        return True

    def come_back(self, change: Change, app: App, of: tuple[Absence, ...], who: Who) -> bool:
        """Switch an app on again that was off for one of some reasons; whether it was."""
        if app.absence not in of:
            return False
        apps.set_enabled(change.tx, app.id, enabled=True)
        announcements.hurry(change.tx, app.id)
        _record(change, app, "app.enabled", who, before={"why": str(app.absence)})
        return True

    def _of(self, case: _Case, event: Aside) -> Ignore | Note:
        learn_visibility(case.change, case.app, _visibility(event, case.app))
        match event:
            case CheckEvent():
                return _reported(case.change, event, case.app)
            case InstallationEvent():
                return self._installation(case, event)
            case RepositoryEvent():
                return self._repository(case, event)

    def _installation(self, case: _Case, event: InstallationEvent) -> Note:
        change, app, who = case.change, case.app, Who.of(case.delivery, event.sender)
        action = _action_for(event, app)
        if action in _AWAY:
            return self._away(change, app, _AWAY[action], who)
        number = next((one.id for one in event.added if _is_of(app, one)), app.repository_id)
        if number is not None:
            by = event.installation_id if may_keep(change.tx, app, event.installation_id) else None
            apps.pin_repository(change.tx, app.id, number, by)
        return self._back(change, app, _BACK[action], who)

    def _repository(self, case: _Case, event: RepositoryEvent) -> Note:
        change, app, who = case.change, case.app, Who.of(case.delivery, event.sender)
        name = event.repository.full_name
        match event.action:
            case "renamed" | "transferred":
                by = event.installation_id if may_keep(change.tx, app, event.installation_id) else None
                apps.pin_repository(change.tx, app.id, event.repository.id, by)
                self.hear(change, app, name, case.delivery, sender=event.sender)
                return Note(Reason.REPOSITORY_MOVED, f"The repository of {app.slug} is {name} by now.")
            case "deleted":
                case.gone.extend(_end(change, app))
                return self._away(change, app, Absence.DELETED, who)
            case "archived":
                return self._away(change, app, Absence.ARCHIVED, who)
            case "unarchived":
                return self._back(change, app, (Absence.ARCHIVED,), who)
            case _:
                what = f"{name} was {event.action}: who may see previews of {app.slug} follows its rules."
                return Note(Reason.VISIBILITY_LEARNED, what)

    def _away(self, change: Change, app: App, absence: Absence, who: Who) -> Note:
        done = self.set_absence(change, app, absence, who)
        what = "deploys wait until that has passed" if done else "a person had switched deploys off before"
        return Note(Reason.APP_AWAY, f"{absence.sentence} {app.slug} stays served; {what}.")

    def _back(self, change: Change, app: App, of: tuple[Absence, ...], who: Who) -> Note:
        if self.come_back(change, app, of, who):
            return Note(Reason.APP_BACK, f"GitHub lets {app.slug} be deployed again.")
        return Note(Reason.APP_BACK, f"GitHub lets {app.slug} be deployed; nothing had kept it back.")


def _reported(change: Change, event: CheckEvent, app: App) -> Ignore | Note:
    check, sha = event.check, event.sha[:7]
    if event.action in _OURS:
        text = "Slipway makes no check runs of its own, so there is nothing to run again."
        return Ignore(Reason.CHECKS_NOT_OURS, text)
    if not event.is_news:
        return Ignore(Reason.CHECK_UNUSED, "Only what came of a check counts, not that it began.")
    if check is not None and is_own(check.name):
        return Ignore(Reason.CHECK_UNUSED, "Slipway's own statuses count for nothing.")
    concerned = [
        one
        for one in checks.concerned(change.tx, app.id, event.sha)
        if _needs(change.tx, one, check and check.name)
    ]
    if check is not None and (concerned or _may_need(change.tx, app, check.name)):
        checks.keep(change.tx, app.id, CheckReport(event.sha, check), change.now)
    what = (
        f"'{check.name}' {_WORDS[check.state]} for {sha}" if check else f"A suite of checks ended for {sha}"
    )
    if not concerned:
        return Ignore(Reason.CHECK_UNUSED, f"{what}; no deployment of {app.slug} waits for it.")
    change.waiting |= {one.id for one in concerned}
    who = ", ".join(reference(one.id) for one in concerned)
    return Note(Reason.CHECK_REPORTED, f"{what}: {who} looks whether it may go on.")


def _needs(tx: Tx, deployment: Deployment, check: str | None) -> bool:
    environment = environments.get(tx, deployment.environment_id)
    wanted = gates.checks_for(tx, deployment.app_id, environment.name)
    return wanted is not None and (check is None or names(check, wanted.require))


def _may_need(tx: Tx, app: App, check: str) -> bool:
    """Whether a deployment that is yet to come may wait for a check. Unknown rules may name any."""
    required = gates.all_checks(tx, app.id)
    return required is None or names(check, required)


def _covered(tx: Tx, event: InstallationEvent, delivery: Delivery) -> list[App]:
    """The apps that an installation's event is about."""
    found = [
        app for one in (*event.added, *event.removed) for app in apps.of_repository(tx, one.id, one.full_name)
    ]
    if event.action in ("suspend", "unsuspend", "deleted"):
        found += apps.of_installation(tx, event.installation_id)
    only = delivery.verified_app_id
    return list({app.id: app for app in found if only is None or app.id == only}.values())


def _action_for(event: InstallationEvent, app: App) -> str:
    if event.action in ("added", "removed"):
        return "added" if any(_is_of(app, one) for one in event.added) else "removed"
    return event.action


def _visibility(event: Aside, app: App) -> bool | None:
    """Whether an event says that an app's repository is private; None: it does not say."""
    match event:
        case RepositoryEvent():
            return event.repository.private
        case InstallationEvent():
            return next((one.private for one in event.added if _is_of(app, one)), None)
        case CheckEvent():
            return None


def _is_of(app: App, repository: Repository) -> bool:
    if app.repository_id is not None:
        return app.repository_id == repository.id
    return app.repository.lower() == repository.full_name.lower()


def _end(change: Change, app: App) -> list[Environment]:
    """Take down the previews of a repository that is gone, and cancel what waits; production stays served."""
    reason = "the repository was deleted"
    gone = [
        down for one in environments.previews(change.tx, app.id) if (down := take_down(change, one, reason))
    ]
    for environment in environments.of_apps(change.tx, [app.id]):
        for deployment in deployments.unfinished(change.tx, environment.id):
            if deployment.state.is_waiting:
                change.move(deployment, State.CANCELLED, reason)
    return gone


def _record(change: Change, app: App, action: str, who: Who, **sides: dict[str, str]) -> None:
    act = Act(
        action=action,
        actor=who.name,
        actor_key=f"github:{who.name}",
        origin=who.origin,
        tenant_id=app.tenant_id,
        app_id=app.id,
        subject=f"app {app.slug}",
        **sides,
    )
    audit.record(change.tx, act, change.now)
