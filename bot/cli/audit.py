"""Whether the audit log is whole: looked at in the store itself, not by what the web process says of it."""

import json
import sys
from dataclasses import asdict
from typing import Annotated

import typer

from bot import anchors
from bot.cli.instance import open_instance
from bot.store.engine import reading

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def verify(*, as_json: Json = False) -> None:
    """Look at every row. Names the first that is wrong, with exit code 1."""
    instance = open_instance()
    with reading(instance.engine) as tx:
        found = anchors.verify(tx, instance.settings)
    if as_json:
        sys.stdout.write(json.dumps({"whole": found.bad is None, **asdict(found)}) + "\n")
    elif found.bad is None:
        sys.stdout.write(f"The audit log is whole: {found.rows} rows, {found.anchors} anchors.\n")
    else:
        sys.stdout.write(f"Row {found.bad} is wrong: {found.why}.\n")
    if found.bad is not None:
        raise typer.Exit(1)
