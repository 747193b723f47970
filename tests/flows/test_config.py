import json
import tomllib
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bot.domain.deployment import State
from bot.domain.ids import AppId
from bot.store import apps
from bot.store.engine import reading
from tests.fakes.repository import Repository
from tests.flows.conftest import MakeRepository
from tests.running import Slipway

RECIPE = """
[build]
command = "sh build.sh"
output = "from-the-file"

[policy]
environments = {staging = "develop"}
paths = ["page.html"]

[apps.effective.build]
root_directory = "site"

[apps.effective.policy]
skip_markers = ["[not now]"]
"""
PAGE = {"site/build.sh": "mkdir -p here && cp page.html here/index.html\n", "site/page.html": "one"}


def shown(slipway: Slipway, app: str) -> dict[str, tuple[Any, str]]:
    (found,) = json.loads(slipway.run("config", "show", "--app", app, "--json"))
    return {one["key"]: (one["value"], one["origin"]) for one in found["values"]}


def create(slipway: Slipway, repository: Repository, slug: str) -> AppId:
    """An app in a folder of the repository acme/mono."""
    where = ("--clone-url", repository.url, "--root-directory", f"apps/{slug}")
    slipway.run("app", "create", "--repository", "acme/mono", "--slug", slug, *where)
    with reading(slipway.engine) as tx:
        app = apps.by_slug(tx, slug)
    assert app is not None
    return app.id


def decided(slipway: Slipway, guid: str) -> dict[str, str]:
    """The sentence of each app's decision about a delivery, by kind."""
    return {one.kind: one.sentence for one in slipway.decisions_of(guid)}


@pytest.mark.slow
def test_what_is_shown_is_what_a_deployment_uses(slipway: Slipway, make_repository: MakeRepository):
    repository = make_repository("effective")
    sha = repository.commit({**PAGE, "slipway.toml": RECIPE}, "First")
    app = slipway.create_app(repository, "effective", output_directory="here")
    values = shown(slipway, "effective")
    assert values["build.root_directory"] == ("site", "slipway.toml on main, line 11")
    assert values["build.command"] == ("sh build.sh", "slipway.toml on main, line 3")
    assert values["build.output"] == ("here", "the app's settings")
    assert values["site.spa"] == (False, "default")
    assert values["policy.environments.staging"] == ("develop", "slipway.toml on main, line 7")
    assert values["policy.skip_markers"] == (["[not now]"], "slipway.toml on main, line 14")

    first = slipway.deploy("effective", sha)
    assert first.state is State.SUCCEEDED, slipway.log_of(first.id)
    assert slipway.get(slipway.hostname(app)).text == "one"
    log = slipway.log_of(first.id)
    assert f"build: {values['build.command'][0]} (slipway.toml)" in log
    assert f"output: {values['build.output'][0]} (the app's settings)" in log

    # The policy's values, as the decisions show them.
    second = repository.commit({"site/other": "2", "page.html": "2"}, "Second")
    assert "skip" in decided(slipway, slipway.push("effective", second, before=sha, message="[not now]"))
    third = repository.commit({"site/other": "3"}, "Third [skip ci]")
    sentence = decided(slipway, slipway.push("effective", third, before=second, message="Third [skip ci]"))
    assert "no pattern names it" in sentence["skip"]
    repository.force("develop", third)
    assert slipway.deploy("effective", third, branch="develop").state is State.SUCCEEDED
    assert slipway.get(slipway.hostname(app, "staging")).text == "one"


@pytest.mark.slow
def test_a_mistake_is_told_with_its_place_in_status_and_log(
    slipway: Slipway, make_repository: MakeRepository
):
    repository = make_repository("mistaken")
    sha = repository.commit({"index.html": "x", "slipway.toml": "[build]\n  comand = 'make'\n"}, "First")
    slipway.create_app(repository, "mistaken")
    failed = slipway.deploy("mistaken", sha)
    told = "slipway.toml, line 2, column 3: build.comand is a key that Slipway does not know; write command."
    assert (failed.state, failed.reason) == (State.FAILED, told)
    assert told in slipway.run("logs", f"DEP-{failed.id}", code=1)


@pytest.mark.slow
def test_a_change_in_a_package_deploys_the_apps_that_need_it(
    slipway: Slipway, make_repository: MakeRepository
):
    repository = make_repository("mono")
    names = {"apps/web": "ui", "apps/api": "data", "packages/ui": "", "packages/data": ""}
    manifests = {
        f"{folder}/package.json": json.dumps(
            {"name": folder.rpartition("/")[2], "dependencies": {needs: "*"} if needs else {}}
        )
        for folder, needs in names.items()
    }
    build = "mkdir out && cp ../../packages/ui/x out/index.html"
    recipe = f"[build]\ncommand = '{build}'\ninstall = 'true'\noutput = 'out'\n"
    first = repository.commit(
        {
            "package.json": '{"workspaces": ["apps/*", "packages/*"]}',
            "slipway.toml": recipe,
            "packages/ui/x": "one",
            **manifests,
        },
        "First",
    )
    web, api = (create(slipway, repository, slug) for slug in ("web", "api"))
    assert slipway.deploy("mono", first).state is State.SUCCEEDED
    for one in slipway.deployments(web) + slipway.deployments(api):
        slipway.ended(one.id)
    assert slipway.get(slipway.hostname(web)).text == "one"

    second = repository.commit({"packages/ui/x": "two"}, "Second")
    told = slipway.run("explain", "--paths", f"{first}..{second}", "--repository", "acme/mono").splitlines()
    assert told == [
        "api  skipped  packages/ui/x: it is outside of apps/api and of what that needs.",
        "web  deploys  packages/ui/x: apps/web needs packages/ui.",
    ]

    sentences = decided(slipway, slipway.push("mono", second, before=first))
    assert sentences["deploy"].endswith("; packages/ui/x changed: apps/web needs packages/ui.")
    assert "of what that needs" in sentences["skip"]
    assert slipway.ended(slipway.deployments(web)[0].id).state is State.SUCCEEDED
    assert slipway.get(slipway.hostname(web)).text == "two"


@pytest.mark.slow
def test_the_schema_is_published(slipway: Slipway):
    answer = slipway.web.get("/schema/slipway.json")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/schema+json")
    assert answer.headers["access-control-allow-origin"] == "*"
    found = answer.json()
    assert found["$id"] == f"{slipway.settings.url}/schema/slipway.json"
    Draft202012Validator(found).validate(tomllib.loads(RECIPE))
