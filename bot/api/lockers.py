"""Callers of the API, as locks know people."""

from bot.api.operation import Call
from bot.domain.roles import Principal, Verb
from bot.locks import Locker


def locker(call: Call) -> Locker:
    """The caller, as locks know people."""
    one = call.principal
    return Locker(one.name, _key(one), is_admin=Verb.CONFIGURE in one.verbs)


def _key(one: Principal) -> str:
    # A person's lock is theirs whichever token they hold.
    return f"user:{one.user_id}" if one.user_id is not None else one.key
