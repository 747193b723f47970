"""What differs between two releases. Pure."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from bot.domain.contents import File

Change = Literal["added", "removed", "changed"]


@dataclass(frozen=True)
class FileChange:
    """A file that is in one of them alone, or has other bytes; sizes in bytes."""

    path: str
    change: Change
    before: int | None
    after: int | None


@dataclass(frozen=True)
class NameChange:
    """A name that only one of two sets has, or that means something else in the later one."""

    name: str
    change: Change


def names_changed(before: Mapping[str, str], after: Mapping[str, str]) -> list[NameChange]:
    """What differs between two sets of fingerprints by name, in the order of the names."""
    return [
        NameChange(name, "added" if name not in before else "removed" if name not in after else "changed")
        for name in sorted(before.keys() | after.keys())
        if before.get(name) != after.get(name)
    ]


def files_changed(before: Mapping[str, File], after: Mapping[str, File]) -> list[FileChange]:
    """What differs, by path."""
    found: list[FileChange] = []
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old is None and new is not None:
            found.append(FileChange(path, "added", None, new.size))
        elif new is None and old is not None:
            found.append(FileChange(path, "removed", old.size, None))
        elif old is not None and new is not None and old.digest != new.digest:
            found.append(FileChange(path, "changed", old.size, new.size))
    return found


def lines_changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Lines that only the later text has, and those that only the earlier one has, each in its order."""
    old, new = _rules(before), _rules(after)
    return _without(new, old), _without(old, new)


def _rules(text: str) -> list[str]:
    lines = (line.rstrip() for line in text.splitlines())
    return [line for line in lines if line and not line.lstrip().startswith("#")]


def _without(lines: Sequence[str], others: Sequence[str]) -> list[str]:
    left = Counter(others)
    found: list[str] = []
    for line in lines:
        if left[line]:
            left[line] -= 1
        else:
            found.append(line)
    return found
