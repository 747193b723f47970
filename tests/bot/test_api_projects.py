import io
import re
import tarfile
import zipfile
from collections.abc import Generator
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
import zstandard

from bot import freezes, locks
from bot.domain.deployment import Blame, Failure
from bot.domain.errand import ErrandKind, ErrandState
from bot.domain.ids import ErrandId, Sha
from bot.domain.listing import Installed, Listed, to_json
from bot.domain.pull import PullNumber, PullRequest, PullState
from bot.domain.trust import Trust
from bot.store import apps, errands, pulls
from bot.store.engine import writing
from bot.store.schema import releases as table
from tests.calling import PREFIX, Site, api_site
from tests.keeping import keep_files


@pytest.fixture
def site(tmp_path: Path) -> Generator[Site]:
    with api_site(tmp_path) as site:
        yield site


def release(site: Site, sha: str, environment: str = "production") -> None:
    site.instance.push(site.shop, sha * 40, environment=environment)
    site.instance.succeed(site.instance.claim())


def test_a_project_lives_and_apps_move_between_projects(site: Site):
    made = site.owner.post("/orgs/acme/projects", {"slug": "web", "name": "Web"})
    assert site.owner.post("/orgs/acme/projects", {"slug": "web"}, 409)["code"] == "name-taken"
    moved = site.owner.patch("/apps/shop", {"project": "web"})
    assert moved["project"] == "web"
    assert site.owner.get("/orgs/acme/projects/web/apps/shop")["slug"] == "shop"
    site.owner.get("/orgs/acme/projects/default/apps/shop", 404)
    refused = site.owner.delete("/orgs/acme/projects/web", 409)
    assert "has 1 app" in refused["message"]
    assert site.owner.post("/orgs/acme/projects/web/archive", status=409)["code"] == "conflict"
    site.owner.patch("/apps/shop", {"project": "default"})
    assert site.owner.post("/orgs/acme/projects/web/archive", status=200)["archivedAt"]
    assert site.owner.patch("/apps/shop", {"project": "web"}, 409)
    assert site.owner.post("/orgs/acme/projects/web/apps", {"repository": "acme/new"}, 409)
    site.owner.post("/orgs/acme/projects/web/unarchive", status=200)
    assert site.owner.patch(f"/orgs/acme/projects/{made['id']}", {"slug": "sites"})["slug"] == "sites"
    site.owner.delete("/orgs/acme/projects/sites")
    site.owner.delete("/orgs/acme/projects/default", 409)
    assert site.owner.patch("/apps/shop", {"project": "theirs"}, 422)
    home = site.owner.get("/orgs/acme/projects/default")["id"]
    assert site.owner.patch("/apps/shop", {"project": str(home)})["project"] == "default"


def test_an_organisation_is_named_by_its_owner_and_limited_by_the_operator(site: Site):
    changed = site["operator"].patch("/orgs/acme", {"name": "Acme Inc.", "buildLimit": 2})
    assert (changed["name"], changed["buildLimit"]) == ("Acme Inc.", 2)
    assert site.owner.patch("/orgs/acme", {"name": "Mine"})["buildLimit"] == 2
    refused = site.owner.patch("/orgs/acme", {"name": "Ours", "buildLimit": 9}, 403)
    assert refused["details"] == {"needs": "operate"}
    assert "console's key" in refused["message"]
    assert site.owner.get("/orgs/acme")["name"] == "Mine"
    site["admin"].patch("/orgs/acme", {"name": "Theirs"}, 403)


def test_an_environment_by_hand_is_made_changed_and_taken_down(site: Site):
    made = site.owner.post("/apps/shop/environments", {"name": "staging", "branch": "develop"})
    assert (made["branch"], made["hostnames"], made["release"]) == (
        "develop",
        ["staging-shop.localhost"],
        None,
    )
    assert site.owner.post("/apps/shop/environments", {"name": "staging", "branch": "x"}, 409)
    release(site, "a", "staging")
    changed = site.owner.patch("/apps/shop/environments/staging", {"branch": "next", "deploys": "manual"})
    assert (changed["branch"], changed["deploys"]) == ("next", "manual")
    gone = site.owner.delete("/apps/shop/environments/staging")
    assert gone["archivedAt"]
    assert [one["name"] for one in site.owner.get("/apps/shop/environments")] == []
    assert [one["name"] for one in site.owner.get("/apps/shop/environments?archived=true")] == ["staging"]
    site.owner.delete("/apps/shop/environments/staging", 409)
    site.owner.post("/apps/shop/deployments", {"environment": "staging"})
    assert site.owner.get("/apps/shop/environments/staging")["archivedAt"] is None


