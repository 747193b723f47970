"""What every part of the home that grows has: a rule, a look at it, and a way to hold it to its rule."""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

DAY = 86_400.0
BLOCK = 512
"""Bytes in the unit in which the system counts the disk that a file takes."""


@dataclass(frozen=True)
class Part:
    """What a look at one part showed. `size` and `free_now` are bytes on disk; `kept` is the rule."""

    name: str
    kept: str
    count: int
    size: int
    free_now: int


@dataclass(frozen=True)
class Freed:
    """What was taken away: how many things, and their bytes on disk."""

    count: int = 0
    size: int = 0


class Rule(Protocol):
    """Holds one part to its rule. It may run beside everything else, and takes away nothing in use."""

    @property
    def name(self) -> str:
        """The part's name."""
        ...

    def look(self) -> Part:
        """How much there is, and how much of it `prune` would take away."""
        ...

    def prune(self) -> Freed:
        """Take away what the rule does not keep."""
        ...


def size_of(tops: Iterable[Path]) -> int:
    """Bytes on disk of files, and of folders with all in them; a file with several names counts once."""
    seen: set[tuple[int, int]] = set()
    return sum(_size(top, seen) for top in tops)


def _size(top: Path, seen: set[tuple[int, int]]) -> int:
    total = _own(top, seen)
    for folder, names, files in os.walk(top):
        total += sum(_own(Path(folder, name), seen) for name in (*names, *files))
    return total


def _own(path: Path, seen: set[tuple[int, int]]) -> int:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return 0
    if (status.st_dev, status.st_ino) in seen:
        return 0
    seen.add((status.st_dev, status.st_ino))
    return status.st_blocks * BLOCK


def entries(folder: Path) -> list[Path]:
    """What a folder holds; nothing when it is not there."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []


def changed_at(path: Path) -> float:
    """When a file was changed last, in seconds since 1970; now, as it were, when it is gone."""
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:
        return float("inf")
