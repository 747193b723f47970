"""Sixty pull requests at once, told twice and out of order, while GitHub fails and workers are killed."""

import random
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from bot.clock import utc_now
from bot.domain.deployment import Deployment
from bot.domain.ids import AppId, Sha
from bot.store import apps, environments
from bot.store.apps import NewApp
from bot.store.engine import reading, writing
from tests.fakes import payloads
from tests.fakes.github import STATIC_TOKEN, FakeGitHub
from tests.fakes.repository import Files, Repository
from tests.running import Slipway
from tests.waiting import wait_until

PULLS, PUSHES, CLOSED = 60, 3, 10
REPOSITORIES, APPS = ("one", "two"), ("web", "docs")
FINAL = {"success", "failure", "error"}
A_MINUTE = 900
"""Writes a minute that the instance may make here, for the sake of time; GitHub's own number is 80."""


@dataclass
class Told:
    """An event, and its GUID, so that it can be told again."""

    payload: dict[str, Any]
    guid: str
    event: str = "pull_request"


@dataclass
class Storm:
    slipway: Slipway
    github: FakeGitHub
    folder: Path
    luck: random.Random = field(default_factory=lambda: random.Random(20260101))
    heads: dict[tuple[str, int], list[Sha]] = field(default_factory=dict[tuple[str, int], list[Sha]])
    told: list[Told] = field(default_factory=list[Told])

    def prepare(self) -> None:
        for place, name in enumerate(REPOSITORIES):
            repository = Repository(self.folder / name)
            self.github.add_repository(f"acme/{name}", place + 500)
            files: Files = {f"{app}/index.html": "main" for app in APPS}
            main = repository.commit({**files, "slipway.toml": "[policy.previews]\nlimit = 100\n"}, "Main")
            with writing(self.slipway.engine) as tx:
                for app in APPS:
                    new = NewApp(f"{name}-{app}", f"acme/{name}", repository.url, "main", root_directory=app)
                    apps.insert(tx, new, utc_now())
            for number in range(1, PULLS // len(REPOSITORIES) + 1):
                self.heads[name, number] = self._commits(repository, number, main)

    def _commits(self, repository: Repository, number: int, main: Sha) -> list[Sha]:
        branch = f"change-{number}"
        repository.force(branch, main)
        made = [
            repository.commit(
                {f"{app}/index.html": f"pull {number} push {push}" for app in APPS}, "Push", branch=branch
            )
            for push in range(PUSHES)
        ]
        repository.point(f"refs/pull/{number}/head", made[-1])
        return made

    def events(self) -> list[list[Told]]:
        """Each pull request's events, in another order than they happened, some of them twice."""
        lives: list[list[Told]] = []
        for place, ((name, number), heads) in enumerate(sorted(self.heads.items())):
            told = [self._event(name, number, push, heads[push]) for push in range(PUSHES)]
            if place < CLOSED:
                told.append(self._event(name, number, PUSHES, heads[-1], action="closed"))
            self.told += told
            again = [one for one in told if self.luck.random() < 0.3]
            lives.append(self.luck.sample([*told, *again], len(told) + len(again)))
        return lives

    def _event(self, name: str, number: int, push: int, sha: Sha, action: str = "") -> Told:
        payload = payloads.pull_request(
            action=action or ("synchronize" if push else "opened"),
            number=number,
            sha=sha,
            branch=f"change-{number}",
            repository=f"acme/{name}",
            repository_id=REPOSITORIES.index(name) + 500,
            updated_at=f"2026-01-01T12:{number:02}:{push:02}Z",
        )
        # GitHub's own answer about it is what it is in the end, whichever event tells of it.
        known = self.github.world.repositories[f"acme/{name}"].pulls
        if number not in known or known[number]["updated_at"] < payload["pull_request"]["updated_at"]:
            known[number] = payload["pull_request"]
        return Told(payload, f"{name}-{number}-{push}-{action or 'push'}")

    def tell(self, life: list[Told]) -> None:
        for one in life:
            assert self.slipway.deliver(one.event, one.payload, one.guid).status_code == 202

    def apps(self) -> dict[str, AppId]:
        with reading(self.slipway.engine) as tx:
            found = {
                f"{name}-{app}": apps.by_slug(tx, f"{name}-{app}") for name in REPOSITORIES for app in APPS
            }
        return {slug: one.id for slug, one in found.items() if one is not None}

    def made(self) -> list[Deployment]:
        return [one for app in self.apps().values() for one in self.slipway.deployments(app)]

    def has_settled(self) -> bool:
        made = self.made()
        quiet = self.slipway.undecided() == 0 and all(one.state.is_final for one in made)
        return quiet and len(made) > 0 and not self.slipway.unannounced()

    def picture(self) -> dict[str, Any]:
        """Everything that anybody could see."""
        told = {
            name: (
                [(one.number, one.body) for one in repository.comments],
                repository.statuses,
                repository.deployments,
            )
            for name, repository in self.github.world.repositories.items()
        }
        return {"github": told, "made": self.made()}


@pytest.fixture
def storm(tmp_path: Path) -> Generator[Storm]:
    with FakeGitHub().running() as github:
        github.add_token()
        options = {
            "SLIPWAY_GITHUB_API_URL": github.url,
            "SLIPWAY_GITHUB_TOKEN": STATIC_TOKEN,
            "SLIPWAY_GITHUB_WRITES_PER_MINUTE": str(A_MINUTE),
            "SLIPWAY_GITHUB_WRITES_PER_HOUR": "100000",
        }
        made = Storm(Slipway(tmp_path / "home", options).up(), github, tmp_path)
        made.prepare()
        yield made
        made.slipway.down()
        github.assert_nothing_unexpected()


def kill_worker(slipway: Slipway) -> None:
    for process in slipway.find("jobs.worker"):
        process.kill()


@pytest.mark.long
@pytest.mark.timeout(1500)
def test_sixty_pull_requests_end_with_one_true_comment_and_a_last_word_each(storm: Storm):
    lives = storm.events()
    storm.github.storm(0.05, seed=7)
    with ThreadPoolExecutor(8) as pool:
        for half in (lives[: PULLS // 2], lives[PULLS // 2 :]):
            list(pool.map(storm.tell, half))
            wait_until(lambda: any(one.state.is_final for one in storm.made()), 60, "some work to be done")
            kill_worker(storm.slipway)
            storm.github.limit(retry_after=2)
            storm.github.limit(secondary=True, retry_after=2)
    wait_until(storm.has_settled, 900, "the storm to settle")
    check_comments(storm)
    check_statuses(storm)
    check_writes(storm)
    check_nothing_changes_by_redelivery(storm)


def check_comments(storm: Storm) -> None:
    closed = sorted(storm.heads)[:CLOSED]
    for (name, number), heads in storm.heads.items():
        comments = storm.github.comments_on(f"acme/{name}", number)
        hostnames = [check_preview(storm, name, number, app) for app in APPS]
        if (name, number) in closed:
            # Where its end was heard of first, nothing was ever deployed, and nothing was said.
            assert len(comments) == int(any(hostnames))
            assert not any(host in one.body for host in hostnames if host for one in comments)
            continue
        (comment,) = comments
        assert all(host is not None and host in comment.body for host in hostnames)
        assert heads[-1][:7] in comment.body


def check_preview(storm: Storm, name: str, number: int, app: str) -> str | None:
    """Whether a preview shows what it should; its hostname, if there ever was one."""
    with reading(storm.slipway.engine) as tx:
        found = environments.by_name(tx, storm.apps()[f"{name}-{app}"], f"preview/pr-{number}")
    if found is None:
        return None
    page = storm.slipway.get(found.hostname)
    if (name, number) in sorted(storm.heads)[:CLOSED]:
        assert found.archived_at is not None
        assert page.status_code == 404
    else:
        assert page.text == f"pull {number} push {PUSHES - 1}"
    return found.hostname


def check_statuses(storm: Storm) -> None:
    for one in storm.made():
        slug = next(slug for slug, app in storm.apps().items() if app == one.app_id)
        name = slug.partition("-")[0]
        # The sweep may find that main was never deployed.
        place = "production" if one.pull is None else "preview"
        shown = storm.github.status_of(f"acme/{name}", one.sha, f"slipway/{slug}/{place}")
        assert shown is not None, one
        assert shown[0] in FINAL, (one, shown)


def check_writes(storm: Storm) -> None:
    assert storm.github.busiest(60) <= A_MINUTE
    # Refused requests are sent again, so those are counted that were carried out.
    assert len(storm.github.said()) <= 6 * len(storm.made())


def check_nothing_changes_by_redelivery(storm: Storm) -> None:
    storm.github.repair()
    before = storm.picture()
    for _ in range(2):
        storm.tell(storm.told)
    # With GUIDs of their own, as a person's click on "Redeliver" in another hook would send them.
    storm.tell([Told(one.payload, f"{one.guid}-again") for one in storm.told])
    wait_until(storm.has_settled, 300, "the redeliveries to be decided")
    assert storm.picture() == before