def test_production_can_not_be_taken_down_and_follows_the_production_branch(site: Site):
    release(site, "a")
    site.owner.delete("/apps/shop/environments/production", 409)
    site.owner.patch("/apps/shop/environments/production", {"branch": "release"})
    assert site.owner.get("/apps/shop")["productionBranch"] == "release"


def test_pushes_to_an_environment_deployed_by_hand_are_skipped_and_say_how(site: Site):
    release(site, "a")
    site.owner.patch("/apps/shop/environments/production", {"deploys": "manual"})
    skipped = site.instance.push(site.shop, "b" * 40)
    assert skipped.state == "skipped"
    assert "POST /api/v1/apps/shop/deployments" in skipped.reason
    assert site.owner.post("/apps/shop/deployments", {"commit": "b" * 40})["status"] == "queued"


def test_deployments_come_by_tag_pull_request_release_and_environment(site: Site):
    release(site, "a")
    release(site, "b", "staging")
    by_tag = site.owner.post("/apps/shop/deployments", {"tag": "v1.2"})
    assert (by_tag["tag"], by_tag["branch"]) == ("v1.2", None)
    promoted = site.owner.post("/apps/shop/deployments", {"fromEnvironment": "staging"})
    assert (promoted["releaseNumber"], promoted["environment"]) == (2, "production")
    named = site.owner.post("/apps/shop/deployments", {"release": "1", "environment": "staging"})
    assert (named["releaseNumber"], named["kind"]) == (1, "rollback")
    assert site.owner.post("/apps/shop/deployments", {"release": "1", "tag": "v1"}, 422)
    assert site.owner.post("/apps/shop/deployments", {"release": "77"}, 422)
    assert site.owner.post("/apps/shop/deployments", {"pullRequest": 12}, 422)
    tell_of_pull(site, 12, fork=False)
    tell_of_pull(site, 13, fork=True)
    assert site.owner.post("/apps/shop/deployments", {"pullRequest": 12})["environment"] == "preview/pr-12"
    assert site.owner.post("/apps/shop/deployments", {"pullRequest": 13})["status"] == "held"


def test_a_note_stays_with_what_it_was_written_for(site: Site):
    release(site, "a")
    release(site, "b", "staging")
    asked = site.owner.post("/apps/shop/deployments", {"branch": "main", "note": "the prices"})
    assert asked["note"] == "the prices"
    assert site.owner.post(f"/deployments/{asked['id']}/cancel", status=200)["note"] == "the prices"
    promoted = site.owner.post(
        "/apps/shop/deployments", {"fromEnvironment": "staging", "note": "seen by all"}
    )
    assert (promoted["note"], promoted["releaseNumber"]) == ("seen by all", 2)
    moved = site.owner.post("/apps/shop/releases/1/activate", {"environment": "staging", "reason": "a slip"})
    assert (moved["note"], moved["kind"]) == ("a slip", "rollback")
    assert site.owner.get(f"/deployments/{asked['id']}")["note"] == "the prices"


def test_a_number_of_a_release_may_be_sent_as_it_is_told(site: Site):
    release(site, "a")
    release(site, "b", "staging")
    number = site.owner.get("/apps/shop/environments/staging")["releaseNumber"]
    assert site.owner.post("/apps/shop/deployments", {"release": number})["releaseNumber"] == number


def test_what_excludes_each_other_is_refused_by_its_name_in_the_request(site: Site):
    refused = site.owner.post("/apps/shop/deployments", {"tag": "v1", "fromEnvironment": "staging"}, 422)
    assert refused["validationErrors"][0]["field"] == "fromEnvironment"
    assert "tag, fromEnvironment" in refused["message"]
    refused = site.owner.post("/apps/shop/deployments", {"release": "1", "rebuild": True}, 422)
    assert refused["validationErrors"][0]["field"] == "rebuild"


