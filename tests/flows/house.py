"""A whole instance beside a stand-in for GitHub, its repositories, and what people say on pull requests."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

from bot.clock import utc_now
from bot.domain.deployment import Deployment, State
from bot.domain.environment import Environment
from bot.domain.ids import AppId, Sha
from bot.domain.pull import PullNumber, preview_name
from bot.domain.release import release_hostname
from bot.store import apps, environments, releases
from bot.store.apps import NewApp
from bot.store.engine import reading, writing
from tests.fakes import payloads
from tests.fakes.github import STATIC_TOKEN, FakeGitHub
from tests.fakes.github_comments import USER, Comment
from tests.fakes.repository import Repository
from tests.running import Slipway
from tests.waiting import wait_until

BASE = {"index.html": "<title>shop</title>main", "about.html": "about"}
TEAM = {"mona": "write", "max": "maintain", "ada": "admin", "reader": "read"}


@dataclass
class House:
    slipway: Slipway
    github: FakeGitHub
    folder: Path
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def project(self, policy: str = "", files: dict[str, str] | None = None) -> "Project":
        slug = f"shop-{next(self.numbers)}"
        repository = Repository(self.folder / slug)
        toml = f"[policy]\n{policy}\n" if policy else "[policy]\n"
        main = repository.commit({"slipway.toml": toml, **BASE, **(files or {})}, "Main")
        self.github.add_repository(f"acme/{slug}", int.from_bytes(slug.encode()[-6:], "big"))
        new = NewApp(slug, f"acme/{slug}", repository.url, "main")
        with writing(self.slipway.engine) as tx:
            app = apps.insert(tx, new, utc_now()).id
        return Project(self, slug, repository, app, main)

    def deliver(self, event: str, payload: dict[str, Any], guid: str) -> list[tuple[str, str]]:
        """Deliver an event; what was decided, as kind and code."""
        assert self.slipway.deliver(event, payload, guid).status_code == 202
        return [(one.kind, one.code) for one in self.slipway.decisions_of(guid)]


@dataclass
class Project:
    house: House
    slug: str
    repository: Repository
    app: AppId
    main: Sha
    seconds: int = 0

    @property
    def slipway(self) -> Slipway:
        return self.house.slipway

    @property
    def name(self) -> str:
        return f"acme/{self.slug}"

    def second_app(self, name: str) -> str:
        """Another app, from a folder of the same repository; its name."""
        slug = f"{self.slug}-{name}"
        with writing(self.slipway.engine) as tx:
            apps.insert(
                tx, NewApp(slug, self.name, self.repository.url, "main", root_directory=name), utc_now()
            )
        return slug

    def change(self, text: str, branch: str = "feature", *, number: int = 1, message: str = "Change") -> Sha:
        """A commit on a pull request's branch, as git shows it."""
        if not self.repository.head(branch):
            self.repository.force(branch, self.main)
        sha = self.repository.commit({"index.html": text}, message, branch=branch)
        self.repository.point(f"refs/pull/{number}/head", sha)
        return sha

    def payload(self, action: str, sha: str, *, at: int | None = None, **values: Any) -> dict[str, Any]:
        if at is None:
            self.seconds += 1
        moment = self.seconds if at is None else at
        return payloads.pull_request(
            action=action,
            sha=sha,
            repository=self.name,
            repository_id=int.from_bytes(self.slug.encode()[-6:], "big"),
            updated_at=f"2026-01-01T12:{moment // 60:02}:{moment % 60:02}Z",
            **values,
        )

    def tell(self, action: str, sha: str, **values: Any) -> list[tuple[str, str]]:
        """Deliver an event; what was decided, as kind and code."""
        return self.deliver(self.payload(action, sha, **values))

    def deliver(self, payload: dict[str, Any]) -> list[tuple[str, str]]:
        return self.house.deliver("pull_request", payload, f"guid-{self.slug}-{next(self.house.numbers)}")

    def environment(self, number: int = 1) -> Environment:
        with reading(self.slipway.engine) as tx:
            found = environments.by_name(tx, self.app, preview_name(PullNumber(number)))
        assert found is not None
        return found

    def newest(self, number: int = 1) -> Deployment:
        environment = self.environment(number)
        return next(one for one in self.slipway.deployments(self.app) if one.environment_id == environment.id)

    def of(self, sha: str) -> list[Deployment]:
        return [one for one in self.slipway.deployments(self.app) if one.sha == sha]

    def settled(self, number: int = 1) -> list[Deployment]:
        """Deployments of a preview, newest first, once each has its last word."""

        def final() -> list[Deployment]:
            environment = self.environment(number)
            mine = [one for one in self.slipway.deployments(self.app) if one.environment_id == environment.id]
            return mine if all(one.state.is_final for one in mine) else []

        return wait_until(final, 30, "the last word")

    def live(self, sha: str, number: int = 1) -> Deployment:
        """The commit's deployment once it is live in the preview."""

        def succeeded() -> Deployment | None:
            mine = [one for one in self.of(sha) if one.state is State.SUCCEEDED and one.pull == number]
            return mine[0] if mine else None

        return wait_until(succeeded, 30, f"{sha} live: {self.slipway.deployments(self.app)}")

    def page(self, number: int = 1) -> str:
        answer = self.slipway.get(self.environment(number).hostname)
        return answer.text if answer.status_code == 200 else str(answer.status_code)

    def gone(self, number: int = 1) -> None:
        wait_until(lambda: self.page(number) == "404", 10, "the end of the preview")

    def lasting(self, deployment: Deployment) -> str:
        assert deployment.release_id is not None
        with reading(self.slipway.engine) as tx:
            release = releases.get(tx, deployment.release_id)
        return release_hostname(release, self.slug, "localhost")

    def status(self, sha: str) -> tuple[str, str] | None:
        return self.house.github.status_of(self.name, sha, f"slipway/{self.slug}/preview")

    def told(self, sha: str, state: str) -> str:
        def shown() -> str:
            status = self.status(sha)
            return status[1] if status is not None and status[0] == state else ""

        return wait_until(shown, 20, f"{state} on {sha}: {self.house.github.said()}")

    def comment(self, words: str, number: int = 1) -> Comment:
        """The one comment, once it has the words."""

        def shown() -> Comment | None:
            (comment, *more) = self.house.github.comments_on(self.name, number) or [None]
            assert more == []
            return comment if comment is not None and words in comment.body else None

        return wait_until(shown, 20, f"a comment with {words}: {self.house.github.said()}")

    def on_github(self) -> list[tuple[str, str, str | None]]:
        return self.house.github.deployment_states(self.name)


