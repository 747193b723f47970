"""Repositories and installations that move, end and come back: what people, visitors and GitHub see of it."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from bot.console.access import console_key
from bot.domain.deployment import Deployment, State
from bot.domain.ids import AppId, Sha
from bot.domain.pull import PullNumber, preview_name
from bot.store import environments
from bot.store.engine import reading
from tests.fakes import payloads
from tests.fakes.github import PERMISSIONS, FakeGitHub
from tests.fakes.github_state import Installation
from tests.fakes.repository import Repository
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

OURS = 9


@dataclass
class House:
    slipway: Slipway
    github: FakeGitHub
    folder: Path
    numbers: "count[int]" = field(default_factory=lambda: count(1))

    def project(self) -> "Project":
        number = 100 + next(self.numbers)
        slug = f"shop-{number}"
        name = f"acme/{slug}"
        (self.folder / name).parent.mkdir(exist_ok=True)
        repository = Repository(self.folder / f"{name}.git")
        repository.commit({"index.html": "main"}, "Main")
        self.github.add_repository(name, number, installation=OURS)
        self.github.apps.git[name] = repository
        app = self.slipway.create_app(repository, slug)
        made = Project(self, slug, name, number, repository, app)
        made.push()
        made.production("main")
        return made


@dataclass
class Project:
    house: House
    slug: str
    name: str
    number: int
    repository: Repository
    app: AppId
    installation: int = OURS

    @property
    def slipway(self) -> Slipway:
        return self.house.slipway

    @property
    def github(self) -> FakeGitHub:
        return self.house.github

    def tell(self, event: str, payload: dict[str, Any]) -> tuple[str, list[str]]:
        """Deliver an event; its GUID, and the codes of what was decided for each app."""
        guid = f"guid-{self.slug}-{next(self.house.numbers)}"
        assert self.slipway.deliver(event, payload, guid).status_code == 202
        return guid, [one.code for one in self.slipway.decisions_of(guid)]

    def push(self, *, name: str = "", number: int = 0) -> list[str]:
        head = self.repository.head("main")
        assert head is not None
        payload = payloads.push(
            after=head,
            repository=name or self.name,
            repository_id=number or self.number,
            installation_id=self.installation,
        )
        return self.tell("push", payload)[1]

    def commit(self, text: str, branch: str = "main", *, pull: int | None = None) -> Sha:
        if not self.repository.head(branch):
            head = self.repository.head("main")
            assert head is not None
            self.repository.force(branch, head)
        sha = self.repository.commit({"index.html": text}, text, branch=branch)
        if pull is not None:
            self.repository.point(f"refs/pull/{pull}/head", sha)
        return sha

    def pull(self, number: int, text: str) -> Sha:
        """Open a pull request on GitHub, or push to it, which nobody tells of yet."""
        sha = self.commit(text, f"change-{number}", pull=number)
        self.github.apps.pull(self.name, number, sha)
        return sha

    def tell_pull(self, action: str, number: int) -> list[str]:
        found = self.github.world.repositories[self.name].pulls[number]
        shown = self.github.apps.shown(self.name)
        payload = {
            "action": action,
            "number": number,
            "pull_request": found,
            "repository": shown,
            "installation": {"id": self.installation},
            "sender": {"login": "mona"},
        }
        return self.tell("pull_request", payload)[1]

    def tell_repository(self, action: str, **more: Any) -> tuple[str, list[str]]:
        payload = payloads.repository_event(
            action, repository=self.name, repository_id=self.number, **more
        ) | {"installation": {"id": self.installation}}
        return self.tell("repository", payload)

    def move(self, name: str, installation: int = OURS) -> None:
        """Let the repository have another name, or another owner, as GitHub does it."""
        world, git = self.github.world, self.github.apps.git
        moved = world.repositories.pop(self.name)
        moved.full_name, moved.installation = name, installation
        world.repositories[name] = moved
        self.github.apps.pulls[name] = self.github.apps.pulls.pop(self.name, [])
        target = self.house.folder / f"{name}.git"
        target.parent.mkdir(exist_ok=True)
        git.pop(self.name).path.rename(target)
        self.repository = git[name] = Repository(target)
        self.name, self.installation = name, installation

    def api(self, path: str = "") -> dict[str, Any]:
        """What the API says of the app."""
        key = console_key(self.slipway.settings)
        found = self.slipway.web.get(
            f"/api/v1/apps/{self.slug}{path}", headers={"authorization": f"Bearer {key}"}
        )
        assert found.status_code == 200, found.text
        return found.json()["data"]

    def explained(self, guid: str) -> str:
        return self.slipway.run("explain", guid)

    def audited(self) -> list[tuple[str, str, str]]:
        with reading(self.slipway.engine) as tx:
            rows = tx.exec_driver_sql(f"SELECT action, actor, origin FROM audit WHERE app_id = {self.app}")
            return [(row.action, row.actor, row.origin) for row in rows if row.action.startswith("app.")]

    def production(self, text: str) -> None:
        wait_until(lambda: self.page("production") == text, 30, f"production shows {text}")

    def preview(self, number: int, text: str) -> None:
        name = preview_name(PullNumber(number))
        wait_until(lambda: self.page(name) == text, 30, f"#{number} shows {text}: {self.newest()}")

    def page(self, environment: str) -> str:
        with reading(self.slipway.engine) as tx:
            found = environments.by_name(tx, self.app, environment)
        if found is None:
            return "no such place"
        answer = self.slipway.get(found.hostname)
        return answer.text if answer.status_code == 200 else str(answer.status_code)

    def newest(self) -> Deployment:
        return self.slipway.deployments(self.app)[0]

    def status(self, sha: str, kind: str) -> str:
        found = self.github.status_of(self.name, sha, f"slipway/{self.slug}/{kind}")
        return found[0] if found else ""

    def green(self, sha: str, kind: str) -> None:
        wait_until(lambda: self.status(sha, kind) == "success", 20, f"success of {sha}: {self.github.said()}")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    with FakeGitHub().running() as github:
        folder = tmp_path_factory.mktemp("places")
        github.apps.clone_base = f"file://{folder}"
        options = {
            "SLIPWAY_GITHUB_API_URL": github.url,
            "SLIPWAY_GITHUB_URL": f"file://{folder}",
            "SLIPWAY_GITHUB_APP_ID": github.world.app_id,
            "SLIPWAY_GITHUB_PRIVATE_KEY": github.world.pem,
            "SLIPWAY_GITHUB_WRITES_PER_MINUTE": "10000",
            "SLIPWAY_GITHUB_WRITES_PER_HOUR": "10000",
        }
        slipway = Slipway(folder / "home", options).up()
        yield House(slipway, github, folder)
        slipway.down()


def test_a_repository_that_is_renamed_and_handed_on_goes_on_being_deployed(house: House):
    project = house.project()
    old = project.name
    first = project.pull(1, "one")
    project.tell_pull("opened", 1)
    project.preview(1, "one")
    project.green(first, "preview")

    project.move(f"acme/store-{project.number}")
    renamed = {"repository": {"name": {"from": project.slug}}}
    guid, codes = project.tell_repository("renamed", changes=renamed)
    assert codes == ["repository-moved"]
    assert project.name in project.explained(guid)
    shown = project.api()
    assert (shown["repository"], shown["cloneUrl"]) == (project.name, project.repository.url)
    second = project.pull(1, "two")
    assert project.tell_pull("synchronize", 1) == ["pull-request"]
    project.preview(1, "two")
    project.green(second, "preview")

    house.github.world.installations[10] = Installation(10, dict(PERMISSIONS))
    project.move(f"umbrella/store-{project.number}", installation=10)
    given = {"owner": {"from": {"organization": {"login": "acme"}}}}
    assert project.tell_repository("transferred", changes=given)[1] == ["repository-moved"]
    assert project.api()["repository"] == project.name
    third = project.commit("three")
    assert project.push() == ["production-branch"]
    project.production("three")
    project.green(third, "production")
    assert [(what, who) for what, who, _ in project.audited()][-2:] == [("app.renamed", "mona")] * 2
    assert f"delivery {guid}" in [origin for _, _, origin in project.audited()]

    # Whoever takes the old name takes nothing else.
    assert project.push(name=old, number=project.number + 1000) == ["unknown-repository"]


def test_a_repository_that_is_deleted_loses_its_previews_and_production_stays(house: House):
    project = house.project()
    project.pull(1, "one")
    project.tell_pull("opened", 1)
    project.preview(1, "one")
    asked = len(house.github.requests)
    del house.github.world.repositories[project.name]
    guid, codes = project.tell_repository("deleted")
    assert codes == ["app-away"]
    project.preview(1, "404")
    assert project.page("production") == "main"
    assert project.api()["notice"] == "The repository was deleted on GitHub."
    assert not project.api()["enabled"]
    with reading(house.slipway.engine) as tx:
        place = environments.by_name(tx, project.app, preview_name(PullNumber(1)))
    assert place is not None
    assert place.archive_reason == "the repository was deleted"
    assert "The repository was deleted on GitHub." in project.explained(guid)
    assert project.push() == ["app-disabled"]
    assert ("app.disabled", "mona", f"delivery {guid}") in project.audited()
    wait_until(lambda: house.slipway.unannounced() == 0, 20, "that nobody is owed anything")
    # There is nobody any more to be told.
    assert not [one for one in house.github.requests[asked:] if one.startswith("P") and project.name in one]


def suspended(project: Project) -> tuple[Callable[[], str], Callable[[], None]]:
    def back() -> None:
        project.github.suspend(suspended=False)
        project.tell("installation", payloads.installation("unsuspend", number=OURS))

    def away() -> str:
        project.github.suspend()
        return project.tell("installation", payloads.installation("suspend", number=OURS))[0]

    return away, back


def uninstalled(project: Project) -> tuple[Callable[[], str], Callable[[], None]]:
    listed = {project.number: project.name}
    mine = project.github.world.repositories[project.name]
    project.github.world.installations[11] = Installation(11, dict(PERMISSIONS))

    def away() -> str:
        mine.installation = None
        told = payloads.installation("deleted", number=OURS, repositories=listed)
        # Others of the house have that installation yet.
        told["installation"]["id"] = 8
        return project.tell("installation", told)[0]

    def back() -> None:
        mine.installation = project.installation = 11
        project.tell("installation", payloads.installation("created", number=11, repositories=listed))

    return away, back


def removed(project: Project) -> tuple[Callable[[], str], Callable[[], None]]:
    listed = {project.number: project.name}
    mine = project.github.world.repositories[project.name]

    def away() -> str:
        mine.installation = None
        told = payloads.installation("removed", number=OURS, repositories=listed)
        return project.tell("installation_repositories", told)[0]

    def back() -> None:
        mine.installation = OURS
        told = payloads.installation("added", number=OURS, repositories=listed)
        project.tell("installation_repositories", told)

    return away, back


@pytest.mark.parametrize(
    ("how", "words"),
    [
        (removed, "The repository was taken out of the GitHub App's installation."),
        (uninstalled, "The GitHub App was uninstalled."),
        (suspended, "The GitHub App's installation is suspended."),
    ],
)
def test_while_github_lets_us_see_nothing_all_stays_served_and_then_nothing_was_missed(
    house: House, how: Callable[[Project], tuple[Callable[[], str], Callable[[], None]]], words: str
):
    project = house.project()
    for number in (1, 2):
        project.pull(number, f"text {number}")
        project.tell_pull("opened", number)
        project.preview(number, f"text {number}")
    away, back = how(project)
    guid = away()
    assert words in project.explained(guid)
    shown = project.api()
    assert (shown["enabled"], shown["notice"]) == (False, words)
    assert (project.page("production"), project.page("preview/pr-1")) == ("main", "text 1")

    # What happens meanwhile: of some of it GitHub tells late, of most of it never.
    later = project.commit("later")
    assert project.push() == ["app-disabled"]
    third = project.pull(3, "text 3")
    assert project.tell_pull("opened", 3) == ["app-disabled"]
    newer = project.pull(1, "text 1, newer")
    project.github.apps.pull(project.name, 2, str(project.repository.head("change-2")), state="closed")
    assert project.page("production") == "main"

    back()
    project.production("later")
    project.preview(3, "text 3")
    project.preview(1, "text 1, newer")
    project.preview(2, "404")
    project.green(later, "production")
    project.green(third, "preview")
    project.green(newer, "preview")
    shown = project.api()
    assert (shown["enabled"], shown["notice"]) == (True, None)
    assert [what for what, _, _ in project.audited()][-2:] == ["app.disabled", "app.enabled"]
    wait_until(lambda: project.newest().state is State.SUCCEEDED, 20, "the last of it")