def test_a_rebuild_is_asked_for_and_kept_by_the_one_that_repeats_it(site: Site):
    asked = site.owner.post("/apps/shop/deployments", {"branch": "main", "rebuild": True})
    site.instance.fail(site.instance.claim(), Failure("build-failed", {}, Blame.USER))
    again = site.owner.post(f"/deployments/{asked['id']}/retry")
    assert (asked["rebuild"], again["rebuild"], again["clean"]) == (True, True, False)
    clean = site.owner.post("/apps/shop/deployments", {"branch": "main", "clean": True})
    assert (clean["rebuild"], clean["clean"]) == (True, True)
    assert site.owner.post("/apps/shop/deployments", {"branch": "main"})["rebuild"] is False


def test_a_deploy_hook_always_builds_and_is_told_once(site: Site):
    made = site.owner.post("/apps/shop/deploy-hooks", {"name": "cms"})
    address = site.url + "/hooks/" + made["url"].rpartition("/")[2]
    called = httpx.post(address).json()["data"]["deployment"]
    assert site.owner.get(f"/deployments/{called}")["rebuild"] is True
    assert [one["id"] for one in site.owner.get("/apps/shop/activity?limit=1")["entries"]] == [called]


def test_nothing_is_deployed_in_a_window_that_was_made_up_before(site: Site):
    release(site, "a")
    instance, here = site.instance, "/apps/shop/environments/production"
    instance.moment = instance.now()
    when = {
        "startsAt": _iso(instance.now() + timedelta(hours=1)),
        "endsAt": _iso(instance.now() + timedelta(hours=3)),
    }
    made = site.owner.post(f"{here}/freeze-windows", {"reason": "the fair", **when})
    assert made["active"] is False
    assert site.owner.get(here)["lock"] is None
    pass_hours(site, 1)
    assert site.owner.get(here)["lock"]["reason"] == "the fair"
    held = site.owner.post("/apps/shop/deployments", {"branch": "main"})
    assert (held["status"], held["hold"]) == ("held", "locked")
    assert [one["active"] for one in site.owner.get(f"{here}/freeze-windows")] == [True]
    pass_hours(site, 2)
    assert site.owner.get(here)["lock"] is None
    assert site.owner.get(f"/deployments/{held['id']}")["status"] == "queued"
    assert site.owner.get(f"{here}/freeze-windows") == []


def test_a_window_that_is_removed_ends_and_a_longer_lock_stays(site: Site):
    release(site, "a")
    instance, here = site.instance, "/apps/shop/environments/production"
    instance.moment = instance.now()
    when = {"startsAt": _iso(instance.now()), "endsAt": _iso(instance.now() + timedelta(hours=3))}
    made = site.owner.post(f"{here}/freeze-windows", {"reason": "the fair", **when})
    assert made["active"] is True
    site.owner.delete(f"{here}/freeze-windows/{made['id']}")
    assert site.owner.get(here)["lock"] is None
    site.owner.delete(f"{here}/freeze-windows/{made['id']}", 404)
    site.owner.post(f"{here}/lock", {"reason": "for good"}, 200)
    again = site.owner.post(f"{here}/freeze-windows", {"reason": "the fair", **when})
    assert site.owner.get(here)["lock"]["reason"] == "for good"
    site.owner.delete(f"{here}/freeze-windows/{again['id']}")
    assert site.owner.get(here)["lock"]["reason"] == "for good"


@pytest.mark.parametrize(
    ("starts", "ends", "status"),
    [
        ("2026-01-02T00:00:00Z", "2026-01-01T00:00:00Z", 422),
        ("2020-01-01T00:00:00Z", "2020-01-02T00:00:00Z", 422),
        ("2026-01-01T00:00:00Z", "9999-12-31T23:59:59-12:00", 422),
        ("0001-01-01T00:00:00+14:00", "2026-01-01T00:00:00Z", 422),
        ("2026-01-01T00:00:00", "2026-01-02T00:00:00Z", 400),
        (1, 2, 400),
    ],
)
def test_a_window_that_can_not_be_is_refused(site: Site, starts: str | int, ends: str | int, status: int):
    release(site, "a")
    wish = {"reason": "the fair", "startsAt": starts, "endsAt": ends}
    site.owner.post("/apps/shop/environments/production/freeze-windows", wish, status)


