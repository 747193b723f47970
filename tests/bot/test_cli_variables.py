"""Variables by the command line, and the rotation of the key that they are sealed with."""

import json
import os
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from bot.store.engine import reading
from bot.store.schema import variable_schema
from bot.vault import Vault
from tests import command
from tests.calling import api_site
from tests.command import CLI, Done
from tests.shell import Shell

SECRET = "hunter2-and-more"
SHOP = ("--app", "shop")


@dataclass
class Variables(Shell):
    """Commands about variables, and a file to read them from."""

    folder: Path

    def done(self, *words: str) -> str:
        made = self.run("variables", *words)
        assert made.returncode == 0, made.stderr
        assert SECRET not in made.stderr
        return made.stdout

    def listed(self, *whose: str) -> dict[str, object]:
        rows = json.loads(self.done("list", *whose, "--json"))
        return {f"{one['name']} {one['appliesTo']}": one["value"] for one in rows}

    def file(self, text: str) -> str:
        path = self.folder / "a file"
        path.write_text(text)
        return str(path)


@pytest.fixture
def shell(tmp_path: Path) -> Generator[Variables]:
    with api_site(tmp_path / "home") as site:
        yield Variables(site, tmp_path)


def test_variables_are_set_listed_revealed_and_unset(shell: Variables):
    done = shell.done
    said = done("set", "A=1", "B=b=c", *SHOP)
    assert said == "Changed: A, B.\n"
    assert done("set", "B=b=c", *SHOP) == "Nothing changed.\n"
    done("set", "A_TOKEN", "--file", shell.file(SECRET), *SHOP)
    done("set", "A=2", "--for", "preview", "--no-runtime", *SHOP)
    assert shell.listed(*SHOP) == {
        "A preview": "2",
        "A production": "1",
        "A_TOKEN production": None,
        "B production": "b=c",
    }
    table = done("list", *SHOP)
    assert "(secret)" in table
    assert SECRET not in table
    assert done("reveal", "A_TOKEN", *SHOP) == SECRET
    told: dict[str, Any] = json.loads(done("reveal", "A_TOKEN", *SHOP, "--json"))
    assert (told["name"], told["value"]) == ("A_TOKEN", SECRET)
    done("unset", "A", "--for", "preview", *SHOP)
    assert json.loads(done("unset", "A_TOKEN", *SHOP, "--json"))["changed"] == ["A_TOKEN"]
    assert shell.listed(*SHOP) == {"A production": "1", "B production": "b=c"}


def test_a_secret_comes_from_a_pipe_and_never_from_the_command_line(shell: Variables):
    for words in (("A_TOKEN=" + SECRET,), ("PLAIN=" + SECRET, "--secret")):
        refused = shell.run("variables", "set", *words, *SHOP)
        assert refused.returncode == 2
        assert "history" in refused.stderr
        assert SECRET not in refused.stderr
    words = [*CLI, "variables", "set", "A_TOKEN", *SHOP]
    piped = subprocess.run(
        words, env=shell.environment(), input=SECRET + "\n", capture_output=True, text=True, check=False
    )
    assert (piped.returncode, piped.stdout) == (0, "Changed: A_TOKEN.\n"), piped.stderr
    assert shell.done("reveal", "A_TOKEN", *SHOP) == SECRET
    shell.done("set", "A_TOKEN=not-one", "--plain", *SHOP)
    assert shell.listed(*SHOP) == {"A_TOKEN production": "not-one"}


def test_each_scope_has_its_own(shell: Variables):
    for whose in (
        ("--org", "acme"),
        ("--org", "acme", "--project", "default"),
        SHOP,
        (*SHOP, "--environment", "production"),
    ):
        assert shell.listed(*whose) == {}
        shell.done("set", f"A={whose[-1]}", *whose)
        assert list(shell.listed(*whose).values()) == [whose[-1]]


def test_what_is_named_wrongly_is_said(shell: Variables):
    for words, said in (
        (("set", "A=1"), "--app"),
        (("set", "A=1", "--app", "nothing"), "nothing"),
        (("set", "A=1", *SHOP, "--environment", "nowhere"), "nowhere"),
        (("set", "A=1", "--org", "nobody"), "nobody"),
        (("set", "A=1", "--org", "acme", "--project", "nothing"), "nothing"),
        (("set", "PATH=1", *SHOP), "PATH"),
        (("reveal", "NOTHING", *SHOP), "NOTHING"),
        (("set", "A_TOKEN", "--file", "/nowhere", *SHOP), "/nowhere"),
        (("set", "A", "B", "--file", shell.file(SECRET), *SHOP), "one value"),
    ):
        refused = shell.run("variables", *words)
        assert refused.returncode == 2, words
        assert said in refused.stderr, words
        assert "Traceback" not in refused.stderr


def test_a_file_is_imported(shell: Variables):
    done, file = shell.done, shell.file(f"A=1\nA_TOKEN='{SECRET}'\n")
    assert done("import", file, "--for", "all", *SHOP) == "Changed: A, A_TOKEN.\n"
    assert shell.listed(*SHOP) == {"A all": "1", "A_TOKEN all": None}
    refused = shell.run("variables", "import", shell.file(f"B=2\n{SECRET} and more\n"), *SHOP)
    assert "line 2" in refused.stderr
    assert SECRET not in refused.stderr
    done("import", shell.file("B=2\n"), "--replace", "--for", "all", *SHOP)
    assert shell.listed(*SHOP) == {"B all": "2"}


def test_everything_is_sealed_anew_with_the_first_key(shell: Variables):
    shell.done("set", "A_TOKEN", "--file", shell.file(SECRET), *SHOP)
    home = shell.site.instance.settings.home
    old, new = (home / "keys" / "encryption.key").read_text().strip(), Fernet.generate_key().decode()

    def rotate(keys: str) -> Done:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("SLIPWAY_")}
        more = {"SLIPWAY_HOME": str(home), "SLIPWAY_ENCRYPTION_KEY": keys}
        return command.run(("secrets", "rotate"), {**kept, **more})

    said = rotate(f"{new},{old}").stdout
    assert "variables.value: 1 of 1 sealed anew" in said
    assert "2 of them now" in said
    table = variable_schema.variables
    with reading(shell.site.instance.engine) as tx:
        sealed = tx.scalars(sa.select(table.c.value)).one()
    assert Vault([new.encode()]).open(sealed) == SECRET.encode()
    assert "0 of them now" in rotate(f"{new},{old}").stdout
    lost = rotate(old)
    assert lost.returncode == 2
    assert "2 can't be opened" in lost.stderr
