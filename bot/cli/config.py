"""Commands about slipway.toml."""

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from bot.cli.programs import become
from bot.errors import ErrorCode, UserError
from bot.intake.mistakes import key_of
from bot.intake.paths import RECIPE_FILE
from bot.intake.recipe import MAX_RECIPE_BYTES, read

application = typer.Typer(
    add_completion=False, no_args_is_help=True, help="slipway.toml: check it, show what counts."
)
_MAX_DEPTH = 8
_PASSED_BY = {"node_modules", "vendor", "__pycache__"}

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Where = Annotated[str, typer.Argument(help="A slipway.toml, or a folder of a checkout.")]


@dataclass(frozen=True)
class Fault:
    """A mistake in a file, as it is printed."""

    file: str
    line: int
    column: int
    key: str
    found: str
    expected: str


@application.command()
def check(path: Where = ".", *, as_json: Json = False) -> None:
    """Look for mistakes in slipway.toml, without an instance. Exit code 1 when there are any."""
    place = Path(path)
    if not place.exists():
        raise UserError(ErrorCode.INVALID_VALUE, field="path", value=path, expected="a file or a folder")
    files = [place] if place.is_file() else list(dict.fromkeys([*_above(place), *_below(place)]))
    faults = [fault for file in files for fault in _faults(file)]
    if as_json:
        rows = [vars(fault) for fault in faults]
        sys.stdout.write(json.dumps({"files": [str(file) for file in files], "mistakes": rows}) + "\n")
    else:
        sys.stdout.write(_report(files, faults))
    if faults:
        raise typer.Exit(1)


@application.command()
def show(
    path: Where = ".",
    *,
    app: Annotated[str | None, typer.Option(help="An app of this instance, instead of a checkout.")] = None,
    as_json: Json = False,
) -> None:
    """Show what a deployment would use, and where each value comes from."""
    words = ["--app", app] if app is not None else ["--path", path]
    become("jobs.config", *words, *(["--json"] if as_json else []))


def _faults(file: Path) -> Iterator[Fault]:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_RECIPE_BYTES + 1)
    except OSError as error:
        expected = f"a file that can be read ({error.strerror})"
        raise UserError(ErrorCode.INVALID_VALUE, field="path", value=str(file), expected=expected) from error
    reading = read(content)
    for one in reading.mistakes:
        place = reading.place(one)
        yield Fault(str(file), place.line, place.column, key_of(one.path), one.found, one.expected)


def _report(files: list[Path], faults: list[Fault]) -> str:
    if not files:
        return f"There is no {RECIPE_FILE}: how to build is detected, and what to deploy is the default.\n"
    lines = [
        f"{one.file}:{one.line}:{one.column}: {one.key} is {one.found}; write {one.expected}"
        for one in faults
    ]
    wrong = {one.file for one in faults}
    lines += [f"{file}: no mistakes" for file in files if str(file) not in wrong]
    return "".join(f"{line}\n" for line in lines)


def _above(folder: Path) -> Iterator[Path]:
    """The file at the repository's top, when the folder is below it."""
    for parent in folder.absolute().parents:
        if (parent / ".git").exists():
            file = parent / RECIPE_FILE
            if file.is_file():
                yield Path(os.path.relpath(file))
            return
        if (folder.absolute() / ".git").exists():
            return


def _below(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        depth = len(Path(here).relative_to(folder).parts)
        deeper = sorted(name for name in folders if not name.startswith(".") and name not in _PASSED_BY)
        folders[:] = deeper if depth < _MAX_DEPTH else []
        if RECIPE_FILE in files:
            yield Path(here) / RECIPE_FILE