def pass_hours(site: Site, hours: int) -> None:
    site.instance.pass_by(timedelta(hours=hours))
    with site.instance.lifecycle.change() as change:
        locks.end_locks(site.instance.lifecycle, change)
        freezes.begin_due(change)


def _iso(moment: datetime) -> str:
    return moment.isoformat()


def test_what_happened_to_a_deployment_is_found_by_its_reference(site: Site):
    wish = {"pullRequest": None, "branch": "main", "note": "the prices"}
    made = site.owner.post("/apps/second/deployments", wish)["reference"]
    site.owner.post(f"/deployments/{made}/cancel", status=200)
    again = site.owner.post(f"/deployments/{made}/retry")["reference"]
    rows = site.owner.get(f"/audit?subject={made}")
    assert [row["action"] for row in rows] == ["cancelDeployment", "createDeployment"]
    assert rows[1]["after"] == {"branch": "main", "note": "the prices"}
    assert (rows[0]["before"], rows[0]["after"]) == ({"status": "queued"}, {"status": "cancelled"})
    assert site.owner.get(f"/audit?subject={again}")[0]["after"] == {"again": made}


def tell_of_pull(site: Site, number: int, *, fork: bool) -> None:
    now = site.instance.now()
    with writing(site.instance.engine) as tx:
        apps.pin_repository(tx, site.shop.id, 7, None)
        pull = PullRequest(
            repository_id=7,
            number=PullNumber(number),
            state=PullState.OPEN,
            merged=False,
            draft=False,
            title="A price",
            author="mona",
            by_bot=False,
            labels=(),
            head_sha=Sha(f"{number}" * 20),
            head_branch="price",
            head_repository_id=8 if fork else 7,
            head_repository="mona/shop",
            base_branch="main",
            base_sha=None,
            updated_at=now,
        )
        pulls.keep(tx, site.shop.id, pull, now)


def test_the_queue_tells_whose_turn_is_when(site: Site):
    site.instance.moment = site.instance.now()
    claimed = [site.instance.push(site.shop, sha * 40, environment=f"e{sha}") for sha in "abc"]
    site.instance.claim()
    site.instance.claim()
    waiting = site.owner.get("/deployments/queue")
    assert [one["status"] for one in waiting] == ["running", "running", "queued"]
    assert waiting[2]["queue"] == {"position": 1, "estimatedStartSeconds": 60}
    site.instance.pass_by(timedelta(seconds=20))
    turn = site.owner.get(f"/deployments/{claimed[2].id}")["queue"]
    assert turn["estimatedStartSeconds"] == 40
    assert site["stranger"].get("/deployments/queue") == []


def test_readiness_says_what_is_missing(site: Site):
    release(site, "a")
    told = site.owner.get("/apps/shop/environments/production/readiness")
    assert told["ready"] is False
    found = {one["name"]: one for one in told["checks"]}
    assert found["worker"]["status"] == "fail"
    assert "slipway up" in found["worker"]["message"]
    assert found["repository"]["message"] == "It was read last for DEP-1."
    site.owner.post("/apps/shop/archive", status=200)
    told = site.owner.get("/apps/shop/environments/production/readiness")
    assert {one["name"] for one in told["checks"] if one["status"] == "fail"} >= {"app", "worker"}


def test_two_releases_are_compared(site: Site):
    release(site, "a")
    release(site, "b")
    keep_files(
        site.instance, 1, {"a.html": b"1", "b.html": b"2", "c.html": b"3"}, redirects=b"/x /y\n/o /n\n"
    )
    keep_files(
        site.instance, 2, {"a.html": b"1", "b.html": b"22", "d.html": b"4"}, redirects=b"/x /y\n/p /q\n"
    )
    told = site.owner.get("/apps/shop/releases/compare?from=1&to=2")
    assert [(one["path"], one["change"], one["sizeBefore"], one["sizeAfter"]) for one in told["files"]] == [
        ("b.html", "changed", 1, 2),
        ("c.html", "removed", 1, None),
        ("d.html", "added", None, 1),
    ]
    assert (told["added"], told["removed"], told["changed"]) == (1, 1, 1)
    assert told["redirects"] == {"added": ["/p /q"], "removed": ["/o /n"]}
    assert site.owner.get("/apps/shop/releases/compare?from=1&to=9", 422)


