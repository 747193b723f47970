"""Compares two footprints figure by figure, against bounds."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from fnmatch import fnmatch

from tests.bench.footprint import MIB, Footprint

KIB = 1024


@dataclass(frozen=True)
class Bound:
    """How much a figure may grow: so much, and so much for each deploy; and why."""

    figure: str
    fixed: float = 0
    each: float = 0
    why: str = ""

    def allows(self, deploys: int) -> float:
        """The growth that is allowed after some deploys."""
        return self.fixed + self.each * deploys


AFTER_DEPLOYS = (
    Bound("processes *"),
    Bound("descriptors *", fixed=3, why="connections that wait to be used again"),
    Bound("memory valkey/*", fixed=16 * MIB, each=16 * KIB, why="live logs, which lapse"),
    Bound("memory caddy/*", fixed=96 * MIB, why="Go's heap breathes, to eight times what is in use"),
    Bound("memory *", fixed=12 * MIB),
    Bound("disk store", fixed=8 * MIB, each=16 * KIB, why="rows that are kept by age"),
    Bound("disk logs", each=6 * KIB, why="logs that are kept by age"),
    Bound("disk mirrors", fixed=2 * MIB, each=6 * KIB, why="the repository itself grew"),
    Bound("disk artifacts", fixed=4 * MIB, each=32 * KIB, why="an hour's artifacts stay"),
    Bound("disk edge", fixed=4 * MIB, each=24 * KIB, why="an hour's releases stay"),
    Bound("disk valkey", fixed=160 * MIB, why="its file is written anew when it doubled"),
    Bound("disk *", fixed=1 * MIB),
    Bound("keys that stay", fixed=2),
    Bound("keys bytes of those that stay", fixed=64 * KIB),
    Bound("keys longest time to live*", fixed=float("inf")),
    Bound("keys that lapse", fixed=float("inf")),
    Bound("keys bytes of those that lapse", fixed=float("inf")),
    Bound("keys bytes in all", fixed=2 * MIB, each=16 * KIB),
    Bound("leftovers mirrors' refs", each=1, why="the newest 50 are left every hour"),
    Bound("leftovers mirrors' packs", fixed=45, why="packed anew beyond 40"),
    Bound("leftovers edge's entries", fixed=300, each=1, why="a minute's, and each release's own address"),
    Bound("leftovers edge's *", fixed=5),
    Bound("leftovers *"),
)


A_YEAR_LATER = (
    Bound("processes *"),
    Bound("descriptors *", fixed=3, why="connections that wait to be used again"),
    Bound("memory *", fixed=12 * MIB),
    Bound("disk mirrors", fixed=1 * MIB, each=2 * KIB, why="the repository itself grew"),
    Bound("disk valkey", fixed=160 * MIB, why="its file is written anew when it doubled"),
    Bound("disk store", fixed=9 * MIB, why="4 MiB are spare, 4 its log of writes; 100 deployments stay"),
    Bound("disk artifacts", fixed=MIB, why="256 folders, which keep the room of their names"),
    Bound("disk *", fixed=256 * KIB),
    Bound("keys that stay", fixed=2),
    Bound("keys bytes of those that stay", fixed=64 * KIB),
    Bound("keys *", fixed=float("inf")),
    Bound("leftovers mirrors' refs", fixed=50, why="commits of recent deployments"),
    Bound("leftovers edge's *", fixed=5),
    Bound("leftovers *"),
)


def report(title: str, first: Footprint, last: Footprint, bounds: Sequence[Bound], *, deploys: int) -> bool:
    """Print a table; whether every figure stayed within its bound."""
    sys.stdout.write(f"\n{title}\n")
    fine = True
    before, after = _flat(first), _flat(last)
    for name in sorted(before.keys() | after.keys()):
        old, new = before.get(name, 0.0), after.get(name, 0.0)
        bound = next(one for one in bounds if fnmatch(name, one.figure))
        within = new - old <= bound.allows(deploys)
        fine = fine and within
        _print_row(name, old, new, bound=bound, within=within, deploys=deploys)
    sys.stdout.write("nothing leaks\n" if fine else "SOMETHING GREW BEYOND ITS BOUND\n")
    return fine


def _print_row(name: str, old: float, new: float, *, bound: Bound, within: bool, deploys: int) -> None:
    shown = [_shown(name, figure) for figure in (old, new, new - old, bound.allows(deploys))]
    mark = "ok " if within else "BAD"
    columns = " ".join(f"{one:>12}" for one in shown)
    sys.stdout.write(f"{mark} {name:<42} {columns}  {bound.why}\n")


def _shown(name: str, figure: float) -> str:
    if figure == float("inf"):
        return "any"
    if name.startswith(("memory", "disk")) or "bytes" in name:
        return f"{figure / MIB:.2f} MiB"
    return f"{figure:.0f}"


def _flat(footprint: Footprint) -> dict[str, float]:
    return {
        f"{field.name} {name}": figure
        for field in fields(footprint)
        for name, figure in getattr(footprint, field.name).items()
    }
