"""Variables by the API: what goes in, what comes out, and who learns what."""

from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.domain.deployment import State
from bot.domain.ids import Digest
from bot.domain.variable import MAX_SECRET, MAX_VALUE, name_problem
from bot.store import apps, environments, releases, sealing
from bot.store.columns import SEALED, metadata
from bot.store.engine import reading, writing
from bot.store.releases import NewRelease
from bot.store.schema import audit
from bot.store.variable_schema import variables
from bot.vault import Vault
from tests.calling import Caller, Site, api_site
from tests.keeping import keep_files

SECRET = "hunter2-and-more"
SECRET_NUMBER = "4711081547"
SHOP = "/apps/shop/variables"
PRODUCTION = "/apps/shop/environments/production/variables"


@pytest.fixture
def site(tmp_path: Path) -> Generator[Site]:
    with api_site(tmp_path / "home") as site:
        yield site


def values(answer: Any) -> dict[str, Any]:
    return {one["name"]: one["value"] for one in answer["variables"]}


def put(caller: Caller, path: str, variables: dict[str, Any], status: int = 200, **more: Any) -> Any:
    answer = caller.call("PUT", path, {"variables": variables, **more})
    assert answer.status_code == status, answer.text
    content = answer.json()
    return content["data"] if content["success"] else content["error"]


def patch(caller: Caller, path: str, variables: dict[str, Any], status: int = 200, **more: Any) -> Any:
    return caller.patch(path, {"variables": variables, **more}, status)


@pytest.mark.parametrize(
    "path", [SHOP, PRODUCTION, "/orgs/acme/variables", "/orgs/acme/projects/default/variables"]
)
def test_a_scope_is_replaced_changed_and_read(site: Site, path: str):
    owner = site.owner
    assert owner.get(path)["variables"] == []
    made = put(owner, path, {"A": "1", "B": "two\nlines", "A_TOKEN": SECRET})
    assert values(made) == {"A": "1", "B": "two\nlines", "A_TOKEN": None}
    assert made["changed"] == ["A", "A_TOKEN", "B"]
    assert made["pending"] == []
    merged = patch(owner, path, {"B": None, "A": "2", "C": {"value": "3", "runtime": False}})
    assert values(merged) == {"A": "2", "A_TOKEN": None, "C": "3"}
    assert merged["changed"] == ["A", "B", "C"]
    # A secret that is listed without a value stays.
    replaced = put(owner, path, {"A_TOKEN": {}, "D": ""}, revision=merged["revision"])
    assert values(replaced) == {"A_TOKEN": None, "D": ""}
    assert owner.post(f"{path}/reveal", {"name": "A_TOKEN"}, status=200)["value"] == SECRET
    versions = {one["name"]: one["version"] for one in patch(owner, path, {"D": "4"})["variables"]}
    assert versions == {"A_TOKEN": 1, "D": 2}
    assert patch(owner, path, {"D": "4"})["changed"] == []
    told = [(one["name"], one["action"], one["version"]) for one in owner.get(f"{path}/changes?pageSize=4")]
    assert told == [("D", "set", 2), ("A_TOKEN", "revealed", 1), ("D", "set", 1), ("C", "unset", 2)]
    assert [one["what"] for one in owner.get(f"{path}/changes?name=A")] == ["", "value", "new"]
    again = patch(owner, path, {"A": "5"})
    assert next(one["version"] for one in again["variables"] if one["name"] == "A") == 4


def test_only_who_may_change_variables_sees_plain_values_and_nobody_secrets(site: Site):
    put(site.owner, SHOP, {"A": "plain", "A_TOKEN": SECRET})
    for who in ("viewer", "developer", "app-token", "reading"):
        assert values(site[who].get(SHOP)) == {"A": None, "A_TOKEN": None}
        assert values(site[who].get(f"{PRODUCTION}/effective")) == {"A": None, "A_TOKEN": None}
    assert values(site["admin"].get(SHOP)) == {"A": "plain", "A_TOKEN": None}
    assert values(site["admin"].get(f"{PRODUCTION}/effective")) == {"A": "plain", "A_TOKEN": None}


