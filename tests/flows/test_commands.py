"""Commands in comments on pull requests, from the comment to what they change and what people are shown."""

from collections.abc import Generator

import pytest

from bot.domain.deployment import Hold, State
from bot.domain.environment import Environment
from bot.store import deliveries, environments
from bot.store.engine import reading, writing
from tests.flows.house import TEAM, House, Project, Talk, a_house
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    with a_house(tmp_path_factory.mktemp("commands")) as house:
        yield house
        house.github.assert_nothing_unexpected()


def begun(house: House, policy: str = "") -> tuple[Project, Talk]:
    project = house.project(policy)
    house.github.world.repositories[project.name].collaborators.update(TEAM)
    return project, Talk(project)


def production(project: Project) -> Environment:
    with reading(project.slipway.engine) as tx:
        found = environments.by_name(tx, project.app, "production")
    assert found is not None
    return found


def forked(project: Project, text: str = "theirs") -> str:
    """A commit that a stranger's pull request wants to bring in."""
    if not project.repository.head("theirs"):
        project.repository.force("theirs", project.main)
    sha = project.repository.commit({"index.html": text}, "Theirs", branch="theirs")
    project.repository.point("refs/pull/1/head", sha)
    return sha


def tell_fork(project: Project, action: str, sha: str) -> None:
    told = project.tell(action, sha, head_repository="stranger/shop", login="stranger")
    assert told == [("hold", "fork")]


def test_from_redeploy_to_rollback(house: House):
    project, talk = begun(house)
    slipway = house.slipway
    first = slipway.deploy(project.slug, project.main)
    sha = project.change("one")
    project.tell("opened", sha)
    shown = project.live(sha)

    talk.say("Looks stale.\n\n/redeploy")
    again = project.settled()[0]
    assert (again.state, again.release_id, again.pull) == (State.SUCCEEDED, shown.release_id, 1)
    assert again.requested_by == "mona"

    talk.say("/promote", receipt="confused")
    assert "by the word of a maintainer" in talk.ours("Answer to mona")
    talk.say("/promote", author="max")
    assert "to production" in talk.ours("Answer to max")
    wait_until(lambda: production(project).active_release_id == shown.release_id, 20, "the promotion")

    talk.say("/rollback", author="mona")
    wait_until(lambda: production(project).active_release_id == first.release_id, 20, "the rollback")
    assert production(project).pinned
    assert talk.ours("back\\. Automatic deploys wait")

    talk.say("/explain\n/help\n> /cancel\n```\n/cancel\n```")
    body = talk.ours("Commands</summary>")
    assert f"{again.sha[:7]} is succeeded" in body
    assert "`/lock [reason]`" in body


def test_a_fork_is_built_once_somebody_approves_that_very_commit(house: House):
    project, talk = begun(house)
    sha = forked(project)
    tell_fork(project, "opened", sha)
    command = f"/approve {sha[:7]}"
    assert command in project.told(sha, "pending")
    assert f"`{command}`" in talk.ours("waits")
    talk.say("/deploy", receipt="confused")
    assert "Nobody has approved" in talk.ours("Answer to mona")
    newer = forked(project, "other")
    tell_fork(project, "synchronize", newer)
    talk.say(command, receipt="confused")
    assert f"waits with commit {newer[:7]}" in talk.ours("Answer to mona")
    talk.say(f"/approve {newer[:9]}")
    live = project.live(newer)
    assert (live.approved_by, live.with_secrets) == ("mona", False)
    assert project.page() == "other"
    talk.say(f"/approve {newer[:9]} --with-secrets")
    wait_until(lambda: project.newest().with_secrets, 10, "more trust")
    project.settled()
    last = forked(project, "evil")
    tell_fork(project, "synchronize", last)
    assert (project.newest().state, project.newest().hold) == (State.HELD, Hold.APPROVAL)
    assert project.page() == "other"


def test_a_lock_makes_everything_wait_until_its_owner_or_an_admin_opens_it(house: House):
    project, talk = begun(house)
    sha = project.change("one")
    project.tell("opened", sha)
    project.live(sha)
    talk.say("/lock <b>we</b> @all test")
    assert "is locked by mona" in talk.ours("locked by")
    assert "@all" not in talk.ours("locked by")
    second = project.change("two")
    project.tell("synchronize", second)
    held = project.newest()
    assert (held.state, held.hold, held.sha) == (State.HELD, Hold.LOCKED, second)
    assert project.told(second, "pending").startswith("Waiting: locked by mona")
    ada = talk.write("/unlock", author="reader")
    assert talk.tell(ada) == [("ignore", "command-denied")]
    talk.receipt(ada, "-1")
    house.github.world.repositories[project.name].collaborators["eve"] = "write"
    talk.say("/unlock", author="eve", receipt="confused")
    talk.say("/redeploy", author="eve", receipt="confused")
    talk.say("/unlock\n/ttl 3d", author="ada")
    project.live(second)
    assert "as somebody set it" in talk.ours("as somebody set it")
    talk.say("/ttl 1m")
    assert project.environment().expires_at is not None


