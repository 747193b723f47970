"""Deploys many times in a row, and looks at what is left: `python -m tests.bench.leaks --deploys 1000`.

A whole instance, fed by signed webhooks, builds in a box and tells a GitHub over HTTP. It is measured
after a warm-up and after the deploys; then everything that it keeps is made a year older, and the sweep
must bring it back to where it was. Exit code 1 when something grew beyond its bound.
"""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bot.clock import utc_now
from bot.domain.deployment import Deployment, State
from bot.domain.ids import Sha
from bot.queue import ANNOUNCE_QUEUE, ERRAND_QUEUE, INTAKE_QUEUE, OUTGOING_QUEUE
from bot.store import deliveries, deployments
from bot.store.engine import reading
from tests.bench.aging import is_pruned, make_older, waive_the_hour
from tests.bench.footprint import Footprint, measure
from tests.bench.growth import A_YEAR_LATER, AFTER_DEPLOYS, report
from tests.fakes.github import STATIC_TOKEN, FakeGitHub
from tests.fakes.repository import Repository
from tests.running import Slipway
from tests.waiting import wait_until

SLUG = "leaky"
FILES = 24
_BUILD = """\
mkdir -p out && cp -r site/. out/ && sed "s/NUMBER/$(cat number.txt)/" site/page-1.html > out/page-1.html
cat number.txt
"""


def repository(folder: Path, commits: int) -> tuple[Repository, list[Sha]]:
    """A site with a build, and commits that each change what it makes."""
    made = Repository(folder)
    pages = {
        f"site/page-{number}.html": f"<!doctype html><p>{number} NUMBER</p>" + f"{number:04} " * 400
        for number in range(FILES)
    }
    recipe = '[build]\ncommand = "sh build.sh"\noutput = "out"\n'
    made.commit({**pages, "build.sh": _BUILD, "slipway.toml": recipe, "number.txt": "start"}, "Start")
    return made, made.commit_many(commits, "number.txt", "deploy {}\n")


def push(slipway: Slipway, before: str, after: Sha) -> None:
    """Deliver one push, and wait until its commit is live."""
    slipway.push(SLUG, after, before=before)

    def ended() -> Deployment | None:
        with reading(slipway.engine) as tx:
            newest = next(iter(deployments.latest(tx, 1)), None)
        return newest if newest and newest.sha == after and newest.state.is_final else None

    done = wait_until(ended, 60, f"the deployment of {after}")
    assert done.state is State.SUCCEEDED, done.reason


def settle(slipway: Slipway) -> None:
    """Wait until nothing is under way any more."""
    serving = (INTAKE_QUEUE, ANNOUNCE_QUEUE, ERRAND_QUEUE, OUTGOING_QUEUE)
    # The launcher; one executor each; and each that deploys keeps a process forked ahead.
    executors = 1 + len(serving) + 2 * slipway.settings.build_concurrency

    def is_quiet() -> bool:
        with reading(slipway.engine) as tx:
            waiting = deliveries.undecided(tx, utc_now(), 1)
            owed = deployments.owed(tx, 1)
        return not waiting and not owed and len(slipway.find("jobs.worker")) == executors

    wait_until(is_quiet, 600, "nothing to do any more")


def run(slipway: Slipway, commits: Sequence[Sha], made: Repository, before: str) -> str:
    """Push one commit after the other; the last."""
    began = time.monotonic()
    for number, sha in enumerate(commits, 1):
        made.force("main", sha)
        push(slipway, before, sha)
        before = sha
        if number % 50 == 0:
            pace = (time.monotonic() - began) / number
            sys.stdout.write(f"{number} of {len(commits)} deploys, {pace:.2f} s each\n")
            sys.stdout.flush()
    settle(slipway)
    return before


def attempt(folder: Path, warm_up: int, count: int) -> bool:
    """The whole measurement; whether everything stayed within its bounds."""
    made, commits = repository(folder / "repository", warm_up + count)
    with FakeGitHub().running() as github:
        github.add_repository(f"acme/{SLUG}")
        github.add_token()
        options = {
            "SLIPWAY_GITHUB_API_URL": github.url,
            "SLIPWAY_GITHUB_TOKEN": STATIC_TOKEN,
            "SLIPWAY_GITHUB_WRITES_PER_MINUTE": "100000",
            "SLIPWAY_GITHUB_WRITES_PER_HOUR": "1000000",
        }
        slipway = Slipway(folder / "home", options).up()
        try:
            first, last = deploy_all(slipway, made, commits, warm_up)
            fine = report(f"After {count} deploys", first, last, AFTER_DEPLOYS, deploys=count)
            slipway.down()
            make_older(slipway)
            slipway.up()
            wait_until(lambda: is_pruned(slipway), 180, "the sweep's retention")
            waive_the_hour(slipway)
            return report("A year later", first, measure(slipway), A_YEAR_LATER, deploys=count) and fine
        finally:
            slipway.down()


def deploy_all(
    slipway: Slipway, made: Repository, commits: Sequence[Sha], warm_up: int
) -> tuple[Footprint, Footprint]:
    """Deploy; the footprint after the warm-up, and at the end."""
    slipway.create_app(made, SLUG)
    head = run(slipway, commits[:warm_up], made, "0" * 40)
    first = measure(slipway)
    run(slipway, commits[warm_up:], made, head)
    return first, measure(slipway)


def main() -> int:
    """Measure, print, and say by the exit code whether anything leaks."""
    parser = argparse.ArgumentParser(description="Looks for leaks over many deploys.")
    parser.add_argument("--deploys", type=int, default=1000)
    parser.add_argument("--warm-up", type=int, default=30)
    parser.add_argument("--folder", type=Path, default=None, help="Where the instance lives, and stays.")
    given = parser.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="slipway-leaks-"))
    try:
        return 0 if attempt(folder, given.warm_up, given.deploys) else 1
    finally:
        if given.folder is None:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