def test_whoever_reveals_is_remembered_and_no_value_is(site: Site):
    put(site.owner, SHOP, {"A_TOKEN": {"value": SECRET, "appliesTo": "all"}, "A": "also hunter2"})
    assert site["admin"].post(f"{SHOP}/reveal", {"name": "A_TOKEN"}, status=200)["value"] == SECRET
    site["admin"].post(f"{SHOP}/reveal", {"name": "NOTHING"}, status=404)
    site["viewer"].post(f"{SHOP}/reveal", {"name": "A_TOKEN"}, status=403)
    with reading(site.instance.engine) as tx:
        rows = tx.execute(sa.select(audit)).mappings().all()
    assert [(row["action"], row["subject"]) for row in rows] == [
        ("replaceAppVariables", "variables of app shop"),
        ("revealAppVariable", "variable A_TOKEN of app shop"),
    ]
    assert rows[0]["after"] == {"changed": ["A", "A_TOKEN"]}
    assert rows[1]["actor"] == "admin@acme.example"
    assert "hunter2" not in str(rows)


def test_a_change_of_what_somebody_else_changed_is_refused(site: Site):
    seen = put(site.owner, SHOP, {"A": "1"})["revision"]
    patch(site["admin"], SHOP, {"A": "2"}, revision=seen)
    error = patch(site.owner, SHOP, {"A": "3"}, status=409, revision=seen)
    assert error["code"] == "variables-changed"
    put(site.owner, SHOP, {}, status=409, revision=seen)
    assert values(site.owner.get(SHOP)) == {"A": "2"}


def test_each_field_says_what_is_wrong_nothing_is_stored_and_nothing_is_repeated(site: Site):
    wrong = {
        "PATH": SECRET,
        "1A": SECRET,
        "B": f"{SECRET}\0",
        "C_TOKEN": {"value": SECRET * 2000},
        "D": {"build": False},
        "E": {"value": SECRET, "build": False, "runtime": False},
        f"F={SECRET}": "x",
        "G": {"value": "a", "secret": True},
        "OK": "fine",
    }
    answer = site.owner.call("PATCH", SHOP, {"variables": wrong})
    assert answer.status_code == 422
    problems = {one["field"]: one["message"] for one in answer.json()["error"]["validationErrors"]}
    assert set(problems) == {
        "variables.PATH.name", "variables.1A.name", "variables.B.value", "variables.C_TOKEN.value",
        "variables.D.value", "variables.E.build", "variables.F.name", "variables.G.value",
    }  # fmt: skip
    assert SECRET not in answer.text
    bodies: list[dict[str, Any]] = [
        {"A": int(SECRET_NUMBER)},
        {"A": []},
        {"A": {"value": SECRET, "nonsense": SECRET}},
        {"A": {"value": SECRET + "x" * MAX_VALUE}},
    ]
    for body in bodies:
        refused = site.owner.call("PATCH", SHOP, {"variables": body})
        assert refused.status_code == 400
        assert SECRET not in refused.text
        assert SECRET_NUMBER not in refused.text
    assert site.owner.get(SHOP)["variables"] == []
    assert put(site.owner, PRODUCTION, {"A": {"value": "x", "appliesTo": "preview"}}, 422)["code"]
    assert put(site.owner, SHOP, {"A": None}, 422)["code"]


def test_a_secret_does_not_become_plain_behind_anybodys_back(site: Site):
    put(site.owner, SHOP, {"A_TOKEN": SECRET})
    patch(site.owner, SHOP, {"A_TOKEN": {"secret": False}}, 422)
    patch(site.owner, SHOP, {"A_TOKEN": {"runtime": False}})
    assert values(patch(site.owner, SHOP, {"A_TOKEN": {"value": "x", "secret": False}})) == {"A_TOKEN": "x"}


