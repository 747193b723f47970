"""The life of previews: taken down when nobody wants them, and kept to a number and an age.

Taking down is one transaction on the store; whoever commits it takes the hostnames off the edge, and
the sweep does so where that was not done.
"""

from datetime import datetime, timedelta

from bot.change import Change
from bot.domain.app import App
from bot.domain.deployment import State
from bot.domain.environment import Environment
from bot.domain.ids import EnvironmentId
from bot.domain.pull import PullRequest
from bot.intake.recipe import policy_from_json
from bot.intake.recipe_file import Policy, Previews
from bot.orders import is_of_fork
from bot.store import apps, deployments, environments, pulls

MAX_TTL = timedelta(days=90)
"""Longest life that anybody can give a preview, from that moment on."""


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
    there.sort(key=lambda one: one.kept_until is not None)
    surplus = max(0, len(there) - limit)
    if not surplus:
        return []
    forks = {one.id for one in there if is_of_fork(change.tx, app, one.pull)}
    others = sorted((one for one in there if one.id != keep), key=lambda one: one.id not in forks)
    longest = [one for one in others[:surplus] if keep not in forks or one.id in forks]
    reason = f"made room: {app.slug} may have {limit} previews, and this one was unused longest"
    return [gone for one in longest if (gone := take_down(change, one, reason))]


def keep(change: Change, environment: Environment, length: timedelta) -> datetime:
    """Give a preview another length of life, from now on and `MAX_TTL` at most; its end then."""
    until = change.now + min(length, MAX_TTL)
    environments.keep(change.tx, environment.id, until)
    return until


def tidy(change: Change) -> list[Environment]:
    """Take down previews that are too old, too many, or whose pull request is closed; those taken down."""
    return [gone for app in apps.all_apps(change.tx) for gone in _tidy_app(change, app)]


def closing(pull: PullRequest) -> str:
    """Why the preview of a closed pull request is taken down."""
    return f"{pull.name} was {'merged' if pull.merged else 'closed'}"


def _tidy_app(change: Change, app: App) -> list[Environment]:
    there = environments.previews(change.tx, app.id)
    if not there:
        return []
    rules = _rules(change, app)
    found = [(one, _fate(change, app, one, rules)) for one in there]
    gone = [down for one, why in found if why and (down := take_down(change, one, why))]
    return [*gone, *make_room(change, app, rules.limit)]


def _fate(change: Change, app: App, environment: Environment, rules: Previews) -> str | None:
    if environment.pull is not None and app.repository_id is not None:
        pull = pulls.find(change.tx, app.repository_id, environment.pull)
        if pull is not None and not pull.is_open:
            return closing(pull)
    if environment.kept_until is not None:
        return "its time is over" if environment.kept_until <= change.now else None
    if environment.born_at is not None and environment.born_at + rules.gone_after <= change.now:
        return f"it is older than {rules.max_age}, the most that a preview may be"
    return None


def _rules(change: Change, app: App) -> Previews:
    return (policy_from_json(apps.policy(change.tx, app.id)) or Policy()).previews
