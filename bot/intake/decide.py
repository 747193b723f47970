"""What an event means for one app, and why: the rules. Pure."""

from collections.abc import Sequence
from typing import assert_never

from bot.domain.app import App
from bot.domain.checks import listed
from bot.domain.deployment import Commit
from bot.domain.environment import PRODUCTION
from bot.intake.check_events import CheckEvent
from bot.intake.comment_events import CommentEvent
from bot.intake.decision import Decision, Deploy, Facts, Ignore, Reason, Skip, Target
from bot.intake.events import Event, PushEvent, Unusable, Unused
from bot.intake.paths import Scope, touches
from bot.intake.place_events import InstallationEvent, RepositoryEvent
from bot.intake.pull_events import PullEvent
from bot.intake.recipe_file import SKIP_MARKERS, Policy

MAX_MESSAGE = 4000
"""Characters of a commit's message that are kept."""


def decide(event: Event, app: App, facts: Facts) -> Decision:
    """What an event means for an app of its repository; `decide_pull` knows about pull requests."""
    match event:
        case PushEvent():
            return _push(event, app, facts)
        case _:
            return decide_alone(event)


def decide_alone(event: Event) -> Ignore:
    """What an event means that concerns no app."""
    match event:
        case PushEvent() | PullEvent() | CommentEvent() | CheckEvent() | RepositoryEvent():
            name = event.repository.full_name
            return Ignore(Reason.UNKNOWN_REPOSITORY, f"No app is made from {name}.")
        case InstallationEvent():
            return Ignore(Reason.UNKNOWN_INSTALLATION, "No app is made from a repository that it covers.")
        case Unused():
            return Ignore(Reason.EVENT_UNUSED, f"Slipway does not act on '{event.event}' events.")
        case Unusable():
            text = f"The payload of this '{event.event}' event can't be used: {event.reason}."
            return Ignore(Reason.PAYLOAD_UNUSABLE, text)
        case _:
            assert_never(event)


def asks_for_policy(event: Event, app: App) -> bool:
    """Whether the decision depends on the policy."""
    return isinstance(event, PushEvent) and event.branch is not None and app.enabled


def asks_for_changes(event: Event, app: App, policy: Policy) -> bool:
    """Whether the decision depends on which files changed."""
    if not isinstance(event, PushEvent) or event.branch is None or event.deleted or not app.enabled:
        return False
    has_rules = bool(policy.paths or app.root_directory)
    return has_rules and bool(_targets(event.branch, app, policy)) and _marker(event, policy) is None


def is_deployed(branch: str, app: App, policy: Policy) -> bool:
    """Whether a branch is brought into an environment of an app."""
    return bool(_targets(branch, app, policy))


def _push(event: PushEvent, app: App, facts: Facts) -> Decision:
    if not app.enabled:
        return Ignore(Reason.APP_DISABLED, app.off_reason)
    if event.tag is not None:
        return Ignore(Reason.TAG, f"Tags are not deployed ({event.tag}).")
    if event.branch is None:
        return Ignore(Reason.REF_UNUSED, f"Only branches are deployed, not {event.ref}.")
    targets = _targets(event.branch, app, facts.policy)
    if not targets:
        return _unused_branch(event.branch, app, facts.policy)
    if event.after is None:
        return _deleted(event.branch, targets)
    head = event.head
    message, author = (head.message, head.author) if head else ("", "")
    commit = Commit(event.after, message[:MAX_MESSAGE], author or event.pusher)
    return _commit(event, app, facts, targets=targets, commit=commit)


def _commit(
    event: PushEvent, app: App, facts: Facts, *, targets: tuple[Target, ...], commit: Commit
) -> Decision:
    marker = _marker(event, facts.policy)
    if marker is not None:
        return Skip(targets, commit, Reason.SKIP_MARKER, f"Skipped: the commit's message says {marker}.")
    changed = None if event.forced or event.created else facts.changed
    because = ""
    scope = facts.scope or Scope(app.root_directory)
    if facts.policy.paths or scope.root:
        verdict = touches(facts.policy.paths, scope, changed)
        if not verdict.touches:
            text = f"Skipped: no changed file concerns {app.slug} (such as {verdict.file}: {verdict.rule})."
            return Skip(targets, commit, Reason.PATHS_UNTOUCHED, text)
        because = f"; {verdict.file} changed: {verdict.rule}" if verdict.file else ""
    by_production = targets[0].name == PRODUCTION
    code = Reason.PRODUCTION_BRANCH if by_production else Reason.MAPPED_BRANCH
    return Deploy(targets, commit, code, f"{_pushed(event, targets)}{because}{waits(targets, facts.policy)}.")


def _targets(branch: str, app: App, policy: Policy) -> tuple[Target, ...]:
    production = (Target(PRODUCTION, branch),) if branch == app.production_branch else ()
    mapped = (Target(name, branch) for name, named in policy.environments.items() if named == branch)
    return (*production, *mapped)


def waits(targets: Sequence[Target], policy: Policy) -> str:
    """What deployments wait for, as the end of a sentence; nothing where no checks are required."""
    wanted = {one.name: checks for one in targets if (checks := policy.checks_for(one.name))}
    said = [f"{name} waits for {listed(checks.require)}" for name, checks in wanted.items()]
    return f"; {' and '.join(said)}" if said else ""


def _pushed(event: PushEvent, targets: Sequence[Target]) -> str:
    rules = [
        "the production branch" if one.name == PRODUCTION else f"which environments.{one.name} names"
        for one in targets
    ]
    how = "Force-pushed" if event.forced else "Pushed"
    return f"{how} to {event.branch}, {' and '.join(rules)}"


def _unused_branch(branch: str, app: App, policy: Policy) -> Ignore:
    known = [app.production_branch, *policy.environments.values()]
    text = f"{branch} is not deployed; these branches are: {', '.join(dict.fromkeys(known))}."
    return Ignore(Reason.BRANCH_UNUSED, text)


def _deleted(branch: str, targets: Sequence[Target]) -> Ignore:
    names = " and ".join(target.name for target in targets)
    text = f"{branch} was deleted; {names} keeps what is live."
    return Ignore(Reason.BRANCH_DELETED, text)


def _marker(event: PushEvent, policy: Policy) -> str | None:
    return skip_marker(event.head.message, policy.skip_markers) if event.head else None


def skip_marker(message: str, markers: Sequence[str] = SKIP_MARKERS) -> str | None:
    """The words of a commit's message that ask to skip it, such as `[skip ci]`, as it writes them."""
    low = message.lower()
    places = [(at, at + len(marker)) for marker in markers if (at := low.find(marker.lower())) >= 0]
    first = min(places, default=None)
    return message[slice(*first)] if first else None