def test_one_name_has_a_value_for_each_kind_of_environment(site: Site):
    both = [{"value": "live", "appliesTo": "production"}, {"value": "try", "appliesTo": "preview"}]
    put(site.owner, SHOP, {"A": both})
    assert site.owner.post(f"{SHOP}/reveal", {"name": "A"}, status=422)["code"] == "validation-failed"
    revealed = site.owner.post(f"{SHOP}/reveal", {"name": "A", "appliesTo": "preview"}, status=200)
    assert revealed["value"] == "try"
    left = patch(site.owner, SHOP, {"A": {"value": None, "appliesTo": "preview"}})
    assert [one["appliesTo"] for one in left["variables"]] == ["production"]
    assert patch(site.owner, SHOP, {"A": None})["variables"] == []


def test_the_text_of_a_file_is_imported(site: Site):
    text = f"# mine\nA=1\nexport A_TOKEN='{SECRET}'\n"
    made = site.owner.post(f"{SHOP}/import", {"text": text, "appliesTo": "all"}, status=200)
    assert values(made) == {"A": "1", "A_TOKEN": None}
    refused = site.owner.call("POST", f"{SHOP}/import", {"text": f"A=2\n{SECRET}\n"})
    assert refused.status_code == 422
    assert "line 2" in refused.text
    assert SECRET not in refused.text
    more = {"text": "B=2", "appliesTo": "all", "replaces": True, "secret": False, "runtime": False}
    assert values(site.owner.post(f"{SHOP}/import", more, status=200)) == {"B": "2"}


def test_an_environment_is_cloned_without_its_secrets_unless_they_are_wanted(site: Site):
    with site.instance.lifecycle.change() as change:
        site.instance.lifecycle.environment(change, site.shop, "staging")
    staging = "/apps/shop/environments/staging/variables"
    put(site.owner, PRODUCTION, {"A": "1", "A_TOKEN": SECRET})
    put(site.owner, staging, {"B": "2"})
    cloned = site.owner.post(f"{staging}/clone", {"from": "production"}, status=200)
    assert (values(cloned), cloned["leftOut"]) == ({"A": "1", "B": "2"}, ["A_TOKEN"])
    assert cloned["changed"] == ["A"]
    whole = {"from": "production", "includeSecrets": True}
    assert site.owner.post(f"{staging}/clone", whole, status=200)["changed"] == ["A_TOKEN"]
    assert site.owner.post(f"{staging}/reveal", {"name": "A_TOKEN"}, status=200)["value"] == SECRET
    site.owner.post(f"{staging}/clone", {"from": "staging"}, status=422)
    site.owner.post(f"{staging}/clone", {"from": "nowhere"}, status=404)


def test_what_counts_in_an_environment_says_where_it_comes_from(site: Site):
    put(site.owner, "/orgs/acme/variables", {"A": {"value": "org", "appliesTo": "all"}, "B": "org"})
    put(site.owner, "/orgs/acme/projects/default/variables", {"A": {"value": "project", "build": False}})
    put(site.owner, SHOP, {"C": "app", "D": {"value": "preview", "appliesTo": "preview"}})
    put(site.owner, PRODUCTION, {"B": "own"})
    shown = site.owner.get(f"{PRODUCTION}/effective")
    rows = [
        (one["name"], one["value"], one["scope"], one["build"], one["runtime"], one["hides"])
        for one in shown["variables"]
    ]
    assert rows == [
        ("A", "org", "tenant", True, False, []),
        ("A", "project", "project", False, True, ["tenant"]),
        ("B", "own", "environment", True, True, ["tenant"]),
        ("C", "app", "app", True, True, []),
    ]
    assert (shown["withheld"], shown["pending"], shown["kind"]) == (False, [], "production")
    site.owner.get("/apps/shop/environments/nowhere/variables", status=404)
    assert site["stranger"].get("/orgs/other/variables")["variables"] == []


