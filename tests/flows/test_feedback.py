"""What GitHub shows, from the first push to a rollback: the whole bot against a GitHub over HTTP."""

from collections.abc import Generator
from dataclasses import dataclass

import pytest

from bot.domain.deployment import State
from tests.fakes.github import STATIC_TOKEN, FakeGitHub
from tests.flows.conftest import MakeRepository
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

NAME = "acme/told"
CONTEXT = "slipway/told/production"


@dataclass
class House:
    slipway: Slipway
    github: FakeGitHub

    def told(self, sha: str, state: str) -> str:
        """The description of a commit's status, once it has that state."""

        def shown() -> str:
            status = self.github.status_of(NAME, sha, CONTEXT)
            return status[1] if status is not None and status[0] == state else ""

        return wait_until(shown, 20, f"{state} on {sha}: {self.github.said()}")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    with FakeGitHub().running() as github:
        github.add_repository(NAME)
        github.add_token()
        options = {"SLIPWAY_GITHUB_API_URL": github.url, "SLIPWAY_GITHUB_TOKEN": STATIC_TOKEN}
        slipway = Slipway(tmp_path_factory.mktemp("told") / "home", options).up()
        yield House(slipway, github)
        slipway.down()
        github.assert_nothing_unexpected()


def test_github_is_told_of_a_push_a_failure_a_skip_an_outage_and_a_rollback(
    house: House, make_repository: MakeRepository
):
    slipway, github = house.slipway, house.github
    repository = make_repository("told")
    first = repository.commit({"index.html": "one"}, "One")
    slipway.create_app(repository, "told")
    assert slipway.deploy("told", first).state is State.SUCCEEDED
    house.told(first, "success")
    assert any("pending" in line for line in github.said())
    shown = [("told/production", first[:7], "success")]
    wait_until(lambda: github.deployment_states(NAME) == shown, 20, "the deployment on GitHub")

    recipe = '[build]\ncommand = "exit 4"\noutput = "out"\n'
    broken = repository.commit({"slipway.toml": recipe}, "Break it")
    assert slipway.deploy("told", broken, before=first).state is State.FAILED
    assert "4" in house.told(broken, "failure")

    skipped = repository.commit({"slipway.toml": None, "index.html": "two"}, "Two [skip deploy]")
    slipway.push("told", skipped, before=broken, message="Two [skip deploy]")
    assert house.told(skipped, "success").startswith("Skipped")

    github.fail_next(1000, 503)
    second = repository.commit({"index.html": "three"}, "Three")
    assert slipway.deploy("told", second, before=skipped).state is State.SUCCEEDED
    github.repair()
    house.told(second, "success")

    assert "succeeded" in slipway.run("rollback", "told")
    back = [("told/production", second[:7], "inactive"), ("told/production", first[:7], "success")]
    wait_until(lambda: github.deployment_states(NAME)[-2:] == back, 20, "the rollback on GitHub")
