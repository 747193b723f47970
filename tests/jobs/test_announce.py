import pytest

from bot.domain.deployment import Blame, Failure, State
from bot.domain.ids import EnvironmentId
from bot.domain.pull import PullNumber
from bot.errors import ErrorCode
from bot.store import deployments, environments
from jobs.announce import announce
from tests.fakes.github import FakeGitHub
from tests.jobs.announcer import CONTEXT, REPOSITORY, House, house_says, sha


def test_a_push_is_told_from_waiting_to_live(house: House, fake: FakeGitHub):
    first = house.deploy(1)
    number = fake.world.repositories[REPOSITORY].deployments[0]["id"]
    assert [one.replace(str(number), "N") for one in fake.said()] == [
        f"status {CONTEXT} on 0000000: pending, Deploying to production",
        "deployment N to shop/production of 0000000",
        "deployment N: in_progress, Deploying to production",
        f"status {CONTEXT} on 0000000: success, {house_says(house, first)}",
        f"deployment N: success, {house_says(house, first)}",
    ]
    (made,) = fake.world.repositories[REPOSITORY].deployments
    assert made["auto_merge"] is False
    assert made["required_contexts"] == []
    assert made["production_environment"] is True
    assert made["transient_environment"] is False
    assert made["payload"] == {"slipway": "DEP-1", "instance": "http://localhost:8000"}
    assert made["statuses"][-1]["environment_url"] == "http://shop.localhost:8080"
    assert made["statuses"][-1]["log_url"] == "http://localhost:8000/deployments/DEP-1"
    assert fake.world.repositories[REPOSITORY].statuses[0]["target_url"] == made["statuses"][-1]["log_url"]
    assert house.owed() == []


def test_the_one_before_is_made_inactive(house: House, fake: FakeGitHub):
    for number in (1, 2, 3):
        house.deploy(number)
    assert [state for _, _, state in fake.deployment_states(REPOSITORY)] == [
        "inactive",
        "inactive",
        "success",
    ]
    assert len(fake.said()) <= 6 * 3


def test_github_itself_retires_those_of_a_branch_environment(house: House, fake: FakeGitHub):
    house.deploy(1, "staging")
    house.deploy(2, "staging")
    assert fake.deployment_states(REPOSITORY) == [
        ("shop/staging", "0000000", "inactive"),
        ("shop/staging", "0000000", "success"),
    ]
    assert len(fake.said()) == 10


def test_quick_changes_are_told_in_few_writes(house: House, fake: FakeGitHub):
    found = house.push(1)
    house.succeed(house.claim())
    announce(house.tools, found)
    assert [one.split(":")[0].split(" ")[0] for one in fake.said()] == ["status", "deployment", "deployment"]
    assert fake.deployment_states(REPOSITORY) == [("shop/production", "0000000", "success")]
    announce(house.tools, found)
    assert len(fake.said()) == 3


def test_no_way_through_the_states_costs_more_than_six_writes(house: House, fake: FakeGitHub):
    house.deploy(1)
    before = len(fake.said())
    found = house.push(2)
    with house.lifecycle.change() as change:
        house.lifecycle.rollback(change, house.app, "production", word="#1", by="somebody")
    rollback = house.claim()
    announce(house.tools, found)
    for _ in range(2):
        with house.lifecycle.change() as change:
            house.lifecycle.resume(change, environments.get(change.tx, EnvironmentId(1)))
        announce(house.tools, found)
        with house.lifecycle.change() as change:
            change.move(deployments.get(change.tx, found), State.HELD, "held again")
        announce(house.tools, found)
    with house.lifecycle.change() as change:
        change.move(deployments.get(change.tx, found), State.QUEUED, "resumed")
    house.leases.finish(rollback, State.CANCELLED, "cancelled by somebody")
    for _ in range(3):
        announce(house.tools, found)
        house.leases.hand_back(house.claim(), "its worker stops")
        announce(house.tools, found)
    claim = house.claim()
    announce(house.tools, found)
    house.succeed(claim)
    announce(house.tools, found)
    house.sweep()
    assert len(fake.said()) - before <= 6
    assert fake.status_of(REPOSITORY, sha(2), CONTEXT) == ("success", house_says(house, found))
    assert [state for _, _, state in fake.deployment_states(REPOSITORY)] == ["inactive", "success"]


