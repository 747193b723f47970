from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from bot.domain.deployment import State
from bot.domain.errand import ErrandKind
from bot.store import apps, deliveries, deployments, polls
from bot.store.engine import reading, writing
from tests.fakes.github import FakeGitHub
from tests.fakes.repository import Repository
from tests.jobs.asking import Office

ZEROS = "0" * 40


@pytest.fixture
def office(fake: FakeGitHub, tmp_path: Path) -> Generator[Office]:
    office = Office(fake, tmp_path, intake="poll", github_app_id="4711", github_private_key=fake.world.pem)
    yield office
    office.close()


def pushes(told: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, str, str]]:
    return [
        (payload["ref"].rpartition("/")[2], payload["before"], payload["after"])
        for event, payload in told
        if event == "push"
    ]


def pulls(told: list[tuple[str, dict[str, Any]]]) -> list[tuple[int, str]]:
    return [(payload["number"], payload["action"]) for event, payload in told if event == "pull_request"]


def test_heads_on_github_become_pushes_and_nothing_new_costs_nothing(office: Office):
    repository = office.repository("acme/shop")
    first = repository.commit({"index.html": "1"}, "First")
    app = office.app("shop", f"{office.settings.github_url}/acme/shop.git")
    told = office.poll()
    assert pushes(told) == [("main", ZEROS, first)]
    payload = told[0][1]
    assert payload["repository"]["id"] == 1
    assert payload["head_commit"]["message"] == "First"
    assert payload["sender"]["login"] == "mona"
    office.intake.run([one.id for one in office.deliveries()])
    with reading(office.engine) as tx:
        assert apps.get(tx, app.id).repository_id == 1
    assert office.poll() == []
    asked = len(office.fake.requests)
    unchanged = office.fake.unchanged
    assert office.poll() == []
    assert office.fake.unchanged - unchanged == len(office.fake.requests) - asked == 4
    second = repository.commit({"index.html": "2"})
    assert pushes(office.poll()) == [("main", first, second)]
    repository.force("main", first)
    assert pushes(office.poll()) == [("main", second, first)]
    repository.force("main", second)
    assert pushes(office.poll()) == [("main", first, second)]
    repository.delete("main")
    assert pushes(office.poll()) == [("main", second, ZEROS)]
    repository.force("main", second)
    assert pushes(office.poll()) == [("main", ZEROS, second)]
    assert len({one.guid for one in office.deliveries()}) == len(office.deliveries())


def test_an_app_that_comes_later_is_told_of_the_head_as_well(office: Office):
    repository = office.repository("acme/shop")
    sha = repository.commit({"index.html": "1"})
    office.app("shop", f"{office.settings.github_url}/acme/shop.git")
    office.poll()
    later = office.app("docs", f"{office.settings.github_url}/acme/shop.git", "acme/shop")
    assert pushes(office.poll()) == [("main", ZEROS, sha)]
    assert office.deliveries()[-1].verified_app_id == later.id
    with writing(office.engine) as tx:
        apps.set_enabled(tx, later.id, enabled=False)
    repository.commit({"index.html": "2"})
    assert len(office.poll()) == 1


def test_a_plain_git_repository_is_asked_by_git_and_its_id_stays_unknown(office: Office, tmp_path: Path):
    repository = Repository(tmp_path / "elsewhere.git")
    first = repository.commit({"index.html": "1"}, "First [skip ci]")
    app = office.app("plain", f"file://{tmp_path / 'elsewhere.git'}".replace("file:///", "file:////"))
    office.fake.requests.clear()
    told = office.poll()
    assert pushes(told) == [("main", ZEROS, first)]
    assert told[0][1]["head_commit"]["message"] == "First [skip ci]"
    assert office.fake.requests == []
    (found,) = office.deliveries()
    office.intake.run([found.id])
    with reading(office.engine) as tx:
        assert [one.code for one in deliveries.decisions_of(tx, found.id)] == ["skip-marker"]
        assert apps.get(tx, app.id).repository_id is None
    assert office.poll() == []
    second = repository.commit({"index.html": "2"})
    assert pushes(office.poll()) == [("main", first, second)]
    repository.delete("main")
    assert pushes(office.poll()) == [("main", second, ZEROS)]


