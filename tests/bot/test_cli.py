import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import command
from tests.command import Done


def slipway(home: Path, *words: str, **settings: str) -> Done:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
    environment = {**kept, "SLIPWAY_HOME": str(home), **settings}
    return command.run(words, environment)


def refused(done: Done) -> str:
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("words", [("token", "list"), ("demo", "--exit"), ("logs", "DEP-1")])
def test_a_home_that_cannot_be_made_is_said_by_every_command(tmp_path: Path, words: tuple[str, ...]):
    (tmp_path / "file").write_text("in the way")
    assert str(tmp_path / "file" / "home") in refused(slipway(tmp_path / "file" / "home", *words))


@pytest.mark.parametrize(
    "words", [("explain", "no-such-guid"), ("deploy", "shop"), ("rollback", "shop"), ("status",)]
)
def test_without_a_web_process_it_is_said_how_to_start_one(tmp_path: Path, words: tuple[str, ...]):
    said = refused(slipway(tmp_path, *words))
    assert "Nothing answers at http://127.0.0.1:8000." in said
    assert "slipway up" in said
    assert str(tmp_path) in said


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"SLIPWAY_API_URL": "deploys.example.org", "SLIPWAY_TOKEN": "slp_x"}, "https://deploys.example.org"),
        (
            {"SLIPWAY_API_URL": "https://user@deploys.example.org", "SLIPWAY_TOKEN": "slp_x"},
            "SLIPWAY_API_URL",
        ),
        ({"SLIPWAY_API_URL": "https://deploys.example.org"}, "SLIPWAY_TOKEN"),
    ],
)
def test_another_machine_is_named_by_address_and_token(tmp_path: Path, settings: dict[str, str], named: str):
    assert named in refused(slipway(tmp_path, "status", **settings))


def test_commands_for_another_machine_load_no_store():
    names = [path.stem for path in Path("bot/cli/client").glob("[a-z]*.py")]
    modules = ", ".join(f"bot.cli.client.{name}" for name in names)
    code = f"import sys, bot.cli.main, bot.cli.groups, {modules}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"sqlalchemy", "redis", "jinja2", "pydantic_settings"} & set(done.stdout.split())


def test_artifacts_elsewhere_than_on_disk_are_refused_by_name(tmp_path: Path):
    said = refused(slipway(tmp_path, "token", "list", SLIPWAY_ARTIFACTS_URL="s3://bucket/prefix"))
    assert "SLIPWAY_ARTIFACTS_URL" in said


def test_a_store_that_cannot_be_opened_is_said(tmp_path: Path):
    (tmp_path / "slipway.db").write_bytes(b"not a database, but long enough to be read as one" * 20)
    assert "store" in refused(slipway(tmp_path, "token", "list"))


@pytest.mark.slow
@pytest.mark.parametrize("module", ["bot.web", "jobs.worker", "jobs.sweep", "jobs.edge"])
def test_each_process_names_a_setting_that_is_wrong(tmp_path: Path, module: str):
    environment = {**os.environ, "SLIPWAY_HOME": str(tmp_path), "SLIPWAY_BUILD_CONCURRENCY": "none"}
    done = subprocess.run(
        [sys.executable, "-m", module], env=environment, capture_output=True, text=True, check=False
    )
    assert "SLIPWAY_BUILD_CONCURRENCY" in refused(Done(done.returncode, done.stdout, done.stderr))


def test_a_fresh_clone_is_told_how_to_begin(tmp_path: Path):
    done = slipway(tmp_path / "home", "doctor", "--json", SLIPWAY_WEB_ADDRESS="127.0.0.1:1")
    assert done.returncode == 1, done.stderr
    rows = {row["part"]: row for row in json.loads(done.stdout)}
    assert (rows["home"]["level"], rows["store"]["level"]) == ("ok", "error")
    assert "tables" in rows["store"]["text"]
    for part in ("store", "queue", "web", "edge"):
        assert "slipway up" in rows[part]["advice"]


