"""A rollback, from the call of the lifecycle until the edge answers with the old release."""

import time
from itertools import count as counting
from statistics import median

from bot.domain.deployment import State
from bot.domain.ids import AppId, DeploymentId
from bot.lifecycle import Lifecycle
from bot.queue import Queue, connect
from bot.store import apps, deployments, steps
from bot.store.engine import reading
from tests.bench.figures import Report, Target, rounds, spread
from tests.bench.instance import Site, fifty_files, medians, running
from tests.running import Slipway

NAME = "rollback"
TITLE = "Rollback, from the call to the edge serving the old release"


def measure(count: int, _seconds: float) -> Report:
    """Back and onwards: two releases take turns."""
    with running() as slipway:
        site = Site.make(slipway, "back", fifty_files())
        site.deploy(site.change("second"), "second")
        names = dict(zip(("first", "second"), _releases(slipway, site.app), strict=True))
        caller, turns = _Caller(slipway, site), counting()
        parts: list[dict[str, float]] = []

        def back() -> float:
            text = "first" if next(turns) % 2 == 0 else "second"
            return caller.roll(text, names[text], parts)

        back()
        parts.clear()
        found = rounds(count * 4, {"rollback": back})["rollback"]
    report = Report(NAME, TITLE, ["part", "ms"])
    report.rows += [[name, f"{ms:.0f}"] for name, ms in medians(parts).items()]
    report.rows.append(["**call to edge**", spread(found)])
    report.targets.append(Target("call to edge, median", median(found), 100, " ms"))
    return report


class _Caller:
    def __init__(self, slipway: Slipway, site: Site) -> None:
        queue = Queue(connect(slipway.settings.redis))
        self._slipway, self._site = slipway, site
        self._lifecycle = Lifecycle(slipway.engine, queue, preview_domain=slipway.settings.preview_domain)
        with reading(slipway.engine) as tx:
            self._app = apps.get(tx, site.app)

    def roll(self, text: str, release: str, parts: list[dict[str, float]]) -> float:
        """Milliseconds until the edge serves it."""
        begun = time.perf_counter()
        with self._lifecycle.change() as change:
            made = self._lifecycle.rollback(change, self._app, "production", word=release, by="a bench")
        called = time.perf_counter()
        self._site.await_text(text)
        live = time.perf_counter()
        assert self._slipway.ended(made.id).state is State.SUCCEEDED
        parts.append({"call": (called - begun) * 1000, **self._waits(made.id)})
        return (live - begun) * 1000

    def _waits(self, deployment: DeploymentId) -> dict[str, float]:
        with reading(self._slipway.engine) as tx:
            made = deployments.get(tx, deployment)
            done = {step.name: step for step in steps.of_deployment(tx, deployment)}
        assert made.started_at is not None
        release = done["release"]
        assert release.finished_at is not None
        return {
            "asked to claimed": (made.started_at - made.created_at).total_seconds() * 1000,
            "claimed to release step": (release.started_at - made.started_at).total_seconds() * 1000,
            "release step": (release.finished_at - release.started_at).total_seconds() * 1000,
        }


def _releases(slipway: Slipway, app: AppId) -> list[str]:
    made = [one.release_id for one in slipway.deployments(app)]
    return [str(one) for one in sorted(release for release in made if release is not None)]
