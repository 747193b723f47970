"""How long ago a mirror was brought up to date, so that what was just learned is not asked again."""

import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

RECENT_SECONDS = 3.0
"""For so long after a fetch began, a branch is taken to be where that found it."""
_MARK = "slipway-fetched"


class _Fetched(msgspec.Struct, frozen=True):
    """When a fetch began, by both clocks: one is set, and the other begins anew with the machine."""

    steady: float
    wall: float
    below: tuple[str, ...] = ()


def now() -> tuple[float, float]:
    """The present moment, by both clocks."""
    return time.monotonic(), time.time()


def remember(mirror: Path, begun: tuple[float, float], below: Sequence[str]) -> None:
    """Remember that a mirror has every branch as of then, and the refs below some other folders."""
    new = mirror / f"{_MARK}.new"
    # A mark is no more than a hint: on a full disk there is none, and another may write its own just now.
    with suppress(OSError):
        new.write_bytes(msgspec.json.encode(_Fetched(*begun, tuple(below))))
        new.replace(mirror / _MARK)


def is_recent(mirror: Path, refs: Sequence[str]) -> bool:
    """Whether some refs were fetched within the last seconds."""
    try:
        last = msgspec.json.decode((mirror / _MARK).read_bytes(), type=_Fetched)
    except (OSError, msgspec.DecodeError):
        return False
    ages = (present - then for present, then in zip(now(), (last.steady, last.wall), strict=True))
    folders = tuple(f"{folder}/" for folder in ("refs/heads", *last.below))
    return all(0 <= age <= RECENT_SECONDS for age in ages) and all(ref.startswith(folders) for ref in refs)
