from pathlib import Path

import pytest

from bot.domain.deployment import State
from tests.flows.conftest import MakeRepository
from tests.running import Slipway
from tests.waiting import wait_until

PAGE = "<!doctype html><title>shop</title><h1>{}</h1>" + "<p>text</p>" * 200


@pytest.mark.slow
def test_a_push_goes_live_and_the_next_one_stores_only_what_changed(
    slipway: Slipway, make_repository: MakeRepository
):
    repository = make_repository("shop")
    first = repository.commit({"index.html": PAGE.format("one"), "about.html": PAGE.format("about")}, "First")
    app = slipway.create_app(repository, "shop")
    deployed = slipway.deploy("shop", first)
    assert deployed.state is State.SUCCEEDED, slipway.log_of(deployed.id)
    hostname = slipway.hostname(app)
    answer = slipway.get(hostname)
    assert answer.status_code == 200
    assert "one" in answer.text
    assert slipway.release_at(slipway.hostname(app)) == str(deployed.release_id)
    assert slipway.get(hostname, "/about").status_code == 200
    assert slipway.get(hostname, "/nothing").status_code == 404

    second = repository.commit({"index.html": PAGE.format("two")}, "Second")
    again = slipway.deploy("shop", second, before=first)
    assert again.state is State.SUCCEEDED
    assert "two" in slipway.get(hostname).text
    log = slipway.log_of(again.id)
    assert "1 new" in log
    assert second in log


@pytest.mark.slow
def test_a_site_that_is_built_is_built_in_a_box_without_anything_of_ours(
    slipway: Slipway, make_repository: MakeRepository
):
    repository = make_repository("built")
    sha = repository.commit(
        {
            "slipway.toml": '[build]\ncommand = "sh build.sh"\noutput = "out"\n',
            "build.sh": "mkdir out\nenv > out/environment.txt\necho $SLIPWAY_COMMIT > out/index.html\n",
        },
        "Build me",
    )
    app = slipway.create_app(repository, "built")
    deployed = slipway.deploy("built", sha)
    assert deployed.state is State.SUCCEEDED, slipway.log_of(deployed.id)
    assert sha in slipway.get(slipway.hostname(app)).text
    seen = slipway.get(slipway.hostname(app), "/environment.txt").text
    for secret in ("SLIPWAY_HOME", "SLIPWAY_GITHUB", "a webhook secret", str(slipway.home)):
        assert secret not in seen


@pytest.mark.slow
def test_a_build_that_fails_is_the_users_and_the_old_site_stays(
    slipway: Slipway, make_repository: MakeRepository
):
    repository = make_repository("breaks")
    good = repository.commit({"index.html": "good"}, "Good")
    app = slipway.create_app(repository, "breaks")
    assert slipway.deploy("breaks", good).state is State.SUCCEEDED
    bad = repository.commit(
        {"slipway.toml": '[build]\ncommand = "echo no >&2; exit 3"\noutput = "x"\n'}, "Bad"
    )
    failed = slipway.deploy("breaks", bad, before=good)
    assert failed.state is State.FAILED
    assert failed.failure is not None
    assert (failed.failure.code, failed.failure.blame) == ("build-failed", "user")
    assert failed.failure.facts["exit_code"] == 3
    assert failed.reason == "`echo no >&2; exit 3` ended with exit code 3."
    log = slipway.run("logs", f"DEP-{failed.id}", code=1)
    assert f"Failed: {failed.reason}" in log
    assert "in a fresh clone of the commit" in log
    assert slipway.get(slipway.hostname(app)).text == "good"


@pytest.mark.slow
def test_branches_that_the_policy_maps_have_a_place_of_their_own(
    slipway: Slipway, make_repository: MakeRepository
):
    repository = make_repository("mapped")
    policy = '[policy]\nenvironments = { staging = "develop" }\n'
    main = repository.commit({"index.html": "main", "slipway.toml": policy}, "Main")
    app = slipway.create_app(repository, "mapped")
    assert slipway.deploy("mapped", main).state is State.SUCCEEDED
    repository.force("develop", main)
    develop = repository.commit({"index.html": "develop"}, "Develop", branch="develop")
    assert slipway.deploy("mapped", develop, branch="develop").state is State.SUCCEEDED
    assert slipway.get(slipway.hostname(app)).text == "main"
    assert slipway.get(slipway.hostname(app, "staging")).text == "develop"
    assert "mapped.localhost" in slipway.run("app", "show", "mapped")


@pytest.mark.slow
def test_a_skip_marker_and_an_unknown_branch_deploy_nothing_and_say_why(
    slipway: Slipway, make_repository: MakeRepository
):
    repository = make_repository("quiet")
    sha = repository.commit({"index.html": "x"}, "Quiet [skip ci]")
    slipway.create_app(repository, "quiet")
    skipped = slipway.ended(slipway.deployment_of(slipway.push("quiet", sha, message="Quiet [skip ci]")).id)
    assert skipped.state is State.SKIPPED
    guid = slipway.push("quiet", sha, branch="elsewhere")

    def explained() -> str:
        text = slipway.run("explain", guid)
        return text if "elsewhere" in text else ""

    assert wait_until(explained, what="the decision")


def test_the_demo_shows_a_live_site_and_leaves_nothing(tmp_path: Path):
    demo = Slipway(tmp_path / "home")
    shown = demo.run("demo", "--exit", "--again")
    assert "is live" in shown
    assert " 0 failed" in shown


@pytest.mark.slow
def test_the_demo_shows_a_pull_request_from_its_opening_to_its_merge(tmp_path: Path):
    demo = Slipway(tmp_path / "home")
    for number in (1, 2):
        shown = demo.run("demo", "--exit", "--pr")
        assert f"http://pr-{number}-demo.localhost" in shown
        assert "took the preview's release" in shown
        assert f"pull request #{number} has one comment" in shown
