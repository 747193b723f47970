"""The command that shows a deployment's log."""

import json
import sys
from collections.abc import Iterator
from typing import Annotated

import typer

from bot.cli.client.client import Client, Row, at
from bot.cli.client.progress import log_text
from bot.cli.client.session import Json, client

_PAGE = 2000
_ENDED = {"succeeded", "failed", "cancelled", "superseded", "skipped", "rejected"}


def logs(
    deployment: str,
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the deployment ends.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Start after this line.")] = 0,
    as_json: Json = False,
) -> None:
    """Print a deployment's log; with -f, follow it to its end. Exit code 1 when it ended without success."""
    with client(as_json=as_json) as api:
        shown = 0
        lines = _followed(api, deployment, after) if follow else _lines(api, deployment, after)
        for shown, line in enumerate(lines, 1):  # noqa: B007  how many there were
            sys.stdout.write((json.dumps(line) if as_json else log_text(line)) + "\n")
            sys.stdout.flush()
        found = api.get(at("deployments", deployment))
    if found["status"] not in _ENDED:
        return
    if found["startedAt"] is not None and not shown and not after:
        sys.stderr.write(f"The log of {found['reference']} is not kept any more.\n")
    if found["status"] != "succeeded":
        raise typer.Exit(1)


def _lines(api: Client, deployment: str, after: int) -> Iterator[Row]:
    while True:
        part = api.get(at("deployments", deployment, "logs"), after=after, limit=_PAGE)
        yield from part["lines"]
        if len(part["lines"]) < _PAGE:
            return
        after = part["next"]


def _followed(api: Client, deployment: str, after: int) -> Iterator[Row]:
    for event in api.follow(deployment, after):
        if event["type"] == "log":
            yield {name: value for name, value in event.items() if name != "type"}
