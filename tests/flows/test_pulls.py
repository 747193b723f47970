"""The life of a pull request, from its first push to its end, in whatever order GitHub tells of it."""

from collections.abc import Callable, Generator

import pytest

from bot.domain.deployment import Phase, State
from tests.fakes.github_comments import USER, Comment
from tests.flows.house import House, a_house
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    with a_house(tmp_path_factory.mktemp("pulls")) as house:
        yield house
        house.github.assert_nothing_unexpected()


def test_a_pull_request_has_a_preview_until_it_is_merged_and_production_builds_nothing(house: House):
    build = {"build.sh": "mkdir out && cp *.html out/\n"}
    project = house.project(
        files={**build, "slipway.toml": '[build]\ncommand = "sh build.sh"\noutput = "out"\n'}
    )
    slipway = house.slipway
    assert slipway.deploy(project.slug, project.main).state is State.SUCCEEDED

    first = project.change("one")
    assert project.tell("opened", first) == [("deploy", "pull-request")]
    shown = project.live(first)
    environment = project.environment()
    assert environment.hostname == f"pr-1-{project.slug}.localhost"
    answer = slipway.get(environment.hostname)
    assert (answer.text, answer.headers["X-Robots-Tag"]) == ("one", "noindex")
    lasting = project.lasting(shown)
    assert slipway.get(lasting).headers["X-Robots-Tag"] == "noindex"
    assert "X-Robots-Tag" not in slipway.get(slipway.hostname(project.app)).headers
    assert project.told(first, "success").startswith("Deployed to preview/pr-1")
    place = f"{project.slug}/preview"
    wait_until(lambda: (place, first[:7], "success") in project.on_github(), 20, "a deployment on GitHub")
    told = project.comment("Deployed to the preview")
    assert f"[{environment.hostname}:{slipway.settings.edge_port}](http://{environment.hostname}" in told.body
    assert len(told.bodies) <= 3

    second = project.change("two")
    project.tell("synchronize", second)
    project.live(second)
    assert project.page() == "two"
    assert slipway.get(lasting).text == "one"
    project.told(second, "success")
    wait_until(lambda: (place, first[:7], "inactive") in project.on_github(), 20, "the first retired")

    merged = project.repository.merge("main", "feature")
    assert project.tell("closed", second, merged=True) == [("teardown", "pull-closed")]
    project.gone()
    wait_until(lambda: slipway.get(lasting).status_code == 404, 10, "the end of the release's own address")
    wait_until(lambda: (place, second[:7], "inactive") in project.on_github(), 20, "the second retired")
    assert project.comment("was merged").id == told.id
    made = slipway.deploy(project.slug, merged, before=project.main)
    assert made.state is State.SUCCEEDED
    assert made.release_id == project.of(second)[0].release_id
    assert "nothing to build" in slipway.log_of(made.id)
    assert slipway.get(slipway.hostname(project.app)).text == "two"


def test_closed_and_reopened_it_comes_back_without_a_build(house: House):
    project = house.project()
    sha = project.change("one")
    project.tell("opened", sha)
    shown = project.live(sha)
    project.tell("closed", sha)
    project.gone()
    assert project.environment().archive_reason == "#1 was closed"
    assert project.tell("reopened", sha) == [("deploy", "pull-request")]
    wait_until(lambda: project.page() == "one", 20, "its return")
    again = project.settled()[0]
    assert (again.state, again.release_id) == (State.SUCCEEDED, shown.release_id)
    assert again.id != shown.id
    place = (f"{project.slug}/preview", sha[:7])
    states = [(*place, "inactive"), (*place, "success")]
    wait_until(lambda: project.on_github() == states, 20, "GitHub's view")


def test_close_beats_a_running_build_and_an_event_that_comes_late(house: House):
    slow = {"slipway.toml": '[build]\ncommand = "sleep 60"\noutput = "."\n'}
    project = house.project(files=slow)
    first = project.change("one")
    opened = project.payload("opened", first)
    project.deliver(opened)
    # Before that, the work would begin with a look at where the branch is.
    wait_until(lambda: project.newest().phase is Phase.BUILD, 20, "a running build")
    second = project.change("two")
    late = project.payload("synchronize", second)
    assert project.tell("closed", second) == [("teardown", "pull-closed")]
    assert [one.state for one in project.settled()] == [State.CANCELLED]
    assert project.deliver(late) == [("ignore", "pull-closed")]
    assert project.deliver(opened) == [("ignore", "pull-closed")]
    assert project.page() == "404"
    assert project.told(first, "error").startswith("#1 was closed")
    assert all(state == "inactive" for _, _, state in project.on_github())