def live(site: Site, variables: dict[str, str] | None, sha: str = "a") -> None:
    """Make something live in production that was built with some fingerprints."""
    instance = site.instance
    instance.push(site.shop, sha * 40)
    claim = instance.claim()
    made = claim.deployment
    new = NewRelease(made.app_id, Digest("k"), Digest("m"), made.sha, 1, 1, False, made.id, variables)
    with writing(instance.engine) as tx:
        release = releases.insert(tx, new, instance.now())
    instance.leases.switch(claim, release.id)
    instance.leases.finish(claim, State.SUCCEEDED, "live")


def test_a_change_says_where_it_is_pending_in_whatever_scope_it_is(site: Site):
    live(site, {})
    for path in ("/orgs/acme/variables", "/orgs/acme/projects/default/variables", SHOP, PRODUCTION):
        made = put(site.owner, path, {"A": "1", "LATER": {"value": "2", "build": False}})
        assert made["pending"] == [{"app": "shop", "environment": "production", "names": ["A"]}]
        assert "shop/production" in made["notice"]
        assert site.owner.get("/apps/shop/environments/production")["pendingVariables"] == ["A"]
        assert put(site.owner, path, {})["pending"] == []
    assert patch(site.owner, SHOP, {"B": "1"}, appliesTo="preview")["pending"] == []
    assert put(site["stranger"], "/orgs/other/variables", {"A": "1"})["pending"] == []


def test_what_no_build_made_is_never_pending(site: Site):
    live(site, None)
    assert put(site.owner, SHOP, {"A": "1"})["pending"] == []
    assert site.owner.get("/apps/shop/environments")[0]["pendingVariables"] == []


def test_two_releases_tell_which_variables_their_builds_were_given_and_no_value(site: Site):
    live(site, {"A": "1", "B": "1", "GONE": "1"})
    live(site, {"A": "1", "B": "2", "NEW": "1"}, "b")
    live(site, None, "c")
    for number in (1, 2, 3):
        keep_files(site.instance, number, {"index.html": b"hello"})
    told = site.owner.get("/apps/shop/releases/compare?from=1&to=2")["variables"]
    assert [(one["name"], one["change"]) for one in told] == [
        ("B", "changed"),
        ("GONE", "removed"),
        ("NEW", "added"),
    ]
    assert site.owner.get("/apps/shop/releases/compare?from=1&to=1")["variables"] == []
    unbuilt = site.owner.get("/apps/shop/releases/compare?from=3&to=2")["variables"]
    assert {one["change"] for one in unbuilt} == {"added"}


def test_variables_that_builds_need_are_named_before_a_deployment(site: Site):
    live(site, {})
    ready = "/apps/shop/environments/production/readiness"

    def check() -> tuple[list[str], dict[str, str]]:
        told = site.owner.get(ready)
        return told["missingVariables"], next(one for one in told["checks"] if one["name"] == "variables")

    assert check()[0] == []
    assert "No variables" in check()[1]["message"]
    with writing(site.instance.engine) as tx:
        production = environments.by_name(tx, site.shop.id, "production")
        assert production is not None
        environments.configure(tx, production.id, {"required_variables": ["B", "A", "A"]})
    missing, told = check()
    assert (missing, told["status"]) == (["A", "B"], "fail")
    assert "slipway variables set A --app shop --for production" in told["message"]
    put(site.owner, SHOP, {"A": {"value": "1", "appliesTo": "preview"}, "B": {"value": "1", "build": False}})
    assert check()[0] == ["A", "B"]
    put(site.owner, "/orgs/acme/variables", {"A": "1"})
    put(site.owner, PRODUCTION, {"B": "1"})
    assert check()[0] == []
    assert check()[1]["message"] == "What builds need is set: A, B."
    changed = site.owner.patch("/apps/shop/build-config", {"requiredVariables": ["C"]})
    assert changed["requiredVariables"] == ["C"]
    assert check()[0] == ["C"]
    assert site.owner.get("/apps/shop/environments/production/variables/effective")["missing"] == ["C"]
    site.instance.push(site.shop, "c" * 40, environment="staging", branch="next")
    site.owner.patch("/apps/shop/build-config", {"requiredVariables": None})
    staging = site.owner.get("/apps/shop/environments/staging/readiness")
    assert staging["missingVariables"] == ["A", "B"]
    site.owner.patch("/apps/second/build-config", {"requiredVariables": ["FIRST"]})
    unmade = site.owner.get("/apps/second/environments/production/readiness")
    assert unmade["missingVariables"] == ["FIRST"]
    assert "by its first deployment" in unmade["checks"][-2]["message"]
    site.owner.get("/apps/second/environments/nowhere/readiness", 404)
    for name in ("PATH", "1A", "A-B"):
        site.owner.patch("/apps/shop/build-config", {"requiredVariables": [name]}, 400)


