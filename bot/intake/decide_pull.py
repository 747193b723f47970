"""What an event of a pull request means for one app, and why: the rules. Pure.

They go by the newest facts that are known, not by what the event says: deliveries come late and out of
order. The event itself matters only where it is about a label or an edit that changes nothing here.
No sentence holds a title or a branch's name, which are a stranger's words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.domain.pull import PullRequest, preview_name
from bot.intake.decide import MAX_MESSAGE, skip_marker, waits
from bot.intake.decision import Decision, Deploy, Hold, Ignore, Reason, Skip, Target, TearDown
from bot.intake.paths import Scope, touches
from bot.intake.pull_events import PullAction, PullEvent
from bot.intake.recipe_file import Policy, Previews

_WORDS = {
    PullAction.OPENED: "was opened",
    PullAction.SYNCHRONIZE: "has new commits",
    PullAction.REOPENED: "was reopened",
    PullAction.CLOSED: "was closed",
    PullAction.LABELED: "was labelled",
    PullAction.UNLABELED: "lost a label",
    PullAction.READY: "is ready for review",
    PullAction.DRAFTED: "was made a draft",
    PullAction.EDITED: "was edited",
}


@dataclass(frozen=True)
class PullFacts:
    """What is true now. `pull.head_sha` is the head as git has it, `message` that commit's.

    `changed` are the files that differ from where the branch left its base; None means unknown.
    `scope` is where the app's sources are; None: in its root directory.
    `has_preview`: a preview is there that is not taken down.
    """

    policy: Policy
    pull: PullRequest
    message: str
    changed: Sequence[str] | None
    has_preview: bool
    scope: Scope | None = None


def decide_pull(event: PullEvent, app: App, facts: PullFacts) -> Decision:
    """What an event of a pull request means for an app of its repository. Never raises."""
    pull = facts.pull
    if not pull.is_open:
        return _closed(facts)
    if not app.enabled:
        return Ignore(Reason.APP_DISABLED, app.off_reason)
    return _unconcerned(event, facts) or _unwanted(facts) or _wanted(event, app, facts)


def asks_for_git(pull: PullRequest, app: App) -> bool:
    """Whether the decision depends on the policy and on the repository's content."""
    return pull.is_open and app.enabled


def asks_for_changes(app: App, policy: Policy) -> bool:
    """Whether the decision depends on which files the pull request changes."""
    return bool(policy.paths or app.root_directory)


def marker_of(pull: PullRequest, message: str, policy: Policy) -> str | None:
    """The words of the title or of the head commit that ask to skip it."""
    markers = policy.skip_markers
    return skip_marker(pull.title, markers) or skip_marker(message, markers)


def _closed(facts: PullFacts) -> Decision:
    pull = facts.pull
    how = "merged" if pull.merged else "closed"
    if facts.has_preview:
        return TearDown(pull.number, Reason.PULL_CLOSED, f"{pull.name} was {how}: its preview is taken down.")
    return Ignore(Reason.PULL_CLOSED, f"{pull.name} was {how}; it has no preview.")


def _unconcerned(event: PullEvent, facts: PullFacts) -> Ignore | None:
    previews, name = facts.policy.previews, facts.pull.name
    match event.action:
        case PullAction.LABELED | PullAction.UNLABELED:
            if not event.label or event.label in (previews.only_label, previews.skip_label):
                return None
            return Ignore(Reason.LABEL_UNUSED, f"That label of {name} has no meaning here.")
        case PullAction.EDITED:
            markers = facts.policy.skip_markers
            before = skip_marker(event.old_title, markers) if event.old_title is not None else None
            retitled = event.old_title is not None and before != skip_marker(facts.pull.title, markers)
            if event.new_base or retitled:
                return None
            return Ignore(Reason.EDIT_UNUSED, f"The edit of {name} changes nothing that is deployed.")
        case _:
            return None


def _unwanted(facts: PullFacts) -> Decision | None:
    """No preview at all: one that is there goes."""
    pull, previews = facts.pull, facts.policy.previews
    found = _objection(pull, previews)
    if found is None:
        return None
    code, why = found
    if facts.has_preview:
        return TearDown(pull.number, code, f"The preview of {pull.name} is taken down: {why}.")
    if code is not Reason.PREVIEWS_OFF:
        # A branch's rules may require our status of every pull request.
        return _skip(facts, code, why)
    return Ignore(code, f"{pull.name} gets no preview: {why}.")


def _objection(pull: PullRequest, previews: Previews) -> tuple[Reason, str] | None:
    if not previews.enabled:
        return Reason.PREVIEWS_OFF, "previews are switched off"
    bases = previews.base_branches
    if bases and not any(fnmatchcase(pull.base_branch, one) for one in bases):
        return Reason.BASE_UNUSED, "pull requests into that branch are not deployed"
    if previews.only_label is not None and previews.only_label not in pull.labels:
        return Reason.LABEL_MISSING, f"it has no label '{previews.only_label}'"
    if previews.skip_label is not None and previews.skip_label in pull.labels:
        return Reason.LABEL_SKIPS, f"it has the label '{previews.skip_label}'"
    return None


def _wanted(event: PullEvent, app: App, facts: PullFacts) -> Decision:
    pull, policy = facts.pull, facts.policy
    if pull.draft and policy.previews.drafts == "wait":
        return _skip(facts, Reason.DRAFT, f"{pull.name} is a draft")
    if pull.by_bot and policy.previews.bots == "skip":
        return _skip(facts, Reason.BOT, "pull requests of bots are not deployed")
    marker = marker_of(pull, facts.message, policy)
    if marker is not None:
        return _skip(facts, Reason.SKIP_MARKER, f"the title or the commit's message says {marker}")
    scope = facts.scope or Scope(app.root_directory)
    if policy.paths or scope.root:
        verdict = touches(policy.paths, scope, facts.changed)
        if not verdict.touches:
            return _skip(facts, Reason.PATHS_UNTOUCHED, f"no changed file concerns {app.slug}")
    return _allowed(event, facts)


def _allowed(event: PullEvent, facts: PullFacts) -> Decision:
    pull, previews = facts.pull, facts.policy.previews
    if pull.is_fork:
        gone = pull.head_repository_id is None
        origin = "it comes from a fork that is gone" if gone else "it comes from a fork"
        if previews.forks == "off":
            return _skip(facts, Reason.FORK, origin)
        if previews.forks == "sandboxed":
            sentence = f"{pull.name} {_WORDS[event.action]}; {origin}, so it is built without any secrets."
            return Deploy(_targets(pull), _commit(pull, facts.message), Reason.FORK, sentence)
        return Hold(_targets(pull), _commit(pull, facts.message), Reason.FORK, origin)
    if pull.by_bot and previews.bots == "wait":
        return Hold(_targets(pull), _commit(pull, facts.message), Reason.BOT, "it is a bot's")
    sentence = f"{pull.name} {_WORDS[event.action]}{waits(_targets(pull), facts.policy)}."
    return Deploy(_targets(pull), _commit(pull, facts.message), Reason.PULL_REQUEST, sentence)


def _skip(facts: PullFacts, code: Reason, why: str) -> Skip:
    pull = facts.pull
    return Skip(_targets(pull), _commit(pull, facts.message), code, f"Skipped: {why}.")


def _targets(pull: PullRequest) -> tuple[Target, ...]:
    return (Target(preview_name(pull.number), pull.head_branch, pull.number),)


def _commit(pull: PullRequest, message: str) -> Commit:
    return Commit(pull.head_sha, message[:MAX_MESSAGE], pull.author)