def test_cancel_and_deploy(house: House):
    project, talk = begun(house, 'previews = { drafts = "wait" }')
    sha = project.change("one")
    assert project.tell("opened", sha, draft=True) == [("skip", "draft")]
    talk.say("/cancel", receipt="confused")
    talk.say("/deploy")
    assert project.live(sha).requested_by == "mona"
    slow = project.repository.commit(
        {"slipway.toml": '[build]\ncommand = "sleep 60"\noutput = "."\n'}, "Slow", branch="feature"
    )
    project.repository.point("refs/pull/1/head", slow)
    talk.say("/deploy production", author="mona", receipt="confused")
    talk.say("/deploy nowhere", receipt="confused")
    talk.say("/deploy")
    wait_until(lambda: project.newest().state is State.RUNNING, 20, "a running build")
    talk.say("/cancel")
    project.settled()
    assert [one.state for one in project.of(slow)] == [State.CANCELLED]


def test_who_may_not_is_not_obeyed_and_nothing_is_done_twice(house: House):
    project, talk = begun(house)
    sha = project.change("one")
    project.tell("opened", sha)
    project.live(sha)
    stranger = talk.write("/redeploy", author="stranger")
    assert talk.tell(stranger) == [("ignore", "command-denied")]
    talk.receipt(stranger, "-1")
    for values in (
        {"kind": "Bot"},
        {"by_app": True},
    ):
        assert talk.tell(talk.write("/redeploy"), **values) == [("ignore", "no-person")]
    assert talk.tell(talk.write("/redeploy"), login_id=2) == [("ignore", "command-denied")]
    for values in ({"action": "edited"}, {"on_pull": False}):
        assert talk.tell(talk.write("/redeploy"), **values) == [("ignore", "event-unused")]
    assert talk.tell(talk.write("> /redeploy\n\nWhy?")) == [("ignore", "no-command")]
    assert len(project.settled()) == 1
    late = talk.write("/redeploy")
    assert talk.tell(late, minutes_ago=90) == [("command", "command")]
    talk.receipt(late, "confused")
    assert "late" in talk.ours("Answer to mona")
    once = talk.write("/redeploy")
    payload = talk.payload(once)
    assert talk.deliver(payload, "the-guid") == [("command", "command")]
    assert talk.deliver(payload, "the-guid") == [("command", "command")]
    assert talk.deliver(payload) == [("ignore", "command-done")]
    assert len(project.settled()) == 2
    talk.receipt(once, "+1")
    unknown = talk.say("/lgtm", receipt="confused")
    assert "no command" in talk.ours("Commands</summary>")
    assert talk.tell(talk.write("/lgtm")) == [("ignore", "no-command")]
    assert unknown.reactions


def test_while_github_does_not_say_who_may_nothing_is_done(house: House):
    project, talk = begun(house)
    sha = project.change("one")
    project.tell("opened", sha)
    project.live(sha)
    house.github.fail_next(3, 500, path="/permission")
    comment = talk.write("/redeploy", author="ada")
    guid = f"comment-{project.slug}-down"
    assert house.slipway.deliver("issue_comment", talk.payload(comment), guid).status_code == 202

    def put_off() -> str:
        with reading(house.slipway.engine) as tx:
            return deliveries.by_guid(tx, guid)[0].note

    assert "PermissionUnknownError" in wait_until(put_off, 20, "the first attempt")
    assert len(project.settled()) == 1

    def heard() -> bool:
        with writing(house.slipway.engine) as tx:
            deliveries.take_up(tx, deliveries.by_guid(tx, guid)[0].id)
        talk.tell(comment, action="edited")
        return bool(comment.reactions)

    wait_until(heard, 20, "the command after all")
    talk.receipt(comment, "+1")
    assert len(project.settled()) == 2


def test_of_several_apps_those_are_meant_that_the_pull_request_deploys(house: House):
    project, talk = begun(house)
    docs = project.second_app("docs")
    sha = project.change("one")
    project.tell("opened", sha)
    project.live(sha)
    talk.say("/redeploy")
    assert [one.state for one in project.settled()] == [State.SUCCEEDED] * 2
    talk.say("/promote", author="max", receipt="confused")
    talk.ours(f"name one of {project.slug}, {docs} with --app".replace("-", "\\-").replace(",", "\\,"))
    talk.say("/promote --app nothing", author="max", receipt="confused")
    assert "There is no such app here" in talk.ours("no such app")
    talk.say(f"/promote --app {project.slug}", author="max")
    wait_until(lambda: production(project).active_release_id is not None, 20, "the promotion")


def test_each_command_is_in_the_audit_log_with_actor_and_delivery(house: House):
    project, talk = begun(house)
    sha = project.change("one")
    project.tell("opened", sha)
    project.live(sha)
    comment = talk.write("/lock now\n/cancel\n/lgtm")
    assert talk.deliver(talk.payload(comment), "audited") == [("command", "command")]
    with reading(house.slipway.engine) as tx:
        rows = tx.exec_driver_sql("SELECT action, actor_key, origin, subject, after FROM audit").all()
    mine = [tuple(row)[:4] for row in rows if row.origin == "delivery audited"]
    said = ("github:mona", "delivery audited", "pull request #1")
    assert mine == [("command.lock", *said), ("command.cancel", *said)]
    refused = [row.after for row in rows if row.action == "command.cancel"]
    assert "Nothing waits or runs for this preview." in refused[-1]
