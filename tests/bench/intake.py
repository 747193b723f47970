"""A burst of pushes: how many are decided in a second."""

import time
from statistics import median

from bot.store import deliveries
from bot.store.engine import reading
from tests.bench.figures import Report, Target, rounds, spread
from tests.bench.instance import Site, fifty_files, running
from tests.waiting import wait_until

NAME = "intake"
TITLE = "A burst of pushes to five apps, until all are decided"
APPS, PUSHES = 5, 40


def measure(count: int, _seconds: float) -> Report:
    """The branches that are pushed to deploy nothing, so that no build takes the processor."""
    with running() as slipway:
        sites = [Site.make(slipway, f"burst{number}", fifty_files()) for number in range(APPS)]
        shas = [site.repository.commit({"other.txt": "x"}, branch="other") for site in sites]

        def burst() -> float:
            begun = time.perf_counter()
            guids = [
                slipway.push(site.slug, sha, branch="other")
                for _ in range(PUSHES)
                for site, sha in zip(sites, shas, strict=True)
            ]
            wait_until(lambda: slipway.undecided() == 0, 60, "every decision")
            seconds = time.perf_counter() - begun
            with reading(slipway.engine) as tx:
                assert len(deliveries.known_guids(tx, guids)) == len(guids)
            return len(guids) / seconds

        found = rounds(count, {"burst": burst})["burst"]
    report = Report(NAME, TITLE, ["burst", "decisions/s"])
    report.rows.append([f"{APPS * PUSHES} pushes", spread(found)])
    report.targets.append(Target("decisions per second", median(found), 60, at_most=False))
    return report
