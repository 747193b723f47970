"""From a push to a live site of 50 files, beside the least that any deploy must do, as a script."""

import subprocess
import time
from itertools import count as counting
from pathlib import Path
from statistics import median

from tests.bench.figures import Report, Target, ratio, rounds, spread
from tests.bench.instance import Site, fifty_files, medians, running
from tests.fakes.repository import Repository

NAME = "push"
TITLE = "Push to live, a plain site of 50 files, warm"
QUEUE_MS = 100
"""What a queue that loses nothing may take: delivery and decision stored, two messages, a claim, steps."""
PIKU_MS = 310
"""What Piku takes for a static redeploy, measured once on a like machine (its push included)."""

_LEAST = """set -e
git --git-dir="$1" fetch --quiet --force --no-tags "$2" "+$3:refs/deploy/$3"
rm -rf "$4/tree" && mkdir -p "$4/tree"
git --git-dir="$1" archive "$3" | tar -x -C "$4/tree"
cp -a "$4/tree" "$4/release-$3"
ln -s "release-$3" "$4/new"
mv -T "$4/new" "$4/live"
"""


def measure(count: int, _seconds: float) -> Report:
    """Push by push, in turns with the script."""
    pushes = count * 4
    with running() as slipway:
        site = Site.make(slipway, "fifty", fifty_files())
        least = _Least(slipway.home.parent / "least", Repository(slipway.home.parent / "other.git"))
        numbers, parts = counting(), list[dict[str, float]]()

        def push() -> float:
            text = f"version {next(numbers)}"
            seconds = site.deploy(site.change(text), text)
            parts.append(site.parts())
            return seconds * 1000

        for way in (push, push, least.run):
            way()
        parts.clear()
        found = rounds(pushes, {"slipway": push, "script": least.run})
    return _report(found, medians(parts))


class _Least:
    """A mirror and a folder of releases, and the script that brings a commit from one to the other."""

    def __init__(self, home: Path, repository: Repository) -> None:
        self._home, self._repository = home, repository
        self._numbers = counting()
        home.mkdir()
        subprocess.run(["git", "init", "--quiet", "--bare", str(home / "mirror")], check=True)
        repository.commit(fifty_files())

    def run(self) -> float:
        """One deploy, in milliseconds."""
        sha = self._repository.commit({"version.txt": f"version {next(self._numbers)}"})
        mirror = str(self._home / "mirror")
        begun = time.perf_counter()
        argv = ["sh", "-c", _LEAST, "least", mirror, self._repository.url, sha, str(self._home)]
        subprocess.run(argv, check=True)
        return (time.perf_counter() - begun) * 1000


def _report(found: dict[str, list[float]], parts: dict[str, float]) -> Report:
    ours, least = found["slipway"], found["script"]
    report = Report(NAME, TITLE, ["part", "ms"])
    report.rows += [[name, f"{ms:.0f}"] for name, ms in parts.items() if name != "live"]
    report.rows.append(["**push to live**", spread(ours)])
    report.rows.append(["script: fetch, archive, copy, rename", spread(least)])
    work = sum(parts.get(name, 0.0) for name in ("checkout", "plan", "build", "package", "release"))
    report.notes.append(
        f"From the delivery's arrival until a visitor sees the new file. Checkout to release alone: "
        f"{work:.0f} ms. Verify runs after the site is live."
    )
    work_alone = [ms - QUEUE_MS for ms in ours]
    report.targets += [
        Target("checkout to release, times the script", work / median(least), 2.0),
        Target(
            f"push to live less {QUEUE_MS} ms for the queue, times the script", ratio(work_alone, least), 2.0
        ),
        Target("push to live, against Piku's", median(ours), PIKU_MS, " ms"),
    ]
    return report