@pytest.mark.parametrize("kind", ["zip", "tar.zst"])
def test_a_release_is_downloaded_whole_and_by_nobody_else(site: Site, kind: str):
    release(site, "a")
    large = bytes(range(256)) * 4096
    keep_files(site.instance, 1, {"index.html": b"hello", "img/large.bin": large}, headers=b"/*\n  X-A: b\n")
    where = f"{PREFIX}/apps/shop/releases/1/archive?format={kind}"
    answer = site.owner.http.get(where)
    name = site.owner.get("/apps/shop/releases/1")["name"]
    assert answer.headers["content-disposition"] == f'attachment; filename="shop-{name}.{kind}"'
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
            found = {entry: archive.read(entry) for entry in archive.namelist()}
    else:
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(answer.content)
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            found = {one.name: (archive.extractfile(one) or io.BytesIO()).read() for one in archive}
    assert found == {
        f"{name}/index.html": b"hello",
        f"{name}/img/large.bin": large,
        f"{name}/_headers": b"/*\n  X-A: b\n",
    }
    assert site["stranger"].http.get(where).status_code == 404
    assert site["nobody"].http.get(where).status_code == 401
    assert site.owner.http.get(where.replace("/1/", "/9/")).status_code == 404


def test_releases_say_why_they_are_kept(site: Site):
    release(site, "a")
    release(site, "b")
    newest, older = site.owner.get("/apps/shop/releases")
    assert (newest["keptBecause"], newest["kept"]) == ("live in production", True)
    assert "newest 10" in older["keptBecause"]
    assert site.owner.get("/apps/shop/releases?kept=false") == []


def test_a_release_has_an_address_of_its_own_while_something_shows_it(site: Site):
    release(site, "a", "staging")
    release(site, "b", "staging")
    older = site.owner.get("/apps/shop/releases/1")
    assert re.fullmatch(r"http://[0-9a-f]{12}-shop\.localhost:8080", older["url"])
    site.owner.delete("/apps/shop/environments/staging")
    assert site.owner.get("/apps/shop/releases/1")["url"] is None


def test_releases_of_strangers_and_of_what_was_taken_down_are_kept_apart(site: Site):
    release(site, "a", "staging")
    for number in range(11):
        release(site, f"{number:x}", "production")
    with writing(site.instance.engine) as tx:
        tx.execute(sa.update(table).where(table.c.number.in_((2, 4))).values(trust=Trust.STRANGER))
    site.owner.delete("/apps/shop/environments/staging")
    found = {one["number"]: one for one in site.owner.get("/apps/shop/releases")}
    assert (found[1]["liveIn"], found[1]["keptBecause"]) == ([], "staging may come back within a week")
    assert all("newest 10" in found[number]["keptBecause"] for number in range(2, 12))
    shown = site.owner.get("/apps/shop/releases?environment=staging")
    assert [one["number"] for one in shown] == [1]
    site.owner.get("/apps/shop/releases?environment=nowhere", 404)


def test_a_detection_is_asked_for_and_belongs_to_who_asked(site: Site):
    asked = site.owner.post("/apps/detect", {"repository": "acme/shop", "branch": "main"}, 202)
    assert (asked["status"], asked["suggestion"]) == ("running", None)
    site["stranger"].get(f"/detections/{asked['id']}", 404)
    finish(site, asked["id"], ErrandState.FAILED, {"code": "repository-unreachable"}, "It can't be read.")
    told = site.owner.get(f"/detections/{asked['id']}")
    assert told["error"] == {"code": "repository-unreachable", "message": "It can't be read."}
    assert site.owner.post("/apps/detect", {}, 400)
    with writing(site.instance.engine) as tx:
        other = errands.ask(tx, ErrandKind.LIST_REPOSITORIES, {}, site.instance.now())
    site.owner.get(f"/detections/{other}", 404)


def finish(site: Site, errand: int, state: ErrandState, result: dict[str, str], note: str) -> None:
    with writing(site.instance.engine) as tx:
        errands.finish(tx, ErrandId(errand), state, site.instance.now(), result=result, note=note)