@dataclass
class Talk:
    """The comments on a project's pull requests."""

    project: Project

    @property
    def github(self) -> FakeGitHub:
        return self.project.house.github

    def write(self, body: str, *, author: str = "mona", number: int = 1) -> Comment:
        return self.github.write_comment(self.project.name, number, body, author=author)

    def payload(self, comment: Comment, *, minutes_ago: int = 0, **values: Any) -> dict[str, Any]:
        return payloads.issue_comment(
            body=comment.body,
            comment=comment.id,
            number=comment.number,
            login=comment.author,
            repository=self.project.name,
            repository_id=int.from_bytes(self.project.slug.encode()[-6:], "big"),
            written_at=f"{utc_now() - timedelta(minutes=minutes_ago):%Y-%m-%dT%H:%M:%SZ}",
            **values,
        )

    def tell(self, comment: Comment, **values: Any) -> list[tuple[str, str]]:
        return self.deliver(self.payload(comment, **values))

    def deliver(self, payload: dict[str, Any], guid: str = "") -> list[tuple[str, str]]:
        house = self.project.house
        guid = guid or f"comment-{self.project.slug}-{next(house.numbers)}"
        return house.deliver("issue_comment", payload, guid)

    def say(self, body: str, *, author: str = "mona", number: int = 1, receipt: str = "+1") -> Comment:
        """Write commands, and wait for the receipt."""
        comment = self.write(body, author=author, number=number)
        assert ("command", "command") in self.tell(comment)
        self.receipt(comment, receipt)
        return comment

    def receipt(self, comment: Comment, reaction: str) -> None:
        shown = wait_until(lambda: comment.reactions, 20, f"a reaction: {self.github.said()[-5:]}")
        assert shown == [(USER, reaction)]

    def ours(self, words: str, number: int = 1) -> str:
        """What our one comment says, once it has the words."""

        def shown() -> str:
            found = self.github.comments_on(self.project.name, number)
            (ours,) = [one for one in found if one.author == USER] or [None]
            return ours.body if ours is not None and words in ours.body else ""

        return wait_until(shown, 20, f"'{words}' in {self.github.comments_on(self.project.name, number)}")


@contextmanager
def a_house(folder: Path, **settings: str) -> Generator[House]:
    """An instance in a folder, with `settings` besides what brings it to its GitHub."""
    with FakeGitHub().running() as github:
        github.add_token()
        ours = {
            "SLIPWAY_GITHUB_API_URL": github.url,
            "SLIPWAY_GITHUB_TOKEN": STATIC_TOKEN,
            "SLIPWAY_GITHUB_WRITES_PER_MINUTE": "10000",
            "SLIPWAY_GITHUB_WRITES_PER_HOUR": "10000",
        }
        slipway = Slipway(folder / "home", {**ours, **settings}).up()
        try:
            yield House(slipway, github, folder)
        finally:
            slipway.down()
