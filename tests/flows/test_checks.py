"""Deployments that wait for a CI, and what of GitHub's went lost, in a whole running instance."""

from collections.abc import Generator
from pathlib import Path

import pytest

from bot.clock import utc_now
from bot.domain.deployment import Deployment, State
from bot.domain.ids import AppId
from bot.store import apps
from bot.store.apps import NewApp
from bot.store.engine import writing
from tests.fakes import payloads
from tests.fakes.github import STATIC_TOKEN, FakeGitHub
from tests.fakes.repository import Repository
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

POLICY = '[policy.checks]\nproduction = {require = ["test"]}\npreview = {require = ["test"]}\n'
NUMBER = int.from_bytes(b"shop", "big")
NAME = "acme/shop"


@pytest.fixture(scope="module")
def github() -> Generator[FakeGitHub]:
    with FakeGitHub().running() as made:
        made.add_token()
        made.add_repository(NAME, NUMBER)
        yield made
        made.assert_nothing_unexpected()


@pytest.fixture(scope="module")
def slipway(github: FakeGitHub, tmp_path_factory: pytest.TempPathFactory) -> Generator[Slipway]:
    options = {
        "SLIPWAY_GITHUB_API_URL": github.url,
        "SLIPWAY_GITHUB_TOKEN": STATIC_TOKEN,
        "SLIPWAY_DRIFT_SECONDS": "1",
    }
    slipway = Slipway(tmp_path_factory.mktemp("checks") / "home", options).up()
    yield slipway
    slipway.down()


def held(slipway: Slipway, app: AppId, sha: str) -> Deployment:
    """The deployment of a commit, once it waits."""
    made = wait_until(
        lambda: next((one for one in slipway.deployments(app) if one.sha == sha), None), 20, "a deployment"
    )
    assert made is not None
    return made


def shown(github: FakeGitHub, sha: str, place: str, state: str) -> str:
    """What a commit's status says, once it has a state."""

    def said() -> str | None:
        found = github.status_of(NAME, sha, f"slipway/shop/{place}")
        return found[1] if found and found[0] == state else None

    return wait_until(said, 20, f"the status {state}")


def test_pushes_and_pull_requests_wait_for_the_ci_and_lost_statuses_come_back(
    slipway: Slipway, github: FakeGitHub, tmp_path: Path
):
    repository = Repository(tmp_path / "shop")
    main = repository.commit({"slipway.toml": POLICY, "index.html": "main"}, "Main")
    with writing(slipway.engine) as tx:
        app = apps.insert(tx, NewApp("shop", NAME, repository.url, "main"), utc_now()).id
    slipway.push("shop", main)
    made = held(slipway, app, main)
    assert shown(github, main, "production", "pending") == "Waiting for 'test'"
    assert slipway.deployment(made.id).state is State.HELD
    github.check(NAME, main, "test", "success")
    slipway.deliver("check_run", payloads.check_run(sha=main, repository=NAME, repository_id=NUMBER))
    assert slipway.ended(made.id).state is State.SUCCEEDED
    assert slipway.get(slipway.hostname(app)).text == "main"
    told = shown(github, main, "production", "success")
    assert told.startswith("Deployed to production")

    repository.force("feature", main)
    sha = repository.commit({"index.html": "change"}, branch="feature")
    opened = payloads.pull_request(sha=sha, repository=NAME, repository_id=NUMBER)
    github.world.repositories[NAME].pulls[1] = opened["pull_request"]
    slipway.deliver("pull_request", opened)
    preview = held(slipway, app, sha)
    assert shown(github, sha, "preview", "pending") == "Waiting for 'test'"
    github.check(NAME, sha, "test", "failure")
    slipway.deliver("check_suite", payloads.check_suite(sha=sha, repository=NAME, repository_id=NUMBER))
    assert slipway.ended(preview.id).state is State.SKIPPED
    assert shown(github, sha, "preview", "success") == "Skipped: 'test' failed"

    github.world.repositories[NAME].statuses.clear()
    assert shown(github, main, "production", "success") == told
    assert shown(github, sha, "preview", "success") == "Skipped: 'test' failed"
