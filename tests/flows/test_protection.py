"""Protected and sleeping previews on a whole instance, as visitors see them."""

from collections.abc import Generator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from bot.clock import utc_now
from bot.console.access import console_key
from bot.domain.release import release_hostname
from bot.store import environments, releases
from bot.store.engine import reading, writing
from tests.flows.house import House, Project, a_house
from tests.running import Slipway
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House]:
    with a_house(tmp_path_factory.mktemp("protection")) as house:
        yield house


def opened(house: House) -> tuple[Project, str]:
    """A pull request of a private repository whose preview is live; its hostname."""
    project = house.project()
    house.github.world.repositories[project.name].private = True
    sha = project.change("secret")
    payload = project.payload("opened", sha)
    payload["repository"]["private"] = True
    project.deliver(payload)
    project.live(sha)
    return project, project.environment().hostname


def answered(slipway: Slipway, hostname: str, path: str = "/", **headers: str) -> httpx.Response:
    with slipway.visitor(hostname) as visitor:
        return visitor.get(path, headers=headers)


def api(house: House, method: str, path: str, json: Any = None) -> Any:
    key = console_key(house.slipway.settings)
    headers = {"Authorization": f"Bearer {key}"}
    answer = house.slipway.web.request(method, f"/api/v1{path}", json=json, headers=headers)
    assert answer.is_success, answer.text
    return answer.json()["data"]


def target(url: str) -> str:
    """The path of an address of a site."""
    return "/" + url.split("/", 3)[3]


def test_a_private_preview_opens_by_its_link_until_that_is_revoked(house: House):
    project, hostname = opened(house)
    slipway = house.slipway
    assert answered(slipway, hostname).status_code == 401
    links = f"/apps/{project.slug}/environments/pr-1/share-links"
    made = api(house, "POST", links, {"note": "for a test"})
    moved = answered(slipway, hostname, target(made["url"]))
    assert (moved.status_code, moved.headers["location"]) == (303, "/")
    cookie = moved.headers["set-cookie"].partition(";")[0]
    assert answered(slipway, hostname, Cookie=cookie).text == "secret"
    shown = project.environment().active_release_id
    assert shown is not None
    with reading(slipway.engine) as tx:
        release = release_hostname(releases.get(tx, shown), project.slug, "localhost")
    assert answered(slipway, release).status_code == 401
    api(house, "DELETE", f"{links}/{made['id']}")
    wait_until(lambda: answered(slipway, hostname, Cookie=cookie).status_code == 401, 10, "the revocation")
    api(house, "PATCH", f"/apps/{project.slug}", {"protection": "off"})
    wait_until(lambda: answered(slipway, hostname).status_code == 200, 10, "the open preview")
    assert answered(slipway, release).status_code == 200


def test_the_comment_of_a_private_repository_carries_a_link_and_nothing_else_does(house: House):
    project, hostname = opened(house)
    slipway = house.slipway

    def linked() -> list[str]:
        texts = [one.body for one in house.github.comments_on(project.name, 1)]
        return [text for text in texts if f"{hostname}" in text and "_slipway_share=" in text]

    [text] = wait_until(linked, 20, "the comment's link")
    url = text.partition("_slipway_share=")[2].partition(")")[0]
    assert answered(slipway, hostname, f"/?_slipway_share={url}").status_code == 303
    assert f"[{hostname}" in text
    assert url not in slipway.log.read_text()
    assert "_slipway_share" not in str(house.github.world.repositories[project.name].statuses)


def test_who_signed_in_is_handed_over(house: House):
    project, hostname = opened(house)
    refused = answered(house.slipway, hostname, "/a?b=c")
    assert "/previews/enter?host=" in refused.text
    key = console_key(house.slipway.settings)
    query = {"host": hostname, "to": "/?b=c"}
    headers = {"Authorization": f"Bearer {key}"}
    sent = house.slipway.web.get("/previews/enter", params=query, headers=headers)
    assert sent.status_code == 303
    path = target(sent.headers["location"])
    moved = answered(house.slipway, hostname, path)
    assert (moved.status_code, moved.headers["location"]) == (303, "/?b=c")
    assert answered(house.slipway, hostname, path).status_code == 401
    cookie = moved.headers["set-cookie"].partition(";")[0]
    assert answered(house.slipway, hostname, Cookie=cookie).text == "secret"
    assert project.newest().state == "succeeded"


@pytest.mark.timeout(240)
def test_a_visitor_wakes_what_sleeps_within_a_request(house: House):
    project = house.project()
    sha = project.change("awake")
    project.tell("opened", sha)
    project.live(sha)
    environment, slipway = project.environment(), house.slipway
    release = environment.active_release_id
    files = slipway.settings.edge_home / "releases" / str(release)
    with writing(slipway.engine) as tx:
        environments.use(tx, environment.id, utc_now() - timedelta(hours=73))
        environments.sleep(tx, environment.id, utc_now())
    # Nobody who found it awake may miss them: a minute.
    wait_until(lambda: not files.exists(), 100, "the end of its files")
    assert answered(slipway, environment.hostname).text == "awake"
    assert project.environment().asleep_at is None
    assert files.exists()
    [shown] = api(house, "GET", f"/apps/{project.slug}/previews")
    assert (shown["status"], shown["idle"]) == ("live", False)
    api(house, "POST", f"/apps/{project.slug}/previews/1/close")
    project.gone()
