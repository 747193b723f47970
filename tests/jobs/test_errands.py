from collections.abc import Generator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bot import github_app, manifest
from bot.domain.errand import ErrandKind, ErrandState
from bot.domain.ids import ErrandId
from bot.domain.listing import from_json
from bot.store import apps, errands, gaps
from bot.store.deliveries import DECIDED, by_guid
from bot.store.engine import reading, writing
from tests.fakes.github import FakeGitHub, Hook
from tests.jobs.asking import Office
from tests.waiting import wait_until


@pytest.fixture
def office(fake: FakeGitHub, tmp_path: Path) -> Generator[Office]:
    office = Office(fake, tmp_path, public_url="https://bot.example.org")
    yield office
    office.close()


def connected(office: Office) -> Office:
    code = office.fake.apps.submit(manifest.manifest(office.settings))
    assert office.do(ErrandKind.FINISH_SETUP, code).state is ErrandState.DONE
    return office


def test_the_app_that_github_made_is_taken_over_and_signs_in_at_once(office: Office):
    office.repository("acme/shop")
    assert not office.github.is_set
    assert office.made_app.read_hook_secrets() == ()
    code = office.fake.apps.submit(manifest.manifest(office.settings))
    done = office.do(ErrandKind.FINISH_SETUP, code)
    assert (done.state, done.sealed) == (ErrandState.DONE, None)
    assert done.result == {"slug": "slipway-test", "page": "https://github.com/apps/slipway-test"}
    assert office.github.is_set
    assert office.github.reach.covering("acme/shop") == 9
    assert office.made_app.read_hook_secrets() == (b"made by GitHub",)
    assert office.fake.apps.hook == {}
    stored = (office.settings.home / "slipway.db").read_bytes() + (
        office.settings.home / "slipway.db-wal"
    ).read_bytes()
    for secret in (b"PRIVATE KEY", b"made by GitHub", b"a client secret", code.encode()):
        assert secret not in stored


def test_a_webhook_without_a_secret_gets_one(office: Office):
    office.fake.apps.webhook_secret = None
    connected(office)
    (secret,) = office.made_app.read_hook_secrets()
    given = office.fake.apps.hook
    assert (given["secret"].encode(), given["content_type"]) == (secret, "json")
    assert given["url"] == "https://bot.example.org/webhooks/github"
    assert len(secret) == 64


def test_a_code_works_once_and_its_errand_runs_once(office: Office):
    code = office.fake.apps.submit(manifest.manifest(office.settings))
    number = office.ask(ErrandKind.FINISH_SETUP, code)
    office.errands.run(number)
    office.errands.run(number)
    assert office.errand(number).state is ErrandState.DONE
    again = office.do(ErrandKind.FINISH_SETUP, code)
    assert again.state is ErrandState.FAILED
    assert "does not take the code" in again.note
    assert office.github.is_set


def test_the_settings_go_before_what_was_made(office: Office, tmp_path: Path):
    connected(office)
    other = Office(office.fake, tmp_path, github_token=office.fake.add_token())
    assert other.made_app.key() is None
    assert not other.github.session.has_app
    assert other.made_app.read_hook_secrets() == (b"made by GitHub",)
    other.close()
    elsewhere = Office(office.fake, tmp_path, github_api_url="https://github.example.org/api/v3")
    assert elsewhere.made_app.key() is None
    assert elsewhere.made_app.read_hook_secrets() == ()
    elsewhere.close()
    with writing(office.engine) as tx:
        github_app.forget(tx)
    assert not office.github.is_set


def test_installations_are_listed_with_all_pages_and_the_suspended(office: Office):
    connected(office)
    office.repository("acme/shop")
    office.fake.world.repositories["acme/shop"].private = True
    for number in range(2, 150):
        office.fake.add_repository(f"acme/r{number}", number)
    office.fake.add_repository("else/where", 500, installation=10)
    office.fake.apps.accounts[10] = "else"
    office.fake.suspend(10)
    found = from_json(office.do(ErrandKind.LIST_REPOSITORIES).result)
    assert [(one.account, one.suspended, len(one.repositories)) for one in found] == [
        ("acme", False, 149),
        ("else", True, 0),
    ]
    first = found[0].repositories[0]
    assert (first.full_name, first.installation_id, first.private) == ("acme/shop", 9, True)


def test_a_repository_becomes_an_app_as_it_is_detected_and_its_head_goes_the_way_of_a_push(office: Office):
    connected(office)
    sha = office.repository("acme/shop").commit(
        {"package.json": '{"scripts": {"build": "vite build"}, "dependencies": {"vite": "6"}}'}, "First"
    )
    office.do(ErrandKind.LIST_REPOSITORIES)
    done = office.do(ErrandKind.MAKE_APP, repository_id=1)
    assert done.state is ErrandState.DONE, done.note
    assert (done.result["slug"], done.result["framework"]) == ("shop", "Vite")
    assert done.result["evidence"] == ["package.json depends on vite 6"]
    with reading(office.engine) as tx:
        app = apps.by_slug(tx, "shop")
    assert app is not None
    assert (app.repository_id, app.installation_id, app.production_branch) == (1, 9, "main")
    (pushed,) = office.deliveries()
    assert (pushed.source, pushed.verified_app_id) == ("setup", app.id)
    assert msgspec.json.decode(pushed.body)["after"] == sha
    office.intake.run([pushed.id])
    with reading(office.engine) as tx:
        assert by_guid(tx, pushed.guid)[0].state == DECIDED
    again = office.do(ErrandKind.MAKE_APP, repository_id=1)
    assert again.result["slug"] == "shop"
    with reading(office.engine) as tx:
        assert len(apps.all_apps(tx)) == 1
    assert list((office.settings.home / "mirrors").glob("glance-*")) == []


