"""A running instance to be measured, a site in it, and a visitor who sees when a release is live."""

import http.client
import shutil
import tempfile
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from statistics import median

from bot.clock import utc_now
from bot.domain.deployment import Deployment, State
from bot.domain.ids import AppId
from bot.store import deliveries, steps
from bot.store.engine import reading
from tests.fakes.repository import Files, Repository
from tests.running import Slipway

_LOOK_SECONDS = 0.002
_PATIENCE_SECONDS = 120


@contextmanager
def running(**options: str) -> Generator[Slipway]:
    """An instance with the settings that it has by itself."""
    home = Path(tempfile.mkdtemp(prefix="bench-"))
    slipway = Slipway(home / "home", {"SLIPWAY_SWEEP_SECONDS": "10", **options})
    try:
        slipway.up()
        yield slipway
    finally:
        if slipway.process is not None:
            slipway.down()
        shutil.rmtree(home)


@dataclass
class Site:
    """An app of that instance, and its repository; `version.txt` tells which commit is live."""

    slipway: Slipway
    slug: str
    repository: Repository
    app: AppId
    version: str
    before: str = "0" * 40
    deployed: list[Deployment] = field(default_factory=list[Deployment])
    live_at: datetime = field(default_factory=utc_now)

    @classmethod
    def make(cls, slipway: Slipway, slug: str, files: Files, *, version: str = "version.txt") -> "Site":
        """Create the app and bring its first commit live; `version` is where `version.txt` comes from."""
        repository = Repository(slipway.home.parent / f"{slug}.git")
        site = cls(slipway, slug, repository, slipway.create_app(repository, slug), version)
        site.deploy(repository.commit({**files, version: "first"}), "first")
        return site

    @property
    def hostname(self) -> str:
        """Where it is live."""
        return self.slipway.hostname(self.app)

    def change(self, text: str) -> str:
        """Commit another `version.txt`."""
        return self.repository.commit({self.version: text}, text)

    def deploy(self, sha: str, text: str) -> float:
        """Push a commit: seconds from the delivery until visitors see `version.txt` with that text."""
        begun = time.perf_counter()
        guid = self.slipway.push(self.slug, sha, before=self.before)
        self.await_text(text)
        seconds = time.perf_counter() - begun
        self.live_at = utc_now()
        self.before = sha
        deployment = self.slipway.ended(self.slipway.deployment_of(guid).id)
        assert deployment.state is State.SUCCEEDED, deployment.reason
        self.deployed.append(deployment)
        return seconds

    def await_text(self, text: str) -> None:
        """Ask the edge until `version.txt` has that text."""
        end = time.monotonic() + _PATIENCE_SECONDS
        client = http.client.HTTPConnection("127.0.0.1", self.slipway.settings.edge_port)
        headers = {"Host": f"{self.slug}.{self.slipway.settings.preview_domain}"}
        while True:
            client.request("GET", "/version.txt", headers=headers)
            found = client.getresponse().read().decode(errors="replace")
            if found == text:
                client.close()
                return
            assert time.monotonic() < end, f"{text!r} never came live"
            time.sleep(_LOOK_SECONDS)

    def parts(self) -> dict[str, float]:
        """Where the milliseconds of the last deployment went; `live` is what its visitor saw."""
        deployment = self.deployed[-1]
        assert deployment.delivery_id is not None
        with reading(self.slipway.engine) as tx:
            delivery = deliveries.get(tx, deployment.delivery_id)
            done = steps.of_deployment(tx, deployment.id)
        assert delivery is not None
        assert delivery.decided_at is not None
        assert deployment.started_at is not None
        found = {
            "delivery answered and decided": _ms(delivery.received_at, delivery.decided_at),
            "decided to claimed": _ms(delivery.decided_at, deployment.started_at),
        }
        last, between = deployment.started_at, 0.0
        for step in done:
            assert step.finished_at is not None
            between += _ms(last, step.started_at)
            found[step.name] = _ms(step.started_at, step.finished_at)
            last = step.finished_at
        return {**found, "between steps": between, "live": _ms(delivery.received_at, self.live_at)}


def fifty_files() -> Files:
    """A plain static site: 40 pages of 4 KB, 8 scripts of 20 KB, a style sheet, and `version.txt`."""
    page = (
        "<!doctype html><title>page {0}</title>"
        + "<p>Some words of page {0}, which is one of many.</p>\n" * 80
    )
    script = "".join(f"export const name{n} = () => {n * 7919 % 1013};\n" for n in range(600))
    pages = {f"page{number}.html": page.format(number) for number in range(39)}
    scripts = {f"scripts/part{number}.js": script.replace("name", f"part{number}_") for number in range(8)}
    return {"index.html": page.format("start"), **pages, **scripts, "style.css": "p { margin: 1rem }\n" * 100}


def medians(samples: Iterable[dict[str, float]]) -> dict[str, float]:
    """The median of each part over all samples."""
    found = list(samples)
    names = list(dict.fromkeys(name for sample in found for name in sample))
    return {name: median(sample.get(name, 0.0) for sample in found) for name in names}


def _ms(before: datetime, after: datetime) -> float:
    return (after - before).total_seconds() * 1000
