"""The audit log: who did what, in rows that hold each other."""

import csv
import io
import json
from collections.abc import Generator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from bot import anchors
from bot.clock import utc_now
from bot.domain.audit import Act
from bot.settings import Settings
from bot.store import audit, audit_pages, singletons
from bot.store.audit_pages import AuditFilter
from bot.store.engine import Engine, open_engine, reading, writing
from bot.store.migrate import migrate
from bot.store.pages import Slice
from bot.store.schema import audit as table
from tests.calling import Site, api_site

ACT = Act("app.created", "mona", "github:mona", subject="app 0", after={"slug": "shop", "tags": ["é", 1]})


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.model_validate({"home": tmp_path})


@pytest.fixture
def engine(settings: Settings) -> Generator[Engine]:
    engine = open_engine(settings.database)
    migrate(engine)
    for number in range(10):
        with writing(engine) as tx:
            audit.record(tx, replace(ACT, subject=f"app {number}"), utc_now() - timedelta(days=10 - number))
    yield engine
    engine.dispose()


def verdict(engine: Engine, settings: Settings) -> anchors.Verdict:
    with reading(engine) as tx:
        return anchors.verify(tx, settings)


def tamper(engine: Engine, statement: str) -> None:
    with writing(engine) as tx:
        tx.execute(sa.text(statement))


def test_a_log_as_it_was_written_is_whole(engine: Engine, settings: Settings):
    assert verdict(engine, settings) == anchors.Verdict(rows=10, anchors=0)


@pytest.mark.parametrize("column", sorted({one.name for one in table.columns} - {"id"}))
def test_a_row_that_was_altered_shows(engine: Engine, settings: Settings, column: str):
    values: dict[str, Any] = {"before": '{"x": 1}', "after": "{}", "digest": bytes(32)}
    value = values.get(column, 77 if column in ("at", "tenant_id", "app_id") else "else")
    with writing(engine) as tx:
        tx.execute(sa.text(f"UPDATE audit SET {column} = :value WHERE id = 4"), {"value": value})
    assert verdict(engine, settings).bad == 4


def test_a_row_that_is_missing_shows(engine: Engine, settings: Settings):
    tamper(engine, "DELETE FROM audit WHERE id = 4")
    assert verdict(engine, settings).bad == 5


def test_two_rows_that_changed_places_show(engine: Engine, settings: Settings):
    tamper(engine, "UPDATE audit SET id = 99 WHERE id = 4")
    tamper(engine, "UPDATE audit SET id = 4 WHERE id = 5")
    tamper(engine, "UPDATE audit SET id = 5 WHERE id = 99")
    assert verdict(engine, settings).bad == 4


def test_an_end_that_was_cut_off_shows_by_an_anchor(engine: Engine, settings: Settings):
    assert anchors.anchor(engine, settings, utc_now())
    assert not anchors.anchor(engine, settings, utc_now())
    assert verdict(engine, settings) == anchors.Verdict(rows=10, anchors=1)
    tamper(engine, "DELETE FROM audit WHERE id > 7")
    assert verdict(engine, settings).bad == 10
    # Other rows in their place do not hide it.
    with writing(engine) as tx:
        for _ in range(5):
            audit.record(tx, ACT, utc_now())
    found = verdict(engine, settings)
    assert (found.bad, "rewritten" in found.why) == (10, True)


def test_the_first_rows_can_t_be_taken_away_but_by_retention(engine: Engine, settings: Settings):
    anchors.anchor(engine, settings, utc_now())
    before = utc_now() - timedelta(days=5, hours=1)
    with writing(engine) as tx:
        assert [audit.forget(tx, before, 3), audit.forget(tx, before, 3), audit.forget(tx, before, 3)] == [
            3,
            2,
            0,
        ]
    assert verdict(engine, settings) == anchors.Verdict(rows=5, anchors=1)
    tamper(engine, "DELETE FROM audit WHERE id = 6")
    assert verdict(engine, settings).bad == 7


def test_nobody_but_retention_takes_the_first_rows_away(engine: Engine, settings: Settings):
    anchors.anchor(engine, settings, utc_now())
    with writing(engine) as tx:
        audit.record(tx, ACT, utc_now())
        last = audit.newest(tx)
        audit.record(tx, ACT, utc_now())
        # As whoever can change the store would: what is left holds, and the store says that it was retention.
        tx.execute(sa.text("DELETE FROM audit WHERE id <= :last"), {"last": last.id})
        singletons.keep_facts(tx, "audit-pruned", {"id": last.id, "digest": last.digest.hex()})
    found = verdict(engine, settings)
    assert (found.bad, "retention did not take" in found.why) == (last.id, True)
    anchors.note_forgotten(settings, last, utc_now())
    assert verdict(engine, settings).bad is None


def test_the_newest_row_stays_whatever_its_age(engine: Engine, settings: Settings):
    with writing(engine) as tx:
        assert audit.forget(tx, utc_now() + timedelta(days=1), 100) == 9
        audit.record(tx, ACT, utc_now())
    assert verdict(engine, settings) == anchors.Verdict(rows=2, anchors=0)