def test_of_several_directories_one_is_chosen(office: Office):
    connected(office)
    office.repository("acme/many", 2).commit(
        {"apps/web/index.html": "web", "apps/docs/mkdocs.yml": "site_name: docs", "README.md": "two"}
    )
    office.do(ErrandKind.LIST_REPOSITORIES)
    asked = office.do(ErrandKind.MAKE_APP, repository_id=2)
    assert [(one["root"], one["framework"]) for one in asked.result["choices"]] == [
        ("apps/docs", "MkDocs"),
        ("apps/web", "plain HTML"),
    ]
    chosen = office.do(ErrandKind.MAKE_APP, repository_id=2, root="apps/web")
    assert (chosen.result["slug"], chosen.result["root"]) == ("web", "apps/web")
    other = office.do(ErrandKind.MAKE_APP, repository_id=2, root="apps/docs")
    assert other.result["slug"] == "docs"


def test_what_can_t_become_an_app_says_why(office: Office):
    connected(office)
    unlisted = office.do(ErrandKind.MAKE_APP, repository_id=1)
    assert "list the repositories again" in unlisted.note
    office.repository("acme/notes", 2).commit({"notes.txt": "x"})
    office.do(ErrandKind.LIST_REPOSITORIES)
    nothing = office.do(ErrandKind.MAKE_APP, repository_id=2)
    assert nothing.state is ErrandState.FAILED
    assert "notes.txt" in nothing.note
    outside = office.do(ErrandKind.MAKE_APP, repository_id=2, root="../..")
    assert outside.state is ErrandState.FAILED
    office.repository("acme/empty", 3)
    office.do(ErrandKind.LIST_REPOSITORIES)
    empty = office.do(ErrandKind.MAKE_APP, repository_id=3)
    assert empty.state is ErrandState.FAILED
    assert "main" in empty.note
    with reading(office.engine) as tx:
        assert apps.all_apps(tx) == []


def test_an_outage_is_said_and_an_errand_that_was_lost_is_found_again(office: Office):
    connected(office)
    office.fake.fail_next(3, 502)
    lost = office.do(ErrandKind.LIST_REPOSITORIES)
    assert lost.state is ErrandState.FAILED
    assert "502" in lost.note
    office.fake.repair()
    number = office.ask(ErrandKind.LIST_REPOSITORIES)
    office.clock.seconds += 10
    with writing(office.engine) as tx:
        now = office.clock.now()
        assert errands.forgotten(tx, now, now) == [number]
        errands.drop_old(tx, now)
        assert errands.newest(tx, ErrandKind.LIST_REPOSITORIES) is None
        assert errands.newest(tx, ErrandKind.FINISH_SETUP) is not None
    office.errands.run(ErrandId(number + 1000))


def test_a_gap_is_delivered_again_when_somebody_asks(office: Office):
    connected(office)
    office.fake.hook = Hook("http://127.0.0.1:9/", "nobody listens")
    lost = office.fake.lose("push", {"ref": "refs/heads/main"}, guid="lost-1")
    with writing(office.engine) as tx:
        gap = gaps.Open(lost.id, lost.delivered_at, event="push")
        gaps.keep(tx, gaps.Recovered(office.clock.now(), 1, open={"lost-1": gap}))
    unknown = office.do(ErrandKind.REDELIVER, guid="other")
    assert "no gap any more" in unknown.note
    assert office.do(ErrandKind.REDELIVER, guid="lost-1").state is ErrandState.DONE
    wait_until(lambda: len(office.fake.world.attempts) == 2, what="the redelivery")
    assert office.fake.said() == ["redelivery of lost-1"]


DETECT: dict[str, Any] = {"tenant_id": 1, "repository": None, "clone_url": None, "branch": None, "root": None}


def test_a_repository_is_looked_at_before_it_is_an_app(office: Office):
    lock = {"package.json": '{"scripts": {"build": "vite build"}, "dependencies": {"vite": "5"}}'}
    office.repository("acme/site").commit({**lock, "package-lock.json": "{}", "docs/index.html": "hi"})
    done = office.do(ErrandKind.DETECT, **DETECT | {"repository": "acme/site"})
    assert done.state is ErrandState.DONE, done.note
    first, second = done.result["suggestions"]
    assert (done.result["branch"], first["framework"], first["manager"]) == ("main", "Vite", "npm")
    assert (first["install"], first["build"], second["root"]) == ("npm ci", "npm run build", "docs")
    only = office.do(ErrandKind.DETECT, **DETECT | {"repository": "acme/site", "root": "docs"})
    assert [one["framework"] for one in only.result["suggestions"]] == ["plain HTML"]


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"repository": "acme/nowhere", "branch": "main"}, "repository-unreachable"),
        ({"repository": "acme/site", "branch": "gone"}, "branch-gone"),
        ({"repository": "acme/site", "root": "empty"}, "nothing-detected"),
    ],
)
def test_why_a_repository_can_not_be_made_an_app_has_a_name(office: Office, asked: dict[str, str], code: str):
    office.repository("acme/site").commit({"index.html": "hi"})
    failed = office.do(ErrandKind.DETECT, **DETECT | asked)
    assert (failed.state, failed.result["code"]) == (ErrandState.FAILED, code)
    assert failed.note
