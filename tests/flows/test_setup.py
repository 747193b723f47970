import html
import json
import re
from collections.abc import Generator
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from bot.cli.main import application
from bot.console.access import console_key
from bot.errors import UserError
from bot.store import apps
from bot.store.engine import reading
from tests.fakes.github import FakeGitHub
from tests.fakes.repository import Repository
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def instance(fake: FakeGitHub, tmp_path: Path) -> Generator[Slipway]:
    fake.apps.clone_base = f"file://{tmp_path}"
    options = {
        "SLIPWAY_GITHUB_API_URL": fake.url,
        "SLIPWAY_GITHUB_URL": f"file://{tmp_path}",
        "SLIPWAY_INTAKE": "poll",
        "SLIPWAY_POLL_SECONDS": "0.3",
        "SLIPWAY_SWEEP_SECONDS": "0.2",
    }
    slipway = Slipway(tmp_path / "home", options).up()
    yield slipway
    slipway.down()


def repository(fake: FakeGitHub, folder: Path, name: str, number: int) -> Repository:
    (folder / name).parent.mkdir(exist_ok=True)
    made = Repository(folder / f"{name}.git")
    fake.add_repository(name, number)
    fake.world.installations[9].permissions |= {"pull_requests": "read", "checks": "write", "issues": "read"}
    fake.apps.git[name] = made
    return made


def shows(instance: Slipway, hostname: str, text: str) -> bool:
    return text in instance.get(hostname).text


def test_an_instance_that_github_can_t_reach_is_set_up_by_clicks_and_a_push_goes_live(
    fake: FakeGitHub, instance: Slipway, tmp_path: Path
):
    del fake.world.repositories["acme/shop"]
    shop = repository(fake, tmp_path, "acme/shop", 31)
    shop.commit({"index.html": "<h1>one</h1>"}, "First")
    web = instance.web
    web.post("/sign-in", data={"key": console_key(instance.settings)})
    page = web.get("/setup").text
    wanted = html.unescape(re.findall(r'name="manifest" value="([^"]+)"', page)[0])
    action = httpx.URL(html.unescape(re.findall(r'action="(file:[^"]+)"', page)[0]))
    code = fake.apps.submit(json.loads(wanted))
    back = web.get("/setup/github", params={"code": code, "state": action.params["state"]})
    assert back.status_code == 303
    wait_until(lambda: "acme/shop" in web.get("/setup").text, 15, "the repository's listing")
    made = web.post("/setup/apps", data={"repository": "31"}).headers["location"]
    wait_until(lambda: 'href="/apps/shop"' in web.get(made).text, 15, "the app")
    wait_until(lambda: shows(instance, "shop.localhost", "one"), 20, "the first release")
    wait_until(fake.said, 10, "a status on GitHub")

    shop.commit({"index.html": "<h1>two</h1>"}, "Second")
    wait_until(lambda: shows(instance, "shop.localhost", "two"), 20, "the push is live")
    page = web.get("/deliveries").text
    assert "· poll" in page
    assert "Pushed to main, the production branch." in page

    plain = Repository(tmp_path / "elsewhere.git")
    plain.commit({"index.html": "plain one"})
    instance.run(
        "app",
        "create",
        "--repository",
        "else/where",
        "--slug",
        "plain",
        "--clone-url",
        f"file:///{tmp_path}/elsewhere.git",
    )
    wait_until(lambda: shows(instance, "plain.localhost", "plain one"), 20, "the plain repository")
    plain.commit({"index.html": "plain two"})
    wait_until(lambda: shows(instance, "plain.localhost", "plain two"), 20, "its push")
    fake.assert_nothing_unexpected()


@pytest.mark.slow
def test_the_same_from_the_command_line(fake: FakeGitHub, tmp_path: Path):
    del fake.world.repositories["acme/shop"]
    fake.apps.clone_base = f"file://{tmp_path}"
    repository(fake, tmp_path, "acme/shop", 31).commit({"index.html": "x"})
    slipway = Slipway(
        tmp_path / "home",
        {"SLIPWAY_GITHUB_API_URL": fake.url, "SLIPWAY_GITHUB_URL": f"file://{tmp_path}"},
    )
    runner = CliRunner(env=slipway.environment)

    def run(*words: str) -> str:
        done = runner.invoke(application, words)
        if isinstance(done.exception, UserError):
            return f"{done.exception.code}: {done.exception.facts}"
        assert done.exit_code == 0, done.output
        return done.stdout

    assert "/setup" in run("github", "setup")
    page = tmp_path / "setup.html"
    assert "slipway github finish CODE" in run("github", "setup", "--page", str(page))
    assert "/settings/apps/new?state=" in page.read_text()
    code = fake.apps.submit(json.loads(run("github", "setup", "--manifest")))
    assert "installations/new" in run("github", "finish", code)
    (listed,) = json.loads(run("github", "repositories", "--json"))
    assert (listed["account"], listed["full_name"], listed["id"]) == ("acme", "acme/shop", 31)
    assert "shop is registered: plain HTML" in run("github", "deploy", "acme/shop")
    run("app", "create", "--repository", "ACME/shop", "--slug", "second")
    with reading(slipway.engine) as tx:
        found = {app.slug: app for app in apps.all_apps(tx)}
    assert {app.repository_id for app in found.values()} == {31}
    assert found["second"].clone_url == found["shop"].clone_url
    assert "slipway-test" in run("github", "forget")
    assert "errand-failed" in run("github", "finish", code)
    slipway.engine.dispose()