def test_a_close_that_is_heard_of_first_leaves_nothing_to_open(house: House):
    project = house.project()
    sha = project.change("one")
    opened = project.payload("opened", sha)
    assert project.tell("closed", sha) == [("ignore", "pull-closed")]
    assert project.deliver(opened) == [("ignore", "pull-closed")]
    assert project.of(sha) == []


def test_the_newest_commit_wins_whatever_comes_first(house: House):
    project = house.project()
    first = project.change("one")
    opened = project.payload("opened", first)
    second = project.change("two")
    project.tell("synchronize", second)
    project.live(second)
    assert project.deliver(opened) == [("deploy", "pull-request")]
    project.settled()
    assert project.page() == "two"
    assert [one.state for one in project.of(first)] == [State.SUPERSEDED]
    assert project.told(first, "error").startswith("Superseded by")


def test_git_knows_of_a_push_before_its_event_and_of_a_force_push(house: House):
    project = house.project()
    first = project.change("one")
    second = project.change("two")
    project.tell("opened", first)
    project.live(second)
    assert project.page() == "two"
    forced = project.repository.commit({"index.html": "other"}, "Again", branch="feature", onto=project.main)
    project.repository.point("refs/pull/1/head", forced)
    project.tell("synchronize", forced)
    project.live(forced)
    assert project.page() == "other"


def test_a_branch_that_was_deleted_and_made_again_belongs_to_its_new_pull_request(house: House):
    project = house.project()
    first = project.change("one", number=1)
    project.tell("opened", first, number=1)
    project.live(first)
    late = project.payload("edited", first, number=1, changes={"base": {"ref": {"from": "old"}}})
    project.repository.delete("feature")
    project.tell("closed", first, number=1)
    second = project.change("two", number=2)
    project.tell("opened", second, number=2)
    project.live(second, 2)
    assert project.deliver(late) == [("ignore", "pull-closed")]
    assert (project.page(1), project.page(2)) == ("404", "two")


def test_forks_wait_and_nothing_of_them_runs_even_when_the_fork_is_gone(house: House):
    evil = {"slipway.toml": '[build]\ncommand = "touch /tmp/slipway-was-here"\noutput = "."\n'}
    project = house.project()
    project.repository.force("theirs", project.main)
    sha = project.repository.commit({**evil, "index.html": "evil"}, "Evil", branch="theirs")
    project.repository.point("refs/pull/1/head", sha)
    project.repository.delete("theirs")
    opened = project.tell("opened", sha, head_repository="stranger/shop", login="stranger")
    assert opened == [("hold", "fork")]
    held = project.newest()
    assert (held.state, held.sha, held.pull) == (State.HELD, sha, 1)
    assert "fork" in project.told(sha, "pending")
    assert project.tell("edited", sha, head_repository=None, changes={"base": {}}) == [("hold", "fork")]
    assert project.newest().id == held.id
    assert project.tell("closed", sha, head_repository=None) == [("teardown", "pull-closed")]
    assert project.newest().state is State.CANCELLED
    assert project.page() == "404"


def test_a_new_base_that_gets_no_previews_takes_the_preview_down(house: House):
    project = house.project('previews = { base_branches = ["main", "release/*"] }')
    sha = project.change("one")
    project.tell("opened", sha)
    project.live(sha)
    edit = {"base": {"ref": {"from": "main"}}}
    assert project.tell("edited", sha, base="elsewhere", changes=edit) == [("teardown", "base-unused")]
    project.gone()
    newer = project.change("two")
    assert project.tell("synchronize", newer, base="elsewhere") == [("skip", "base-unused")]
    said = project.told(newer, "success")
    assert said == "Skipped: pull requests into that branch are not deployed."
    assert project.tell("edited", newer, base="release/1", changes=edit) == [("deploy", "pull-request")]
    wait_until(lambda: project.page() == "two", 20, "its return")