def test_repositories_are_listed_for_those_who_may_use_them_and_fill_in_apps(site: Site):
    assert site.owner.get("/github/repositories") == []
    asked = site.owner.post("/github/repositories/refresh", status=202)
    assert asked["status"] == "running"
    assert site.owner.post("/github/repositories/refresh", status=202)["askedAt"] == asked["askedAt"]
    repositories = [Listed(7, "acme/Listed", "https://github.com/acme/Listed.git", "trunk", private=True)]
    theirs = [Listed(8, "other/site", "https://github.com/other/site.git", "dev")]
    found = (
        Installed(51, "acme", "", repositories=tuple(repositories)),
        Installed(52, "other", "", repositories=tuple(theirs)),
    )
    with writing(site.instance.engine) as tx:
        listing = errands.newest(tx, ErrandKind.LIST_REPOSITORIES)
        assert listing is not None
        errands.finish(tx, listing.id, ErrandState.DONE, site.instance.now(), result=to_json(found))
    assert site.owner.post("/github/repositories/refresh", status=202)["status"] == "done"
    assert site.owner.get("/github/repositories") == []
    site["operator"].post("/orgs/acme/github/installations", {"installationId": 51})
    (shown,) = site.owner.get("/github/repositories?search=LIST")
    assert (shown["fullName"], shown["installationId"], shown["account"]) == ("acme/Listed", 51, "acme")
    assert site.owner.get("/github/repositories?installation=52") == []
    assert len(site["operator"].get("/github/repositories")) == 2
    site["developer"].get("/github/repositories", 403)
    made = site.owner.post("/apps", {"repository": "acme/listed"})
    assert (made["repository"], made["productionBranch"]) == ("acme/Listed", "trunk")
    kept = site.owner.post("/apps", {"repository": "acme/listed", "slug": "kept", "productionBranch": "next"})
    assert kept["productionBranch"] == "next"
    assert site["stranger"].post("/apps", {"repository": "acme/listed"})["productionBranch"] == "main"


def test_the_build_configuration_is_read_and_changed(site: Site):
    changed = site.owner.patch(
        "/apps/shop/build-config", {"installCommand": "npm ci", "outputDirectory": "out"}
    )
    assert changed == site.owner.get("/apps/shop/build-config")
    assert (changed["installCommand"], changed["outputDirectory"], changed["buildCommand"]) == (
        "npm ci",
        "out",
        None,
    )
    assert site.owner.patch("/apps/shop/runtime-config", {"runtimeType": "static"})["runtimeType"] == "static"
    site.owner.patch("/apps/shop/runtime-config", {"runtimeType": "node"}, 400)


DOMAINS = "/apps/shop/environments/production/domains"


def test_a_domain_is_claimed_with_its_pair_and_given_up(site: Site):
    release(site, "a")
    made = site.owner.post(DOMAINS, {"hostname": "Acme.Example.", "pair": True})
    assert (made["hostname"], made["status"], made["redirectedHere"]) == (
        "acme.example",
        "pending",
        ["www.acme.example"],
    )
    txt = made["records"][0]
    assert txt["name"] == "_slipway-challenge.acme.example"
    assert txt["value"] in made["message"]
    assert site.owner.post(DOMAINS, {"hostname": "acme.example"}, 409)
    assert site.owner.post(f"{DOMAINS}/acme.example/verify", status=202)["id"] == made["id"]
    assert site.owner.get(f"{DOMAINS}/www.acme.example")["redirectTo"] == "acme.example"
    site.owner.delete(f"{DOMAINS}/acme.example")
    assert site.owner.get(DOMAINS) == []


@pytest.mark.parametrize(
    "hostname",
    [
        "shop.localhost",
        "localhost",
        "10.0.0.1",
        "a..b",
        "x" * 64 + ".example",
        "*.acme.example",
        "a_b.example",
    ],
)
def test_what_is_ours_or_no_hostname_is_no_custom_domain(site: Site, hostname: str):
    release(site, "a")
    answer = site.owner.call("POST", DOMAINS, {"hostname": hostname})
    assert answer.status_code in (400, 422)


def test_an_unproved_claim_keeps_nobody_from_theirs(site: Site):
    release(site, "a")
    site.instance.push(site.theirs, "b" * 40)
    site.owner.post(DOMAINS, {"hostname": "acme.example"})
    theirs = DOMAINS.replace("shop", "theirs")
    assert site["stranger"].post(theirs, {"hostname": "acme.example"})["status"] == "pending"
