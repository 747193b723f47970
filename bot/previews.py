"""The life of previews: asleep when unused, taken down when unwanted, kept to a number and an age.

Each is one transaction on the store; whoever commits it brings the edge in step, and the sweep does so
where that was not done.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from bot.change import Change
from bot.domain.app import App
from bot.domain.deployment import State
from bot.domain.environment import Environment
from bot.domain.ids import AppId, EnvironmentId
from bot.domain.protection import Protection, effective
from bot.domain.pull import PullRequest
from bot.intake.recipe import policy_from_json
from bot.intake.recipe_file import Policy, Previews
from bot.orders import is_of_fork
from bot.store import apps, deployments, environments, pulls, share_links
from bot.store.engine import Tx

LONGEST_EXTENSION = timedelta(days=90)
"""How far ahead somebody may put a preview's end."""


def take_down(change: Change, environment: Environment, reason: str) -> Environment | None:
    """Take an environment down: what waits there is cancelled, what runs is asked to stop.

    The environment as it is then; None when it was down already.
    """
    if environments.get(change.tx, environment.id).archived_at is not None:
        return None
    archived = change.archive(environment, reason)
    for deployment in deployments.unfinished(change.tx, environment.id):
        if deployment.state.is_waiting:
            change.move(deployment, State.CANCELLED, reason, hold=None)
        elif deployment.state is State.RUNNING:
            change.move(deployment, State.CANCELLING, reason, cancel_requested=True)
    if archived.active_deployment_id is not None:
        # GitHub shows it as live, and is to be told otherwise.
        change.touch(archived.active_deployment_id)
    return archived


def make_room(change: Change, app: App, limit: int, keep: EnvironmentId | None = None) -> list[Environment]:
    """Take down an app's longest unused previews beyond its limit, but not `keep`; those taken down.

    Those of forks go first, and make none of the app's own go: strangers can open any number.
    """
    there = [one for one in environments.previews(change.tx, app.id) if one.born_at is not None]
    # Those that somebody gave an end of their own go last.
    there.sort(key=lambda one: one.expires_at is not None)
    surplus = max(0, len(there) - limit)
    if not surplus:
        return []
    forks = {one.id for one in there if is_of_fork(change.tx, app, one.pull)}
    others = sorted((one for one in there if one.id != keep), key=lambda one: one.id not in forks)
    longest = [one for one in others[:surplus] if keep not in forks or one.id in forks]
    reason = f"made room: {app.slug} may have {limit} previews, and this one was unused longest"
    return [gone for one in longest if (gone := take_down(change, one, reason))]


def tidy(change: Change) -> list[Environment]:
    """Take down previews that are too old, too many, or whose pull request is closed; those taken down."""
    environments.meet_clock(change.tx, change.now)
    there: dict[AppId, list[Environment]] = {}
    for one in environments.previews(change.tx):
        there.setdefault(one.app_id, []).append(one)
    shown = [app for app in apps.all_apps(change.tx) if app.id in there]
    return [gone for app in shown for gone in _tidy_app(change, app, there[app.id])]


def nap(change: Change) -> list[Environment]:
    """Let previews sleep that nobody pushed to or visited for as long as their app's rules say; those."""
    awake = [
        one
        for one in environments.previews(change.tx)
        if one.active_release_id is not None and one.asleep_at is None
    ]
    policies = apps.policies(change.tx, {one.app_id for one in awake})
    rules = {app: (policy_from_json(found) or Policy()).previews for app, found in policies.items()}
    return [
        environments.sleep(change.tx, one.id, change.now)
        for one in awake
        if _is_idle(change, one, rules[one.app_id].idle_after)
    ]


def _is_idle(change: Change, environment: Environment, idle: timedelta) -> bool:
    used = environment.used_at or environment.born_at or change.now
    return used + idle <= change.now and not deployments.unfinished(change.tx, environment.id)


def wake(change: Change, environment: Environment) -> None:
    """Let a preview that sleeps be laid out again, as a visit does."""
    environments.use(change.tx, environment.id, change.now)
    change.reroutes = True


def extend(change: Change, environment: Environment, life: timedelta) -> Environment:
    """Put a preview's end to so long from now, be that later or earlier than its app's rules say."""
    later = environments.expire_at(change.tx, environment.id, change.now + min(life, LONGEST_EXTENSION))
    if later.active_deployment_id is not None:
        change.touch(later.active_deployment_id)
    return later


def protection_changed(change: Change, app: App) -> None:
    """Let the edge and the comments follow what was changed about who may see an app's previews."""
    change.reroutes = True
    for one in environments.previews(change.tx, app.id):
        if one.active_deployment_id is not None:
            change.touch(one.active_deployment_id)


def end_of(environment: Environment, rules: Previews) -> datetime | None:
    """When a preview is taken down at the latest; None for one that has never lived."""
    if environment.expires_at is not None:
        return environment.expires_at
    return environment.born_at + rules.gone_after if environment.born_at is not None else None


def rules_of(tx: Tx, app: App) -> Previews:
    """What an app's policy says of previews."""
    return (policy_from_json(apps.policy(tx, app.id)) or Policy()).previews


def protection_of(tx: Tx, app: App) -> Protection:
    """Who may see an app's previews."""
    return effective(app.protection, rules_of(tx, app).protection, app.private)


def learn_visibility(change: Change, app: App, private: bool | None) -> None:
    """Remember whether an app's repository is private; None: nobody said so.

    Links that stand in comments end when strangers can read those.
    """
    if private is None or private == app.private:
        return
    apps.set_private(change.tx, app.id, private=private)
    if not private:
        share_links.revoke_of_comments(change.tx, app.id, change.now)
    protection_changed(change, app)


def closing(pull: PullRequest) -> str:
    """Why the preview of a closed pull request is taken down."""
    return f"{pull.name} was {'merged' if pull.merged else 'closed'}"


def _tidy_app(change: Change, app: App, there: Sequence[Environment]) -> list[Environment]:
    rules = rules_of(change.tx, app)
    found = [(one, _fate(change, app, one, rules)) for one in there]
    gone = [down for one, why in found if why and (down := take_down(change, one, why))]
    return [*gone, *make_room(change, app, rules.limit)]


def _fate(change: Change, app: App, environment: Environment, rules: Previews) -> str | None:
    if environment.pull is not None:
        pull = pulls.of_app(change.tx, app, environment.pull)
        if pull is not None and not pull.is_open:
            return closing(pull)
    end = end_of(environment, rules)
    if end is None or end > change.now:
        return None
    if environment.expires_at is not None:
        return "its time is over, as somebody set it"
    return f"it is older than {rules.max_age}, the most that a preview may be"
