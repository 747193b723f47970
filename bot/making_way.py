"""Which deployments of an environment make way for another one."""

from bot.change import Change
from bot.domain.deployment import Deployment, Hold, Kind, State
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import reference
from bot.store import deployments


def supersede(change: Change, environment: Environment, newest: Deployment) -> None:
    """Let older ones make way: those that wait, and in a preview those that run."""
    reason = f"superseded by {reference(newest.id)}"
    for older in deployments.unfinished(change.tx, environment.id):
        if older.id >= newest.id or older.kind is Kind.ROLLBACK:
            continue
        if older.state.is_waiting:
            change.move(older, State.SUPERSEDED, reason, superseded_by=newest.id)
        elif environment.kind is EnvironmentKind.PREVIEW and older.state is State.RUNNING:
            _replace_running(change, older, newest, reason)


def void_approvals(change: Change, environment: Environment, newest: Deployment) -> None:
    """Let what waits for somebody's word wait no more, once another commit is the head: it would be void."""
    reason = f"superseded by {reference(newest.id)}"
    for older in deployments.unfinished(change.tx, environment.id):
        if older.id < newest.id and older.hold is Hold.APPROVAL and older.sha != newest.sha:
            change.move(older, State.SUPERSEDED, reason, superseded_by=newest.id)


def make_way(change: Change, other: Deployment, rollback: Deployment) -> None:
    """Let another deployment make way for a rollback, which is urgent."""
    if other.id == rollback.id:
        return
    if other.kind is Kind.ROLLBACK and other.state.is_waiting:
        reason = f"superseded by {reference(rollback.id)}"
        change.move(other, State.SUPERSEDED, reason, superseded_by=rollback.id)
    elif other.state is State.QUEUED:
        change.move(other, State.HELD, rollback.reason, hold=Hold.PINNED)
    elif other.state is State.RUNNING:
        # Whoever rolls back has an emergency: it does not wait for a build.
        _replace_running(change, other, rollback, f"stopped for {reference(rollback.id)}, a rollback")


def _replace_running(change: Change, old: Deployment, new: Deployment, reason: str) -> None:
    change.move(old, State.CANCELLING, reason, cancel_requested=True, superseded_by=new.id)
