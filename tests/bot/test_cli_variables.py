"""Variables by the command line, and the rotation of the key that they are sealed with."""

import json
import os
import subprocess
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests import command
from tests.command import CLI, Done

SECRET = "hunter2-and-more"
SHOP = ("--app", "shop")


def environment(home: Path, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
    return {**kept, "SLIPWAY_HOME": str(home), **settings}


def slipway(home: Path, *words: str, **settings: str) -> Done:
    return command.run(words, environment(home, **settings))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    made = slipway(tmp_path, "app", "create", "--repository", "acme/shop", "--clone-url", "/srv/shop.git")
    assert made.returncode == 0, made.stderr
    (tmp_path / "value").write_text(SECRET)
    return tmp_path


def done(home: Path, *words: str, **settings: str) -> str:
    made = slipway(home, *words, **settings)
    assert made.returncode == 0, made.stderr
    assert SECRET not in made.stderr
    return made.stdout


def listed(home: Path, *whose: str, **settings: str) -> dict[str, object]:
    rows = json.loads(done(home, "variables", "list", *whose, "--json", **settings))
    return {f"{one['name']} {one['appliesTo']}": one["value"] for one in rows}


def test_variables_are_set_listed_revealed_and_unset(home: Path):
    said = done(home, "variables", "set", "A=1", "B=b=c", *SHOP)
    assert said == "Changed: A, B.\n"
    assert done(home, "variables", "set", "B=b=c", *SHOP) == "Nothing changed.\n"
    done(home, "variables", "set", "A_TOKEN", "--file", str(home / "value"), *SHOP)
    done(home, "variables", "set", "A=2", "--for", "preview", "--no-runtime", *SHOP)
    assert listed(home, *SHOP) == {
        "A preview": "2",
        "A production": "1",
        "A_TOKEN production": None,
        "B production": "b=c",
    }
    table = done(home, "variables", "list", *SHOP)
    assert "(secret)" in table
    assert SECRET not in table
    assert done(home, "variables", "reveal", "A_TOKEN", *SHOP) == SECRET
    done(home, "variables", "unset", "A", "--for", "preview", *SHOP)
    done(home, "variables", "unset", "A_TOKEN", *SHOP)
    assert listed(home, *SHOP) == {"A production": "1", "B production": "b=c"}


def test_a_secret_comes_from_a_pipe_and_never_from_the_command_line(home: Path):
    for words in (("A_TOKEN=" + SECRET,), ("PLAIN=" + SECRET, "--secret")):
        refused = slipway(home, "variables", "set", *words, *SHOP)
        assert refused.returncode == 2
        assert "history" in refused.stderr
        assert SECRET not in refused.stderr
    words = [*CLI, "variables", "set", "A_TOKEN", *SHOP]
    piped = subprocess.run(
        words, env=environment(home), input=SECRET + "\n", capture_output=True, text=True, check=False
    )
    assert (piped.returncode, piped.stdout) == (0, "Changed: A_TOKEN.\n"), piped.stderr
    assert done(home, "variables", "reveal", "A_TOKEN", *SHOP) == SECRET
    done(home, "variables", "set", "A_TOKEN=not-one", "--plain", *SHOP)
    assert listed(home, *SHOP) == {"A_TOKEN production": "not-one"}


def test_each_scope_has_its_own(home: Path):
    for whose in (
        ("--org", "default"),
        ("--project", "default"),
        SHOP,
        (*SHOP, "--environment", "production"),
    ):
        assert listed(home, *whose) == {}
        done(home, "variables", "set", f"A={whose[-1]}", *whose)
        assert list(listed(home, *whose).values()) == [whose[-1]]


def test_what_is_named_wrongly_is_said(home: Path):
    for words, said in (
        (("set", "A=1"), "--app"),
        (("set", "A=1", "--app", "nothing"), "nothing"),
        (("set", "A=1", *SHOP, "--environment", "nowhere"), "nowhere"),
        (("set", "A=1", "--org", "nobody"), "nobody"),
        (("set", "A=1", "--project", "nothing"), "nothing"),
        (("set", "PATH=1", *SHOP), "PATH"),
        (("reveal", "NOTHING", *SHOP), "NOTHING"),
        (("set", "A_TOKEN", "--file", "/nowhere", *SHOP), "/nowhere"),
        (("set", "A", "B", "--file", str(home / "value"), *SHOP), "one value"),
    ):
        refused = slipway(home, "variables", *words)
        assert refused.returncode == 2, words
        assert said in refused.stderr, words
        assert "Traceback" not in refused.stderr


def test_a_file_is_imported(home: Path):
    file = home / ".env"
    file.write_text(f"A=1\nA_TOKEN='{SECRET}'\n")
    assert done(home, "variables", "import", str(file), "--for", "all", *SHOP) == "Changed: A, A_TOKEN.\n"
    assert listed(home, *SHOP) == {"A all": "1", "A_TOKEN all": None}
    file.write_text(f"B=2\n{SECRET} and more\n")
    refused = slipway(home, "variables", "import", str(file), *SHOP)
    assert "line 2" in refused.stderr
    assert SECRET not in refused.stderr
    file.write_text("B=2\n")
    done(home, "variables", "import", str(file), "--replace", "--for", "all", *SHOP)
    assert listed(home, *SHOP) == {"B all": "2"}


def test_everything_is_sealed_anew_with_the_first_key(home: Path):
    done(home, "variables", "set", "A_TOKEN", "--file", str(home / "value"), *SHOP)
    old, new = (home / "keys" / "encryption.key").read_text().strip(), Fernet.generate_key().decode()
    both = {"SLIPWAY_ENCRYPTION_KEY": f"{new},{old}"}
    assert done(home, "variables", "reveal", "A_TOKEN", *SHOP, **both) == SECRET
    assert slipway(home, "variables", "reveal", "A_TOKEN", *SHOP, SLIPWAY_ENCRYPTION_KEY=new).returncode == 2
    said = done(home, "secrets", "rotate", **both)
    assert "variables.value: 1 of 1 sealed anew" in said
    assert "2 of them now" in said
    assert done(home, "variables", "reveal", "A_TOKEN", *SHOP, SLIPWAY_ENCRYPTION_KEY=new) == SECRET
    assert "0 of them now" in done(home, "secrets", "rotate", **both)
    lost = slipway(home, "secrets", "rotate", SLIPWAY_ENCRYPTION_KEY=old)
    assert lost.returncode == 2
    assert "2 can't be opened" in lost.stderr
