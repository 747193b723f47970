"""Checks of a commit: what others, such as a CI, reported of it, and what that means for who waits."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from bot.domain.ids import Sha

OWN_PREFIX = "slipway/"
"""How the contexts of our own statuses begin: nothing waits for what it says itself."""
_NAMED = 3


class CheckKind(StrEnum):
    """How a check is reported: as a run (the Checks API) or as a commit status."""

    RUN = "run"
    STATUS = "status"


class CheckState(StrEnum):
    """What a check says."""

    PENDING = "pending"
    PASSED = "passed"
    FAILED = "failed"


@dataclass(frozen=True)
class Check:
    """One report. Of reports of one kind and name, that with the highest `number` (GitHub's id) counts."""

    kind: CheckKind
    name: str
    state: CheckState
    number: int


@dataclass(frozen=True)
class CheckReport:
    """A report of a commit."""

    sha: Sha
    check: Check


@dataclass(frozen=True)
class Verdict:
    """What reports say to who waits: the names that failed, and those that did not pass yet."""

    failed: tuple[str, ...]
    missing: tuple[str, ...]


# https://docs.github.com/rest/checks/runs: a run that was skipped, or is neutral, does not stand in the way.
_PASSED = frozenset({"success", "neutral", "skipped"})


def state_of_run(status: str, conclusion: str | None) -> CheckState:
    """What a check run says."""
    if status != "completed" or not conclusion:
        return CheckState.PENDING
    return CheckState.PASSED if conclusion in _PASSED else CheckState.FAILED


def state_of_status(state: str) -> CheckState:
    """What a commit status says."""
    if state == "success":
        return CheckState.PASSED
    return CheckState.FAILED if state in ("failure", "error") else CheckState.PENDING


def is_own(name: str) -> bool:
    """Whether a name is one of our own statuses'."""
    return name.lower().startswith(OWN_PREFIX)


def names(check: str, required: Iterable[str]) -> bool:
    """Whether a check is one of those required. GitHub's contexts know no case."""
    return check.casefold() in {one.casefold() for one in required}


def verdict(required: Sequence[str], found: Iterable[Check]) -> Verdict:
    """What the reports mean. A run and a status of one name both count; of each, the latest alone."""
    latest: dict[tuple[str, CheckKind], Check] = {}
    for check in found:
        key = (check.name.casefold(), check.kind)
        known = latest.get(key)
        if not is_own(check.name) and (known is None or check.number >= known.number):
            latest[key] = check
    said = {
        name: [one.state for (low, _), one in latest.items() if low == name.casefold()] for name in required
    }
    failed = tuple(name for name, states in said.items() if CheckState.FAILED in states)
    missing = (name for name, states in said.items() if not states or CheckState.PENDING in states)
    return Verdict(failed, tuple(name for name in missing if name not in failed))


def listed(required: Sequence[str]) -> str:
    """Names in a sentence: `'test' and 'lint'`; of many, the first and how many more."""
    quoted = [f"'{one}'" for one in required[:_NAMED]]
    rest = len(required) - len(quoted)
    if rest:
        quoted.append(f"{rest} more")
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} and {quoted[-1]}"


def waiting_for(required: Sequence[str]) -> str:
    """Why a deployment is held."""
    return f"waiting for {listed(required)}"


def timed_out(missing: Sequence[str], patience: timedelta, trouble: str = "") -> str:
    """Why a deployment that waited in vain is not made."""
    hours, minutes = divmod(int(patience.total_seconds()) // 60, 60)
    length = " ".join(
        part for part in (f"{hours} h" if hours else "", f"{minutes} min" if minutes else "") if part
    )
    text = f"timed out: {listed(missing)} did not pass within {length}"
    return f"{text} (GitHub could not be asked: {trouble})" if trouble else text