def test_labels_drafts_markers_and_paths_say_why(house: House):
    project = house.project(files={"docs/a.md": "a"})
    project.repository.commit(
        {
            "slipway.toml": '[policy]\npaths = ["*.html"]\n[policy.previews]\n'
            'drafts = "wait"\nonly_label = "preview"\n'
        },
        "Rules",
    )
    sha = project.change("one")
    label = ("preview",)
    assert project.tell("opened", sha) == [("skip", "label-missing")]
    assert project.told(sha, "success") == "Skipped: it has no label 'preview'."
    assert project.tell("labeled", sha, label="bug", labels=("bug",)) == [("ignore", "label-unused")]
    assert project.tell("labeled", sha, label="preview", labels=label, draft=True) == [("skip", "draft")]
    assert project.tell("ready_for_review", sha, labels=label) == [("deploy", "pull-request")]
    project.live(sha)
    marked = project.tell("synchronize", sha, labels=label, title="Later [skip deploy]")
    assert marked == [("skip", "skip-marker")]
    assert project.tell("unlabeled", sha, label="preview") == [("teardown", "label-missing")]
    project.gone()
    project.repository.force("docs", project.main)
    words = project.repository.commit({"docs/a.md": "b"}, "Words", branch="docs")
    project.repository.point("refs/pull/2/head", words)
    told = project.tell("opened", words, number=2, branch="docs", labels=label)
    assert told == [("skip", "paths-untouched")]
    assert project.told(words, "success") == f"Skipped: no changed file concerns {project.slug}."


def test_the_preview_unused_longest_makes_room(house: House):
    project = house.project("previews = { limit = 2 }")
    shas = [project.change(f"page {n}", f"branch-{n}", number=n) for n in (1, 2, 3)]
    for number, sha in enumerate(shas, 1):
        project.tell("opened", sha, number=number, branch=f"branch-{number}")
        project.live(sha, number)
    project.gone(1)
    assert (project.page(2), project.page(3)) == ("page 2", "page 3")
    assert "made room" in str(project.environment(1).archive_reason)
    assert "this one was unused longest" in project.comment("made room", 1).body
    again = project.change("page 1, later", "branch-1", number=1)
    project.tell("synchronize", again, number=1, branch="branch-1")
    project.live(again, 1)
    project.gone(2)


def test_github_is_asked_where_an_event_may_be_old(house: House):
    project = house.project()
    sha = project.change("one")
    told = project.payload("opened", sha)
    closed = project.payload("closed", sha)["pull_request"]
    house.github.world.repositories[project.name].pulls[1] = closed
    assert project.deliver(told) == [("ignore", "pull-closed")]
    reopened = project.payload("reopened", sha)
    house.github.world.repositories[project.name].pulls[1] = reopened["pull_request"]
    assert project.deliver(reopened) == [("deploy", "pull-request")]
    project.live(sha)


def test_what_was_killed_half_way_is_put_right_by_the_sweep(house: House):
    project = house.project()
    sha = project.change("one")
    project.tell("opened", sha)
    shown = project.live(sha)
    hostname = project.environment().hostname
    project.tell("closed", sha)
    project.gone()
    hosts = house.slipway.settings.edge_home / "hosts"
    # As an executor leaves it that is killed just after it switched the edge.
    (hosts / hostname).mkdir()
    (hosts / hostname / f"{9_999_999_999 - project.environment().activation}.{shown.release_id}.p").touch()
    served: Callable[[], bool] = lambda: house.slipway.get(hostname).status_code == 404  # noqa: E731
    wait_until(served, 10, "the sweep")


def test_one_comment_tells_of_every_app_and_comes_back_when_somebody_deletes_it(house: House):
    project = house.project(files={"docs/index.html": "docs"})
    docs = project.second_app("docs")
    first = project.change("one")
    project.tell("opened", first)
    told = project.comment(f"**{project.slug}**".replace("-", "\\-"))
    assert docs.replace("-", "\\-") in project.comment("Not deployed").body
    house.github.delete_comments(project.name)
    house.github.write_comment(project.name, 1, "<!-- slipway:pr -->\nNo, I am it", author="mallory")
    second = project.change("two")
    project.tell("synchronize", second)
    project.told(second, "success")

    def ours() -> list[Comment]:
        found = [one for one in house.github.comments_on(project.name, 1) if one.author == USER]
        return found if found and second[:7] in found[-1].body and "Deployed" in found[-1].body else []

    (again,) = wait_until(ours, 20, "the comment made again")
    assert again.id != told.id


@pytest.mark.parametrize(("mode", "status"), [("status-only", "success"), ("off", None)])
def test_a_policy_may_want_no_comment_or_not_a_word(house: House, mode: str, status: str | None):
    project = house.project(f'previews = {{ comment = "{mode}" }}')
    sha = project.change("one")
    project.tell("opened", sha)
    project.live(sha)
    wait_until(lambda: project.newest().announced == project.newest().version, 20, "that it is announced")
    found = project.status(sha)
    assert (found[0] if found else None) == status
    assert house.github.comments_on(project.name, 1) == []
