"""Windows in which nothing is deployed: while one lasts, its environment is locked."""

from bot.change import Change
from bot.domain.environment import Environment
from bot.domain.freeze import Freeze
from bot.lifecycle import Lifecycle
from bot.locks import Locker, lock, unlock
from bot.store import environments, freezes


def begin_due(change: Change) -> list[Environment]:
    """Lock the environments whose windows begin, and forget the windows that have ended.

    A lock that lasts as long stays as it is; what takes it off before ends the window, too.
    """
    freezes.remove_ended(change.tx, change.now)
    locked: list[Environment] = []
    for one in freezes.due(change.tx, change.now):
        freezes.begin(change.tx, one.id, change.now)
        there = environments.get(change.tx, one.environment_id)
        if there.archived_at is None and not _outlasts(there, one):
            locked.append(lock(change, there, _locker(one), reason=one.reason, until=one.ends_at))
    return locked


def give_up(lifecycle: Lifecycle, change: Change, one: Freeze) -> None:
    """Take a window away, with its lock where it has begun."""
    freezes.remove(change.tx, one.id)
    there = environments.get(change.tx, one.environment_id)
    if there.lock_key == one.key:
        unlock(lifecycle, change, there, _locker(one))


def _outlasts(environment: Environment, one: Freeze) -> bool:
    if environment.lock is None:
        return False
    return environment.lock_until is None or environment.lock_until >= one.ends_at


def _locker(one: Freeze) -> Locker:
    return Locker(one.created_by, one.key, is_admin=True)
