"""Locks of environments: while there is one, every deployment to the place waits and says why."""

from dataclasses import dataclass
from datetime import datetime

from bot.change import Change
from bot.domain.deployment import Hold, Kind, State
from bot.domain.environment import Environment
from bot.errors import ErrorCode, UserError
from bot.lifecycle import Lifecycle
from bot.store import deployments, environments

MAX_REASON = 200
"""Characters of a reason that are kept."""


@dataclass(frozen=True)
class Locker:
    """Who locks and unlocks: by name, by an unmistakable key, and whether others' locks are theirs, too."""

    name: str
    key: str
    is_admin: bool

    def may_open(self, environment: Environment) -> bool:
        """Whether a lock of the environment, if there is one, does not bind them."""
        return environment.lock is None or self.is_admin or environment.lock_key == self.key


def lock(
    change: Change,
    environment: Environment,
    by: Locker,
    *,
    reason: str = "",
    until: datetime | None = None,
) -> Environment:
    """Lock an environment: what waits there goes on waiting, what runs may end.

    One's own lock is replaced. Raises `UserError` ENVIRONMENT_LOCKED when it is somebody else's.
    """
    present = environments.get(change.tx, environment.id)
    refuse(present, by)
    said = " ".join(reason.split())[:MAX_REASON]
    locked = environments.lock(change.tx, environment.id, by=by.name, key=by.key, reason=said, until=until)
    assert locked.lock is not None
    for one in deployments.unfinished(change.tx, environment.id):
        # A rollback that was asked for before is an emergency.
        if one.state is State.QUEUED and one.kind is Kind.BUILD:
            change.move(one, State.HELD, locked.lock, hold=Hold.LOCKED)
        elif one.hold is Hold.LOCKED:
            change.wait(one, Hold.LOCKED, locked.lock)
    _tell(change, locked)
    return locked


def unlock(lifecycle: Lifecycle, change: Change, environment: Environment, by: Locker | None) -> Environment:
    """Take a lock off; what waited for that goes on. Without `by` it has come to its end.

    Raises `UserError` ENVIRONMENT_LOCKED when it is somebody else's.
    """
    present = environments.get(change.tx, environment.id)
    if present.lock is None:
        return present
    if by is not None:
        refuse(present, by)
    unlocked = environments.unlock(change.tx, environment.id)
    reason = f"unlocked by {by.name}" if by is not None else "its lock has ended"
    for one in deployments.unfinished(change.tx, environment.id):
        if one.hold is Hold.LOCKED:
            lifecycle.go_on(change, one, reason)
    _tell(change, unlocked)
    return unlocked


def end_locks(lifecycle: Lifecycle, change: Change) -> list[Environment]:
    """Take off the locks that have come to their end."""
    return [unlock(lifecycle, change, one, None) for one in environments.locks_ended(change.tx, change.now)]


def refuse(environment: Environment, by: Locker) -> None:
    """Raise `UserError` ENVIRONMENT_LOCKED when somebody else's lock binds them."""
    if not by.may_open(environment):
        lock = str(environment.lock)
        raise UserError(ErrorCode.ENVIRONMENT_LOCKED, environment=environment.name, lock=lock)


def _tell(change: Change, environment: Environment) -> None:
    """Let the comment of a pull request say that its preview is locked, or is no more."""
    newest = deployments.newest(change.tx, environment.id) if environment.pull is not None else None
    if newest is not None and newest.id not in change.changed:
        change.touch(newest.id)