def test_pull_requests_become_the_events_that_their_changes_are(office: Office):
    repository = office.repository("acme/shop")
    repository.commit({"index.html": "1"})
    office.app("shop", f"{office.settings.github_url}/acme/shop.git")
    made = office.fake.apps
    made.pull("acme/shop", 7, "a" * 40)
    made.pull("acme/shop", 6, "d" * 40, state="closed")
    told = office.poll()
    assert pulls(told) == [(7, "opened")]
    payload = told[-1][1]
    assert payload["repository"]["id"] == 1
    assert payload["pull_request"]["head"]["sha"] == "a" * 40
    assert payload["sender"]["login"] == "mona"
    assert pulls(office.poll()) == []
    made.pull("acme/shop", 7, "b" * 40, labels=[{"name": "preview"}], draft=True)
    made.pull("acme/shop", 8, "c" * 40)
    changed = office.poll()
    assert sorted(pulls(changed)) == [
        (7, "converted_to_draft"),
        (7, "labeled"),
        (7, "synchronize"),
        (8, "opened"),
    ]
    (moved,) = [payload for _, payload in changed if payload["action"] == "synchronize"]
    assert (moved["before"], moved["after"]) == ("a" * 40, "b" * 40)
    base = {"ref": "next", "sha": ZEROS, "repo": made.shown("acme/shop")}
    made.pull("acme/shop", 7, "b" * 40, labels=[], draft=False, base=base)
    assert sorted(pulls(office.poll())) == [(7, "edited"), (7, "ready_for_review"), (7, "unlabeled")]
    made.pull("acme/shop", 7, "b" * 40, state="closed", merged_at="2026-01-01T00:00:00Z")
    (closed,) = [payload for event, payload in office.poll() if event == "pull_request"]
    assert (closed["action"], closed["pull_request"]["merged"]) == ("closed", True)
    made.pull("acme/shop", 7, "b" * 40, state="open", merged_at=None)
    assert pulls(office.poll()) == [(7, "reopened")]
    assert pulls(office.poll()) == []


def comments(told: list[tuple[str, dict[str, Any]]]) -> list[tuple[int, str]]:
    return [
        (payload["issue"]["number"], payload["comment"]["body"])
        for event, payload in told
        if event == "issue_comment"
    ]


def test_comments_on_pull_requests_are_told_of_once_and_what_was_there_before_is_not(office: Office):
    sha = office.repository("acme/shop").commit({"index.html": "1"})
    office.fake.apps.pull("acme/shop", 7, sha)
    old = office.fake.write_comment("acme/shop", 7, "/deploy", author="mona")
    old.written_at = "2020-01-01T00:00:00Z"
    office.app("shop", f"{office.settings.github_url}/acme/shop.git")
    assert comments(office.poll()) == []
    office.fake.write_comment("acme/shop", 8, "/deploy", author="mona").on = "issues"
    first = office.fake.write_comment("acme/shop", 7, "/redeploy", author="mona")
    (told,) = [payload for event, payload in office.poll() if event == "issue_comment"]
    assert (told["action"], told["comment"]["id"]) == ("created", first.id)
    assert (told["repository"]["id"], told["repository"]["private"]) == (1, False)
    unchanged = office.fake.unchanged
    assert office.poll() == []
    assert office.fake.unchanged - unchanged == 4
    first.bodies.append("/rollback")
    for number in range(150):
        office.fake.write_comment("acme/shop", 7, f"number {number}", author="mona")
    assert comments(office.poll()) == [(7, f"number {number}") for number in range(150)]
    assert comments(office.poll()) == []
    office.fake.delete_comments("acme/shop")
    late = office.fake.write_comment("acme/shop", 7, "/cancel", author="mona")
    late.id = 5
    assert comments(office.poll()) == [(7, "/cancel")]


