"""Measures packaging and materialising: `python -m tests.bench.packaging [FOLDER]`."""

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from bot.domain.ids import Digest
from jobs.artifacts.disk import DiskStore
from jobs.artifacts.materialise import materialise
from jobs.artifacts.retention import sweep
from jobs.steps import package
from jobs.steps.context import Plan
from tests.packing import Bench, plan

T = TypeVar("T")

_LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def _words(source: random.Random) -> list[str]:
    return ["".join(source.choices(_LETTERS, k=source.randint(2, 9))) for _ in range(3000)]


def _page(source: random.Random, words: list[str], size: int) -> str:
    text = "<!doctype html><html lang=en><head><link rel=stylesheet href=/style.css></head><body>"
    while len(text) < size:
        text += (
            f'<p>{" ".join(source.choices(words, k=14))} <a href="/{source.randint(0, 9999)}">more</a></p>\n'
        )
    return text[:size]


def _site(folder: Path, files: int, size: int, suffix: str) -> None:
    source = random.Random(files * size)
    words = _words(source)
    for number in range(files):
        path = folder / f"section-{number % 40}" / f"page-{number}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_page(source, words, size))


def _timed(name: str, work: Callable[[], T]) -> T:
    begun, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, used = time.perf_counter() - begun, time.process_time() - cpu
    sys.stdout.write(f"  {name:34} {wall * 1000:8.0f} ms {used * 1000:8.0f} ms CPU\n")
    return result


def _measure(home: Path, files: int, size: int, suffix: str) -> None:
    sys.stdout.write(f"{files:,} files of {size:,} bytes, {suffix}\n")
    bench = Bench(home)
    _site(bench.output, files, size, suffix)
    time.sleep(0.2)
    store = DiskStore(bench.artifacts)
    source, built = plan(build=()), plan()

    def pack(how: Plan) -> Digest:
        return package.run(bench.context(), bench.output, how, bench.store).manifest

    first = _timed("cold", lambda: pack(source))
    _timed("source, nothing changed", lambda: pack(source))
    (bench.output / "section-1" / f"page-1{suffix}").write_text("changed " * 300)
    second = _timed("source, one changed", lambda: pack(source))
    _timed("built, nothing changed", lambda: pack(built))
    _timed("materialise, first", lambda: materialise(store, first, home / "releases" / "1"))
    _timed("materialise, second", lambda: materialise(store, second, home / "releases" / "2"))
    _timed("sweep, nothing to do", lambda: sweep(store, {first, second}))
    _timed("sweep of everything", lambda: sweep(store, set(), older_than=-1))


def main(folder: str | None) -> None:
    """Measure three sites below a folder."""
    for files, size, suffix in ((2000, 2048, ".html"), (5000, 20_480, ".html"), (5000, 20_480, ".bin")):
        home = Path(tempfile.mkdtemp(dir=folder))
        try:
            _measure(home, files, size, suffix)
        finally:
            shutil.rmtree(home)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