def test_one_that_never_started_gets_only_its_status(house: House, fake: FakeGitHub):
    running = house.push(1)
    house.claim()
    dropped, newest = house.push(2), house.push(3)
    house.sweep()
    assert house.known(dropped).github_deployment_id is None
    assert fake.status_of(REPOSITORY, sha(2), CONTEXT) == (
        "error",
        f"Superseded by DEP-{newest}, not deployed",
    )
    assert len(fake.deployment_states(REPOSITORY)) == 1
    assert house.known(running).github_deployment_id is not None
    with house.lifecycle.change() as change:
        house.lifecycle.cancel(change, deployments.get(change.tx, newest), "Ada")
    house.sweep()
    assert fake.status_of(REPOSITORY, sha(3), CONTEXT) == ("error", "Cancelled by Ada")


@pytest.mark.parametrize(("blame", "state"), [(Blame.USER, "failure"), (Blame.PLATFORM, "error")])
def test_a_failure_says_whose_it_is(house: House, fake: FakeGitHub, blame: Blame, state: str):
    found = house.push(1)
    failure = Failure("no-text-for-this", {"code": 1}, blame)
    house.leases.finish(house.claim(), State.FAILED, "the build " + "failed " * 40, failure=failure)
    announce(house.tools, found)
    shown = fake.status_of(REPOSITORY, sha(1), CONTEXT)
    assert shown is not None
    assert shown[0] == state
    assert shown[1].startswith("The build failed failed")
    assert len(shown[1]) <= 140
    assert fake.deployment_states(REPOSITORY)[0][2] == state


def test_a_skipped_one_is_green(house: House, fake: FakeGitHub):
    found = house.push(1)
    with house.lifecycle.change() as change:
        change.move(deployments.get(change.tx, found), State.SKIPPED, "[skip ci] in the message")
    announce(house.tools, found)
    assert fake.status_of(REPOSITORY, sha(1), CONTEXT) == ("success", "Skipped: [skip ci] in the message")


def test_a_rollback_is_a_deployment_of_the_released_commit(house: House, fake: FakeGitHub):
    house.deploy(1)
    house.deploy(2)
    with house.lifecycle.change() as change:
        rollback = house.lifecycle.rollback(change, house.app, "production", word=None, by="Ada")
    announce(house.tools, rollback.id)
    assert len(fake.said()) == 11, "a commit that is live already is not pending again"
    claim = house.claim()
    announce(house.tools, rollback.id)
    house.succeed(claim)
    announce(house.tools, rollback.id)
    shown = fake.status_of(REPOSITORY, sha(1), CONTEXT)
    assert shown is not None
    assert shown[1].startswith("Rolled back to production as ")
    assert [state for _, _, state in fake.deployment_states(REPOSITORY)] == [
        "inactive",
        "inactive",
        "success",
    ]
    assert fake.world.repositories[REPOSITORY].deployments[-1]["sha"] == sha(1)


def test_an_older_deployment_of_a_commit_does_not_speak_over_a_newer_one(house: House, fake: FakeGitHub):
    older = house.push(1)
    house.leases.finish(
        house.claim(), State.FAILED, "broken", failure=Failure(ErrorCode.UNEXPECTED, {}, Blame.PLATFORM)
    )
    newer = house.deploy(1)
    announce(house.tools, older)
    assert newer != older
    shown = fake.status_of(REPOSITORY, sha(1), CONTEXT)
    assert shown is not None
    assert shown[0] == "success"
    assert [state for _, _, state in fake.deployment_states(REPOSITORY)] == ["success"]


def test_a_commit_that_was_heard_of_late_does_not_push_the_newer_out_of_the_comment(
    house: House, fake: FakeGitHub
):
    pull = PullNumber(7)
    newer = house.open(2, pull)
    house.succeed(house.claim())
    announce(house.tools, newer)
    (comment,) = fake.comments_on(REPOSITORY, 7)
    told = comment.body
    assert sha(2)[:7] in told
    announce(house.tools, house.hear_late(1, pull, newer))
    assert house.owed() == []
    assert (comment.body, len(comment.bodies)) == (told, 1)
