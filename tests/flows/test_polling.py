"""An instance that GitHub can't reach: the whole life of a pull request, with not one delivery."""

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.fakes.github import FakeGitHub
from tests.fakes.github_comments import BOT, Comment
from tests.fakes.repository import Repository
from tests.flows.test_places import House, Project
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def project(fake: FakeGitHub, tmp_path: Path) -> Generator[Project]:
    fake.apps.clone_base = f"file://{tmp_path}"
    options = {
        "SLIPWAY_GITHUB_API_URL": fake.url,
        "SLIPWAY_GITHUB_URL": f"file://{tmp_path}",
        "SLIPWAY_GITHUB_APP_ID": fake.world.app_id,
        "SLIPWAY_GITHUB_PRIVATE_KEY": fake.world.pem,
        "SLIPWAY_INTAKE": "poll",
        "SLIPWAY_POLL_SECONDS": "0.3",
        "SLIPWAY_SWEEP_SECONDS": "0.2",
        "SLIPWAY_GITHUB_WRITES_PER_MINUTE": "10000",
        "SLIPWAY_GITHUB_WRITES_PER_HOUR": "10000",
    }
    slipway = Slipway(tmp_path / "home", options).up()
    (tmp_path / "acme").mkdir()
    repository = Repository(tmp_path / "acme" / "shop.git")
    rules = '[policy.previews]\nskip_label = "no-preview"\nbase_branches = ["main"]\n'
    repository.commit({"index.html": "main", "slipway.toml": rules}, "Main")
    fake.apps.git["acme/shop"] = repository
    fake.world.repositories["acme/shop"].collaborators |= {"mona": "write", "reader": "read"}
    app = slipway.create_app(repository, "shop")
    yield Project(House(slipway, fake, tmp_path), "shop", "acme/shop", 1, repository, app)
    slipway.down()


def reaction(comment: Comment) -> None:
    assert wait_until(lambda: comment.reactions, 20, "a reaction") == [(BOT, "+1")]


def test_pull_requests_live_and_commands_are_heard_without_any_delivery(project: Project):
    github, name = project.github, project.name
    project.production("main")
    sha = project.commit("one", "change-1", pull=1)
    theirs = {"ref": "change-1", "sha": sha, "repo": {"id": 99, "full_name": "eve/shop"}}
    github.apps.pull(name, 1, sha, head=theirs, user={"login": "eve"})

    def held() -> bool:
        return any(f"/approve {sha[:7]}" in one.body for one in github.comments_on(name, 1))

    wait_until(held, 20, "the command in the comment")
    denied = github.write_comment(name, 1, f"/approve {sha[:7]}", author="reader")
    wait_until(lambda: denied.reactions == [(BOT, "-1")], 20, "the refusal")
    reaction(github.write_comment(name, 1, f"/approve {sha[:7]}", author="mona"))
    project.preview(1, "one")
    project.green(sha, "preview")

    github.apps.pull(name, 1, sha, head=theirs, labels=[{"name": "no-preview"}])
    project.preview(1, "404")
    github.apps.pull(name, 1, sha, head=theirs, labels=[])
    project.preview(1, "one")
    elsewhere = {"ref": "next", "sha": "0" * 40, "repo": github.apps.shown(name)}
    github.apps.pull(name, 1, sha, head=theirs, base=elsewhere)
    project.preview(1, "404")
    github.apps.pull(name, 1, sha, head=theirs, base={**elsewhere, "ref": "main"})
    project.preview(1, "one")

    reaction(github.write_comment(name, 1, "/lock for now", author="mona"))
    wait_until(lambda: "is locked by mona" in github.comments_on(name, 1)[0].body, 20, "the lock")
    reaction(github.write_comment(name, 1, "/unlock", author="mona"))
    github.apps.pull(name, 1, sha, head=theirs, state="closed", merged_at="2026-01-01T00:00:00Z")
    project.preview(1, "404")
    wait_until(lambda: "was merged" in github.comments_on(name, 1)[0].body, 20, "the end in the comment")
