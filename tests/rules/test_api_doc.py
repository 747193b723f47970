"""docs/api.md names what is served, and says of everything else why it is not."""

import re
from pathlib import Path
from typing import Any

import pytest

from bot.api.openapi import document
from bot.api.refusals import Code
from bot.api.routes import PREFIX
from bot.app import create_app
from bot.errors import ErrorCode
from bot.manifest import HOOK
from bot.oidc import Wrong
from bot.settings import Settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "api.md").read_text()
NAMED = re.compile(r"`((?:(?:GET|POST|PUT|PATCH|DELETE) )+)(/[^\s`]*)`")
HEAD = "| theirs | ours |\n|---|---|\n"


OPERATIONS: dict[str, Any] = {
    path.removeprefix(PREFIX): methods for path, methods in document()["paths"].items()
}


def rows() -> list[tuple[str, str]]:
    """What others have, and what is said of it."""
    lines = TEXT.partition(HEAD)[2].splitlines()
    cells = [line.strip("| ").split(" | ") for line in lines if line.startswith("|")]
    assert all(len(pair) == 2 for pair in cells), [pair for pair in cells if len(pair) != 2]
    return [(theirs, ours) for theirs, ours in cells]


def named(text: str) -> list[tuple[str, str, list[str]]]:
    """The operations that a text names: method, path, and parameters."""
    found: list[tuple[str, str, list[str]]] = []
    for methods, address in NAMED.findall(text):
        path, _, query = address.partition("?")
        asked = [one.partition("=")[0] for one in query.split("&") if one]
        found += [(method, path, asked) for method in methods.split()]
    return found


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The paths that are served beside the API."""
    app = create_app(Settings.model_validate({"home": tmp_path_factory.mktemp("home")}))
    paths = {HOOK, *(str(getattr(route, "path", "")) for route in app.routes)}
    return {path for path in paths if not path.startswith(PREFIX)}


def problem(method: str, path: str, asked: list[str], outside: set[str]) -> str | None:
    described: dict[str, Any] | None = OPERATIONS.get(path, {}).get(method.lower())
    if described is None:
        return None if path in outside and not asked else f"{method} {path} is not served"
    known = {one["name"] for one in described.get("parameters", ()) if one["in"] == "query"}
    unknown = sorted(set(asked) - known)
    return f"{method} {path} does not take {', '.join(unknown)}" if unknown else None


def test_every_operation_that_is_named_is_served(outside: set[str]):
    ours = TEXT.partition(HEAD)[0] + "\n".join(said for _, said in rows())
    wrong = [problem(*one, outside) for one in named(ours)]
    assert [one for one in wrong if one] == []
    assert len(named(ours)) > 150


def test_every_code_of_a_refusal_stands_in_the_table():
    told = set(re.findall(r"`([a-z-]+)`", TEXT.partition("| code | status | means |")[2].partition("## ")[0]))
    assert {*Code, *Wrong} - told == set()
    assert {one for one in told if "-" in one} - {*Code, *Wrong, *ErrorCode} == set()


def test_every_row_names_an_operation_or_says_why_there_is_none():
    said = re.compile(r"\b(?:later|no)(?:: |$)|`\[policy\]`|_redirects")
    assert [theirs for theirs, ours in rows() if not named(ours) and not said.search(ours)] == []


def test_every_operation_stands_somewhere():
    """What nobody else has is told in the text before the table, or in the table."""
    told = {(method, _plain(path)) for method, path, _ in named(TEXT)}
    scoped = ("OfApp", "InProject", "InOrg")
    missing = [
        f"{method.upper()} {path}"
        for path, methods in OPERATIONS.items()
        for method, described in methods.items()
        if not described["operationId"].endswith(scoped) and (method.upper(), _plain(path)) not in told
    ]
    assert missing == []


def _plain(path: str) -> str:
    """A path of variables stands for those of all scopes."""
    return re.sub(r"^/(?:orgs|apps)/.*/variables", "/apps/{app}/variables", path)
