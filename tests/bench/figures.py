"""What a benchmark hands back, and how it is shown: medians by round, ratios by round, targets met or not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Target:
    """A figure that was promised. `limit` is the least, or with `at_most` the most, that it may be."""

    what: str
    value: float
    limit: float
    unit: str = ""
    at_most: bool = True

    @property
    def met(self) -> bool:
        """Whether the promise is kept."""
        return self.value <= self.limit if self.at_most else self.value >= self.limit


@dataclass
class Report:
    """One benchmark's table; each cell is a text, the first of a row its name."""

    name: str
    title: str
    columns: Sequence[str]
    rows: list[Sequence[str]] = field(default_factory=list[Sequence[str]])
    targets: list[Target] = field(default_factory=list[Target])
    notes: list[str] = field(default_factory=list[str])


def rounds(count: int, ways: Mapping[str, Callable[[], T]]) -> dict[str, list[T]]:
    """Measure each way once per round, in turns: what disturbs a round disturbs all of it alike.

    Every other round goes backwards, so that none is always the first.
    """
    found: dict[str, list[T]] = {name: [] for name in ways}
    for number in range(count):
        names = list(ways)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            found[name].append(ways[name]())
    return found


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """The median of the ratios within each round."""
    return median(our / their for our, their in zip(ours, theirs, strict=True))


def spread(values: Sequence[float], digits: int = 0) -> str:
    """A median with what it lies between."""
    low, middle, high = min(values), median(values), max(values)
    return f"{middle:,.{digits}f} ({low:,.{digits}f}–{high:,.{digits}f})"


def plain(report: Report) -> str:
    """The report for a terminal."""
    table = [list(report.columns), *map(list, report.rows)]
    widths = [max(len(row[place]) for row in table) for place in range(len(report.columns))]
    lines = [
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([f"{report.name}: {report.title}", *lines, *_targets(report), *report.notes, ""])


def markdown(report: Report) -> str:
    """The report for docs/performance.md."""
    lines = [f"### {report.title}", "", f"`uv run python -m tests.bench --only {report.name}`", ""]
    lines += [_row(report.columns), _row(["---", *["---:"] * (len(report.columns) - 1)])]
    lines += [_row(row) for row in report.rows]
    if report.targets:
        lines += ["", "| target | measured | limit | met |", "| --- | ---: | ---: | --- |"]
        lines += [_row(_cells(target)) for target in report.targets]
    lines += [line for note in report.notes for line in ("", note)]
    return "\n".join([*lines, ""])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _targets(report: Report) -> list[str]:
    return [
        f"  {'met   ' if target.met else 'MISSED'} {what}: {value}, {limit}"
        for target in report.targets
        for what, value, limit, _ in (_cells(target),)
    ]


def _cells(target: Target) -> tuple[str, str, str, str]:
    digits = 2 if abs(target.limit) < 10 else 0
    sign = "at most" if target.at_most else "at least"
    value = f"{target.value:,.{digits}f}{target.unit}"
    return (
        target.what,
        value,
        f"{sign} {target.limit:,.{digits}f}{target.unit}",
        "yes" if target.met else "**no**",
    )