def test_the_disk_is_shown_part_by_part_with_the_rule_of_each(tmp_path: Path):
    created = slipway(tmp_path, "app", "create", "--repository", "acme/shop", "--clone-url", "/srv/shop.git")
    assert created.returncode == 0, created.stderr
    (tmp_path / "mirrors" / "stranger.git").mkdir(parents=True)
    (tmp_path / "mirrors" / "stranger.git" / "pack").write_bytes(b"x" * 100_000)
    rows = {row["part"]: row for row in json.loads(slipway(tmp_path, "doctor", "--disk", "--json").stdout)}
    assert rows["mirrors"]["freeNow"] >= 100_000
    assert rows["store"]["bytes"] > 0
    assert "KEEP_LOGS_DAYS" in rows["logs"]["kept"]
    shown = slipway(tmp_path, "doctor", "--disk", COLUMNS="200")
    assert shown.returncode == 0, shown.stderr
    assert re.search(r"mirrors +1 +1\d\d\.\d KiB", shown.stdout)
    assert f"free at {tmp_path}" in shown.stdout


def test_a_disk_that_cannot_be_looked_at_is_said(tmp_path: Path):
    (tmp_path / "slipway.db").write_bytes(b"not a database, but long enough to be read as one" * 20)
    done = slipway(tmp_path, "doctor", "--disk")
    assert done.returncode == 1
    assert "slipway doctor" in done.stderr


def checked(folder: Path, *words: str) -> Done:
    # A home that can't be made: the command needs no instance.
    return slipway(Path("/dev/null/home"), "config", "check", *words, str(folder))


def test_a_checkouts_files_are_checked_without_an_instance(tmp_path: Path):
    (tmp_path / "apps" / "web").mkdir(parents=True)
    (tmp_path / "node_modules" / "x").mkdir(parents=True)
    assert checked(tmp_path).stdout.startswith("There is no slipway.toml")
    (tmp_path / "slipway.toml").write_text("[build]\ncommand = 'make'\n")
    (tmp_path / "node_modules" / "x" / "slipway.toml").write_text("not mine")
    done = checked(tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{tmp_path}/slipway.toml: no mistakes\n")
    wrong = tmp_path / "apps" / "web" / "slipway.toml"
    wrong.write_text("[build]\n  commnd = 'make'\n[site]\nspa = 1\n")
    done = checked(tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout.splitlines() == [
        f"{wrong}:2:3: build.commnd is a key that Slipway does not know; write command",
        f"{wrong}:4:1: site.spa is 1; write true or false, without quotes",
        f"{tmp_path}/slipway.toml: no mistakes",
    ]
    found = json.loads(checked(wrong, "--json").stdout)
    assert found["files"] == [str(wrong)]
    assert found["mistakes"][0] == {
        "file": str(wrong),
        "line": 2,
        "column": 3,
        "key": "build.commnd",
        "found": "a key that Slipway does not know",
        "expected": "command",
    }
    assert "nowhere" in refused(checked(tmp_path / "nowhere"))


@pytest.mark.slow
def test_what_a_checkout_would_use_is_shown_with_where_it_comes_from(tmp_path: Path):
    (tmp_path / ".git").mkdir()
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "package.json").write_text(
        '{"scripts": {"build": "x"}, "devDependencies": {"vite": "5"}}'
    )
    (tmp_path / "slipway.toml").write_text(
        "[apps.shop.build]\nroot_directory = 'site'\n[policy.previews]\nlimit = 3\n"
    )
    for place in (tmp_path, tmp_path / "site"):
        done = slipway(Path("/dev/null/home"), "config", "show", str(place), "--json")
        (found,) = json.loads(done.stdout)
        values = {one["key"]: (one["value"], one["origin"]) for one in found["values"]}
        assert found["app"] == "shop"
        assert values["build.command"] == ("npm run build", "detected: package.json depends on vite 5")
        assert values["policy.previews.limit"] == (3, "slipway.toml, line 4")
        assert values["policy.previews.idle"] == ("72h", "default")
        assert values["build.root_directory"] == ("site", "slipway.toml, line 2")
    shown = slipway(Path("/dev/null/home"), "config", "show", str(tmp_path)).stdout
    assert '= "site"   # slipway.toml, line 2\n' in shown
    (tmp_path / "slipway.toml").write_text("[build]\nx = 1\n")
    assert "slipway.toml, line 2, column 1" in refused(
        slipway(tmp_path / "home", "config", "show", str(tmp_path))
    )