def test_a_damaged_line_of_anchors_says_nothing(engine: Engine, settings: Settings):
    anchors.anchor(engine, settings, utc_now())
    path = settings.home / "audit" / "anchors.txt"
    path.write_text(path.read_text() + "2026-01-01T00:00:00Z 99 abc")
    assert verdict(engine, settings).bad is None
    assert path.stat().st_mode & 0o777 == 0o600


def test_pages_are_filtered(engine: Engine):
    def subjects(**wanted: Any) -> list[str]:
        with reading(engine) as tx:
            return [
                one.act.subject for one in audit_pages.page(tx, AuditFilter(**wanted), Slice(0, 3, "")).rows
            ]

    assert subjects() == ["app 9", "app 8", "app 7"]
    assert subjects(actor="github:mona", subject="app 4") == ["app 4"]
    assert subjects(actor="mona", search="P 5") == ["app 5"]
    assert subjects(search="%") == []
    assert subjects(until=utc_now() - timedelta(days=8, hours=12)) == ["app 1", "app 0"]
    assert subjects(since=utc_now() - timedelta(days=1, hours=12)) == ["app 9"]
    assert subjects(besides=("app.created",)) == []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with api_site(tmp_path_factory.mktemp("home")) as site:
        yield site


def test_what_the_api_changes_is_told_to_its_own_tenant(site: Site):
    made = site.owner.post("/apps/shop/tokens", {"name": "=CI", "scopes": ["deploy"]})
    row = site.owner.get("/audit?action=createAppToken")[0]
    assert (row["actor"], row["app"]) == ("owner@acme.example", "shop")
    assert row["origin"].startswith("127.0.0.1 ")
    assert made["token"].split("_", 2)[2] not in json.dumps(row)
    assert site["stranger"].get("/audit?action=createAppToken") == []
    assert site["operator"].get("/audit?action=createAppToken")[0]["id"] == row["id"]
    assert site.owner.get("/audit?app=shop&actor=owner@acme.example")[0]["id"] == row["id"]
    assert site.owner.get("/audit?app=theirs", 404)["code"] == "not-found"
    assert site.owner.get("/audit?since=yesterday", 400)["validationErrors"][0]["field"] == "since"


def test_a_refused_change_leaves_no_row(site: Site):
    before = len(site.owner.get("/audit"))
    site["viewer"].post("/apps/shop/tokens", {"name": "mine"}, 403)
    site.owner.post("/apps/shop/tokens", {}, 400)
    assert len(site.owner.get("/audit")) == before


def test_the_log_is_exported_as_lines_of_json_or_csv(site: Site):
    site.owner.patch("/apps/shop", {"productionBranch": "trunk"})
    with writing(site.instance.engine) as tx:
        act = Act("x", "=HYPERLINK()", "k", tenant_id=site.shop.tenant_id, app_id=site.shop.id)
        for _ in range(600):
            audit.record(tx, act, datetime.now(UTC))
    answer = site.owner.http.get("/api/v1/audit/export")
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert len(rows) > 600
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows)
    answer = site.owner.http.get("/api/v1/audit/export?format=csv&action=x")
    table = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(table) == 600
    assert {(row["actor"], row["app"], row["before"]) for row in table} == {("'=HYPERLINK()", "shop", "{}")}
    assert site["stranger"].http.get("/api/v1/audit/export?action=x").text == ""
    assert site.owner.http.get("/api/v1/audit/export?format=xml").status_code == 400
    assert site["nobody"].http.get("/api/v1/audit/export").status_code == 401


def test_the_feed_shows_deployments_and_changes_newest_first_and_goes_on(site: Site):
    instance = site.instance
    site.owner.patch("/apps/second", {"productionBranch": "main"})
    instance.push(site.second, "c" * 40, message="Add <b>prices</b>\nmore")
    instance.succeed(instance.claim())
    site.owner.patch("/apps/second", {"productionBranch": "main"})
    feed = site.owner.get("/apps/second/activity")
    assert [one["kind"] for one in feed["entries"]] == ["change", "release", "change"]
    assert feed["next"] is None
    told = feed["entries"][1]
    assert told["text"].startswith("mona brought ")
    assert told["text"].endswith(" into production of second: Add <b>prices</b>")
    seen: list[str] = []
    part: dict[str, Any] = {"next": ""}
    while part["next"] is not None:
        more = f"&before={part['next']}" if part["next"] else ""
        part = site.owner.get(f"/apps/second/activity?limit=2{more}")
        seen += [one["id"] for one in part["entries"]]
    assert seen == [one["id"] for one in feed["entries"]]
    assert all(one["app"] != "second" for one in site["stranger"].get("/activity")["entries"])
    assert site.owner.get("/activity?project=default")["entries"][0]["app"] == "second"
    assert site.owner.get("/activity?project=nope", 404)["code"] == "not-found"
