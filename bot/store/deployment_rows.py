"""Deployments from the values of their columns."""

from enum import StrEnum
from typing import Any

from bot.domain.deployment import Blame, Deployment, Failure, Hold, Kind, Phase, State, Trigger

# By a look instead of a call each: lists have many.
_WORDS: dict[str, dict[str | None, StrEnum | None]] = {
    "kind": {one.value: one for one in Kind},
    "trigger": {one.value: one for one in Trigger},
    "state": {one.value: one for one in State},
    "phase": {None: None, **{one.value: one for one in Phase}},
    "hold": {None: None, **{one.value: one for one in Hold}},
}


def deployment_of(values: dict[str, Any]) -> Deployment:
    """A deployment from the values of its columns."""
    for name, members in _WORDS.items():
        values[name] = members[values[name]]
    values["failure"] = _failure(values["failure"]) if values["failure"] else None
    return Deployment(**values)


def _failure(stored: dict[str, Any]) -> Failure:
    return Failure(stored["code"], stored["facts"], Blame(stored["blame"]))