def test_a_deleted_app_leaves_no_values(site: Site):
    put(site.owner, SHOP, {"A": "1"})
    put(site.owner, PRODUCTION, {"B": "1"})
    put(site.owner, "/apps/second/variables", {"C": "1"})
    with writing(site.instance.engine) as tx:
        apps.delete(tx, site.shop.id, site.instance.now())
        assert tx.scalars(sa.select(variables.c.name)).all() == ["C"]


def test_everything_sealed_is_sealed_anew_and_opens_with_the_new_key_alone(site: Site):
    put(site.owner, SHOP, {f"A{number}": str(number) for number in range(230)} | {"A_TOKEN": SECRET})
    old = (site.instance.settings.home / "keys" / "encryption.key").read_bytes().strip()
    new = Fernet.generate_key()
    both = Vault([new, old])
    counted = {
        one.place: (one.seen, one.changed) for one in sealing.reseal(site.instance.engine, both.renewed)
    }
    assert counted["variables.value"] == (231, 231)
    assert counted["singletons.facts"] == (1, 1)
    again = {one.place: one.changed for one in sealing.reseal(site.instance.engine, both.renewed)}
    assert set(again.values()) == {0}
    with reading(site.instance.engine) as tx:
        sealed = tx.scalars(sa.select(variables.c.value).where(variables.c.name == "A_TOKEN")).one()
    assert Vault([new]).open(sealed) == SECRET.encode()


def test_every_column_of_bytes_is_marked_as_sealed_or_is_known_not_to_be():
    plain = {
        "deliveries.body",
        "tokens.digest",
        "sessions.digest",
        "invitations.digest",
        "deploy_hooks.digest",
        "replays.fingerprint",
        "audit.digest",
    }
    bytes_ = {
        f"{table.name}.{column.name}": SEALED in column.info
        for table in metadata.sorted_tables
        for column in table.columns
        if isinstance(column.type, sa.LargeBinary)
    }
    assert {name for name, is_sealed in bytes_.items() if not is_sealed} <= plain


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Generator[Site]:
    with api_site(tmp_path_factory.mktemp("home")) as site:
        yield site


_NAMES = st.text(max_size=12) | st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,9}", fullmatch=True)
_VALUES = (
    st.text(max_size=40)
    | st.sampled_from(["\0", "\U0001f600", "x" * (MAX_SECRET + 1), "é" * MAX_VALUE, "\r\n\u2028"])
    | st.none()
    | st.integers()
    | st.lists(st.text(max_size=3), max_size=2)
)


@settings(max_examples=30, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(_NAMES, _VALUES, max_size=4))
def test_whatever_names_and_values_are_sent_they_come_back_as_they_are_or_not_at_all(
    target: Site, sent: dict[str, Any]
):
    before = target.owner.get(SHOP)
    answer = target.owner.call("PUT", SHOP, {"variables": sent})
    assert answer.status_code in (200, 400, 422), answer.text
    if answer.status_code != 200:
        assert target.owner.get(SHOP) == before
        return
    assert all(name_problem(name) is None for name in sent)
    for name, value in sent.items():
        found = target.owner.post(f"{SHOP}/reveal", {"name": name}, status=200)
        assert found["value"] == value
