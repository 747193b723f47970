"""A merge that needs no build, until it is live; and a push, until GitHub shows its first status."""

import time
from collections.abc import Callable
from itertools import count as counting
from statistics import median, quantiles

from tests.bench.figures import Report, Target, rounds, spread
from tests.bench.instance import Site, fifty_files, running
from tests.fakes import payloads
from tests.fakes.github import STATIC_TOKEN, FakeGitHub

NAME = "merge"
TITLE = "Merge of an up-to-date pull request to live, and push to first status"
_PATIENCE = 60.0
_LOOK_SECONDS = 0.002


def measure(count: int, _seconds: float) -> Report:
    """Pull request by pull request; GitHub is a fake on loopback, which answers at once."""
    with FakeGitHub().running() as github:
        github.add_token()
        github.add_repository("acme/merged", int.from_bytes(b"merged"[-6:], "big"))
        options = {
            "SLIPWAY_GITHUB_API_URL": github.url,
            "SLIPWAY_GITHUB_TOKEN": STATIC_TOKEN,
            "SLIPWAY_GITHUB_WRITES_PER_MINUTE": "10000",
            "SLIPWAY_GITHUB_WRITES_PER_HOUR": "10000",
        }
        with running(**options) as slipway:
            bench = _Bench(github, Site.make(slipway, "merged", fifty_files()))
            bench.merge()
            found = rounds(count * 4, {"merge": bench.merge, "status": bench.first_status})
    report = Report(NAME, TITLE, ["way", "ms"])
    report.rows.append(["merge to live, nothing built", spread(found["merge"])])
    report.rows.append(["push to GitHub's first status", spread(found["status"])])
    report.targets.append(Target("merge to live, p95", quantiles(found["merge"], n=20)[-1], 5000, " ms"))
    report.targets.append(Target("push to first status, median", median(found["status"]), 1000, " ms"))
    report.notes.append(
        "Before its first status a push is received, decided in a run of the intake that asks git and "
        "GitHub, and announced by another process; each hand-over costs one message of the queue."
    )
    return report


class _Bench:
    def __init__(self, github: FakeGitHub, site: Site) -> None:
        self._github, self._site = github, site
        self._numbers = counting(1)

    def merge(self) -> float:
        """Open a pull request, wait for its preview, merge it: milliseconds until the merge is live."""
        number, site = next(self._numbers), self._site
        text, branch, main = f"pull {number}", f"change-{number}", site.before
        site.repository.force(branch, main)
        sha = site.repository.commit({site.version: text}, text, branch=branch)
        site.repository.point(f"refs/pull/{number}/head", sha)
        self._tell("opened", number, sha, branch)
        self._await(lambda: self._status(sha, "preview") == "success", "the preview")
        merged = site.repository.merge("main", branch)
        seconds = site.deploy(merged, text)
        self._tell("closed", number, sha, branch, merged=True)
        assert site.deployed[-1].release_id is not None
        return seconds * 1000

    def first_status(self) -> float:
        """Push a commit: milliseconds until GitHub shows anything of it."""
        site = self._site
        text = f"push {next(self._numbers)}"
        sha = site.change(text)
        begun = time.perf_counter()
        site.slipway.push(site.slug, sha, before=site.before)
        self._await(lambda: self._status(sha, "production") is not None, "a status")
        seconds = time.perf_counter() - begun
        site.await_text(text)
        site.before = sha
        self._await(lambda: self._status(sha, "production") == "success", "the last word")
        return seconds * 1000

    def _status(self, sha: str, kind: str) -> str | None:
        found = self._github.status_of("acme/merged", sha, f"slipway/merged/{kind}")
        return found[0] if found else None

    def _tell(self, action: str, number: int, sha: str, branch: str, *, merged: bool = False) -> None:
        payload = payloads.pull_request(
            action=action,
            number=number,
            sha=sha,
            branch=branch,
            merged=merged,
            repository="acme/merged",
            repository_id=int.from_bytes(b"merged"[-6:], "big"),
            updated_at=f"2026-01-01T12:{number:02}:{1 if merged else 0:02}Z",
        )
        self._github.world.repositories["acme/merged"].pulls[number] = payload["pull_request"]
        assert self._site.slipway.deliver("pull_request", payload).status_code == 202

    def _await(self, probe: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + _PATIENCE
        while not probe():
            assert time.monotonic() < end, f"waited in vain for {what}"
            time.sleep(_LOOK_SECONDS)
