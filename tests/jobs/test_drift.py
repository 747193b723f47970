"""What GitHub shows is compared with what is true: what was lost comes back, nothing else is written."""

from datetime import timedelta

import pytest

from bot.domain.deployment import Commit, Hold, State, Trigger
from bot.domain.ids import AppId, DeploymentId
from bot.domain.pull import PullNumber
from bot.lifecycle import Order
from bot.store import apps, comments, drift
from bot.store.engine import reading, writing
from jobs.announce import announce
from jobs.drift import Drift
from tests.fakes.github import FakeGitHub
from tests.jobs.announcer import CONTEXT, REPOSITORY, House, house_says, sha


@pytest.fixture(autouse=True)
def world(fake: FakeGitHub) -> None:
    fake.add_repository(REPOSITORY, 1)


def comparing(house: House) -> Drift:
    return Drift(house.lifecycle, house.tools.github, house.settings, house.now)


def preview(house: House, number: int = 7) -> DeploymentId:
    made = house.open(number, PullNumber(7))
    house.succeed(house.claim())
    announce(house.tools, made)
    return made


def test_where_nothing_differs_nothing_is_written(house: House, fake: FakeGitHub):
    house.deploy(1)
    house.deploy(2)
    preview(house)
    said = fake.said()
    found = comparing(house).compare()
    assert (found.looked, found.repaired, found.note) == (3, 0, "")
    house.sweep()
    assert fake.said() == said


def test_a_status_that_was_lost_or_changed_is_put_right(house: House, fake: FakeGitHub):
    made = house.deploy(1)
    repository = fake.world.repositories[REPOSITORY]
    repository.statuses.clear()
    assert comparing(house).compare().repaired == 1
    house.sweep()
    assert fake.status_of(REPOSITORY, sha(1), CONTEXT) == ("success", house_says(house, made))
    repository.statuses.append({**repository.statuses[-1], "state": "failure", "description": "not us"})
    assert comparing(house).compare().repaired == 1
    house.sweep()
    assert fake.status_of(REPOSITORY, sha(1), CONTEXT) == ("success", house_says(house, made))
    assert comparing(house).compare().repaired == 0


def test_a_deployment_s_state_is_put_right_and_a_deleted_one_made_again(house: House, fake: FakeGitHub):
    house.deploy(1)
    house.deploy(2)
    states = [("shop/production", sha(1)[:7], "inactive"), ("shop/production", sha(2)[:7], "success")]
    assert fake.deployment_states(REPOSITORY) == states
    repository = fake.world.repositories[REPOSITORY]
    repository.deployments[0]["statuses"].append({"state": "success", "description": ""})
    repository.deployments[1]["statuses"].append({"state": "error", "description": ""})
    assert comparing(house).compare().repaired == 2
    house.sweep()
    assert fake.deployment_states(REPOSITORY) == states
    del repository.deployments[1]
    assert comparing(house).compare().repaired == 1
    house.sweep()
    assert fake.deployment_states(REPOSITORY) == states


def test_a_comment_that_was_changed_or_deleted_comes_back(house: House, fake: FakeGitHub):
    preview(house)
    (comment,) = fake.comments_on(REPOSITORY, 7)
    told = comment.body
    comment.bodies.append("Buy my things instead")
    assert comparing(house).compare().repaired == 1
    house.sweep()
    assert comment.body == told
    fake.delete_comments(REPOSITORY)
    assert comparing(house).compare().repaired == 1
    house.sweep()
    (again,) = fake.comments_on(REPOSITORY, 7)
    assert (again.body, again.id != comment.id) == (told, True)
    with reading(house.engine) as tx:
        assert comments.get(tx, AppId(1), PullNumber(7))[0] == again.id


def test_it_looks_back_for_some_days_and_always_at_what_is_live(house: House, fake: FakeGitHub):
    house.deploy(1)
    house.deploy(2)
    house.now.moment += timedelta(days=4)
    fake.world.repositories[REPOSITORY].statuses.clear()
    found = comparing(house).compare()
    assert (found.looked, found.repaired) == (1, 1)
    house.sweep()
    assert fake.status_of(REPOSITORY, sha(1), CONTEXT) is None
    assert fake.status_of(REPOSITORY, sha(2), CONTEXT) is not None


def test_it_is_done_on_a_schedule_and_once_github_is_back(house: House, fake: FakeGitHub):
    tool = comparing(house)
    house.deploy(1)
    tool.run()
    with reading(house.engine) as tx:
        first = drift.last(tx)
    assert (first.compared_at, first.looked) == (house.now(), 1)
    fake.world.repositories[REPOSITORY].statuses.clear()
    house.now.moment += timedelta(minutes=59)
    tool.run()
    assert house.owed() == []
    house.now.moment += timedelta(minutes=2)
    tool.run()
    assert len(house.owed()) == 1
    house.sweep()
    found = house.push(2)
    fake.fail_next(20, 503)
    announce(house.tools, found)
    tool.run()
    fake.repair()
    fake.world.repositories[REPOSITORY].statuses.clear()
    house.now.moment += timedelta(minutes=1)
    house.sweep()
    tool.run()
    house.sweep()
    assert fake.status_of(REPOSITORY, sha(1), CONTEXT) is not None


def test_a_github_that_is_away_ends_it_with_a_note(house: House, fake: FakeGitHub):
    house.deploy(1)
    fake.fail_next(20, 503)
    found = comparing(house).compare()
    assert found.repaired == 0
    assert found.note
    with reading(house.engine) as tx:
        assert drift.last(tx).note == found.note


def test_of_two_pull_requests_with_one_head_the_later_has_the_say(house: House, fake: FakeGitHub):
    preview(house)
    with writing(house.engine) as tx:
        apps.keep_policy(tx, house.app.id, {})
    order = Order(
        house.app, "preview/pr-8", "other", Commit(sha(7)), Trigger.PULL, "opened", "mona", pull=PullNumber(8)
    )
    with house.lifecycle.change() as change:
        made = house.lifecycle.request(change, order).deployment.id
    house.succeed(house.claim())
    announce(house.tools, made)
    said = fake.said()
    assert comparing(house).compare().repaired == 0
    house.sweep()
    assert fake.said() == said


def test_what_waits_is_compared_too(house: House, fake: FakeGitHub):
    found = house.push(1)
    claim = house.claim()
    house.succeed(claim)
    announce(house.tools, found)
    with house.lifecycle.change() as change:
        order = Order(
            house.app, "production", "main", Commit(sha(2)), Trigger.PUSH, "x", "mona", hold=Hold.CHECKS
        )
        held = house.lifecycle.request(change, order).deployment
    assert held.state is State.HELD
    announce(house.tools, held.id)
    fake.world.repositories[REPOSITORY].statuses.clear()
    assert comparing(house).compare().repaired == 2
