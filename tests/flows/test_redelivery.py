"""GitHub tells everything once more, and once more: nothing changes anywhere."""

import json
from collections.abc import Generator
from typing import Any

import pytest

from bot.domain.ids import DeliveryId
from bot.store import deliveries
from bot.store.deliveries import GITHUB
from bot.store.engine import reading
from tests.fakes import payloads
from tests.flows.house import TEAM, House, Project, Talk, a_house
from tests.waiting import wait_until

pytestmark = pytest.mark.slow

TABLES = ("deployments", "deployment_events", "environments", "releases", "commands", "audit", "apps")
BY_LEVEL = ("push", "pull_request", "issue_comment", "check_run", "status")
"""Events that mean the same when they come again under a GUID of their own, as by another webhook."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    with a_house(tmp_path_factory.mktemp("redelivery")) as house:
        yield house
        house.github.assert_nothing_unexpected()


def live(project: Project) -> None:
    """What happens to a repository in a week."""
    slipway, github = project.slipway, project.house.github
    github.world.repositories[project.name].collaborators.update(TEAM)
    talk = Talk(project)
    slipway.deploy(project.slug, project.main)
    first = project.change("one")
    project.tell("opened", first)
    project.live(first)
    second = project.change("two")
    project.tell("synchronize", second)
    project.live(second)
    talk.say("/lock now")
    talk.say("/unlock\n/redeploy")
    denied = talk.write("/redeploy", author="stranger")
    talk.tell(denied)
    talk.receipt(denied, "-1")
    project.settled()
    for payload in (payloads.check_run(sha=second), payloads.status(sha=second)):
        kind = "check_run" if "check_run" in payload else "status"
        payload["repository"] |= {"id": int.from_bytes(project.slug.encode()[-6:], "big")}
        assert slipway.deliver(kind, payload).status_code == 202
    held = project.change("theirs", "theirs", number=2)
    project.tell("opened", held, number=2, branch="theirs", head_repository="eve/shop", login="eve")
    project.tell("converted_to_draft", second, draft=True)
    project.tell("ready_for_review", second)
    project.tell("closed", held, number=2, head_repository=None)
    merged = project.repository.merge("main", "feature")
    project.tell("closed", second, merged=True)
    project.gone()
    slipway.deploy(project.slug, merged, before=project.main)
    for action, private in (("privatized", True), ("publicized", False)):
        number = int.from_bytes(project.slug.encode()[-6:], "big")
        told = payloads.repository_event(
            action, repository=project.name, repository_id=number, private=private
        )
        assert slipway.deliver("repository", told).status_code == 202


def settle(house: House) -> None:
    quiet = lambda: not house.slipway.undecided() and not house.slipway.unannounced()  # noqa: E731
    wait_until(quiet, 30, "that all is decided and said")


def picture(house: House) -> dict[str, Any]:
    """Everything that anybody could see."""
    told = {
        name: (
            [(one.number, one.bodies, one.reactions) for one in repository.comments],
            repository.statuses,
            repository.deployments,
        )
        for name, repository in house.github.world.repositories.items()
    }
    with house.slipway.engine.connect() as connection:
        rows = {
            table: [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {table} ORDER BY id")]
            for table in TABLES
        }
    return {**told, **rows}


def told(house: House) -> list[tuple[str, str, dict[str, Any]]]:
    """Every delivery: its event, its GUID, and what it said."""
    with reading(house.slipway.engine) as tx:
        count = tx.exec_driver_sql("SELECT max(id) FROM deliveries").scalar_one()
        found = [deliveries.get(tx, DeliveryId(number)) for number in range(1, count + 1)]
    return [(one.event, one.guid, json.loads(one.body)) for one in found if one and one.source == GITHUB]


def test_everything_twice_more_changes_nothing_anywhere(house: House):
    live(house.project())
    settle(house)
    said, before = told(house), picture(house)
    assert {event for event, _, _ in said} == {*BY_LEVEL, "repository"}
    for _ in range(2):
        for event, guid, payload in said:
            answer = house.slipway.deliver(event, payload, guid)
            assert (answer.status_code, answer.json()["duplicate"]) == (202, True)
    settle(house)
    assert picture(house) == before
    for event, guid, payload in said:
        if event in BY_LEVEL:
            assert house.slipway.deliver(event, payload, f"{guid}-again").status_code == 202
    settle(house)
    assert picture(house) == before