def test_a_command_in_a_comment_is_obeyed_as_if_github_had_told_of_it(office: Office):
    repository = office.repository("acme/shop")
    main = repository.commit({"index.html": "1"})
    app = office.app("shop", f"{office.settings.github_url}/acme/shop.git")
    office.decided()
    repository.force("theirs", main)
    sha = repository.commit({"index.html": "theirs"}, branch="theirs")
    repository.point("refs/pull/7/head", sha)
    theirs = {"ref": "theirs", "sha": sha, "repo": {"id": 99, "full_name": "eve/shop"}}
    office.fake.apps.pull("acme/shop", 7, sha, head=theirs, user={"login": "eve"})
    assert office.decided() == ["fork"]
    with reading(office.engine) as tx:
        (held,) = [one for one in deployments.latest(tx, 9, app.id) if one.pull == 7]
    assert held.state is State.HELD
    office.fake.world.repositories["acme/shop"].collaborators |= {"mona": "write"}
    office.fake.write_comment("acme/shop", 7, f"/approve {sha[:7]}", author="eve")
    assert office.decided() == ["command-denied"]
    office.fake.write_comment("acme/shop", 7, f"/approve {sha[:7]}", author="mona")
    assert office.decided() == ["command"]
    with reading(office.engine) as tx:
        let_go = deployments.get(tx, held.id)
    assert (let_go.state, let_go.approved_by) == (State.QUEUED, "mona")


def test_without_the_permission_for_pull_requests_pushes_are_found_all_the_same(office: Office):
    repository = office.repository("acme/shop")
    sha = repository.commit({"index.html": "1"})
    del office.fake.world.installations[9].permissions["pull_requests"]
    office.app("shop", f"{office.settings.github_url}/acme/shop.git")
    assert pushes(office.poll()) == [("main", ZEROS, sha)]
    with reading(office.engine) as tx:
        problem = polls.last(tx).problems["acme/shop"]
    assert problem.startswith("pull requests: ")
    assert "; comments: " in problem


def test_a_repository_that_fails_is_asked_less_and_keeps_no_other_from_being_asked(
    office: Office, tmp_path: Path
):
    office.app("gone", "file:////nowhere/gone.git")
    repository = Repository(tmp_path / "here.git")
    sha = repository.commit({"index.html": "1"})
    office.app("here", f"file:///{tmp_path / 'here.git'}")
    assert pushes(office.poll()) == [("main", ZEROS, sha)]
    with reading(office.engine) as tx:
        last = polls.last(tx)
    assert list(last.problems) == ["acme/gone"]
    assert last.asked_at == office.clock.now()
    turns = {key: turn.due - office.clock.seconds for key, turn in office.polling.turns.items()}
    assert turns == {"git file:////nowhere/gone.git": 120, f"git file:///{tmp_path / 'here.git'}": 60}


def test_a_rate_limit_is_waited_out(office: Office):
    office.repository("acme/shop").commit({"index.html": "1"})
    office.app("shop", f"{office.settings.github_url}/acme/shop.git")
    office.fake.limit(retry_after=500)
    assert office.poll() == []
    assert [turn.due - office.clock.seconds for turn in office.polling.turns.values()] == [500]
    asked = len(office.fake.requests)
    assert office.poll() == []
    assert len(office.fake.requests) == asked


def test_what_was_told_is_not_told_again_after_a_start(office: Office, fake: FakeGitHub, tmp_path: Path):
    office.repository("acme/shop").commit({"index.html": "1"})
    office.app("shop", f"{office.settings.github_url}/acme/shop.git")
    assert len(office.poll()) == 1
    again = Office(fake, tmp_path, intake="poll", github_app_id="4711", github_private_key=fake.world.pem)
    assert again.poll() == []
    assert again.do(ErrandKind.LIST_REPOSITORIES).result["installations"]
    again.close()
