"""The code keeps its promises about size, names and texts."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import render
from bot.errors import ErrorCode
from bot.settings import Settings

ROOT = Path(__file__).parents[2]
MODULES = sorted([*ROOT.glob("bot/**/*.py"), *ROOT.glob("jobs/**/*.py")])
MAX_MODULE, MAX_FUNCTION, MAX_POSITIONAL = 300, 40, 4
VAGUE = {"utils", "helpers", "manager", "base", "common"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path: Path) -> Iterator[Function]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, Function):
            yield node


def positional(function: Function) -> int:
    names = [argument.arg for argument in (*function.args.posonlyargs, *function.args.args)]
    return len([name for name in names if name not in ("self", "cls")])


def test_modules_are_small():
    long = {
        str(path): len(path.read_text().splitlines()) for path in MODULES if "migrations" not in path.parts
    }
    assert {path: lines for path, lines in long.items() if lines > MAX_MODULE} == {}


def test_functions_are_small_and_take_few_positional_parameters():
    wrong = [
        f"{path.relative_to(ROOT)}:{function.lineno} {function.name}"
        for path in MODULES
        if "migrations" not in path.parts
        for function in functions(path)
        if (function.end_lineno or 0) - function.lineno >= MAX_FUNCTION
        or positional(function) > MAX_POSITIONAL
    ]
    assert wrong == []


def test_no_module_has_a_vague_name_and_no_import_hides_in_a_function():
    assert [str(path) for path in MODULES if path.stem in VAGUE] == []
    hidden = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES
        for function in functions(path)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert hidden == []


def test_every_setting_is_in_the_docs_with_its_default():
    told = (ROOT / "docs" / "operations.md").read_text().partition("## Settings\n")[2]
    rows = dict(re.findall(r"^\| `([A-Z_]+)` \| (.*?) \|", told, re.MULTILINE))
    names = {name.upper(): field for name, field in Settings.model_fields.items()}
    assert set(rows) == set(names)
    for name, field in names.items():
        default = field.get_default(call_default_factory=True)
        shown = str(default) if default not in (None, []) else ""
        assert rows[name].strip("`") == shown, name
    for name, field in names.items():
        assert field.description, name
        assert field.description in told, name


@pytest.mark.parametrize("code", list(ErrorCode))
def test_every_error_code_has_its_text_and_somebody_raises_it(code: ErrorCode):
    text = (ROOT / "templates" / "message" / f"{code}.md.j2").read_text()
    first, blank, *advice = text.splitlines()
    assert first.endswith((".", "?"))
    assert blank == ""
    assert "".join(advice).strip()
    used = [path for path in MODULES if f"ErrorCode.{code.name}" in path.read_text()]
    assert used, f"nobody raises {code}"


def test_every_text_belongs_to_an_error_code():
    texts = {path.name.removesuffix(".md.j2") for path in (ROOT / "templates" / "message").iterdir()}
    assert texts == set(ErrorCode)
    assert render.TEMPLATES == ROOT / "templates"
