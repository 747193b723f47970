"""Commands about the audit log: look at it, and take it along."""

import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from bot.cli.client.client import at, known
from bot.cli.client.looking import print_table
from bot.cli.client.session import Json, client
from bot.cli.client.watching import print_json


def list_rows(
    *,
    actor: Annotated[str | None, typer.Option(help="Who: a name, or a key such as token:5.")] = None,
    action: Annotated[str | None, typer.Option(help="What was done.")] = None,
    app: Annotated[str | None, typer.Option(help="Slug of an app.")] = None,
    search: Annotated[str | None, typer.Option(help="Only what mentions this text.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 50,
    as_json: Json = False,
) -> None:
    """List changes, newest first."""
    with client(as_json=as_json) as api:
        rows = api.rows(at("audit"), most=limit, actor=actor, action=action, app=app, search=search)
    if as_json:
        print_json(rows)
        return
    names = ("id", "at", "actor", "action", "subject", "origin")
    print_table(("Row", "When", "Who", "What", "To", "From"), ([row[name] for name in names] for row in rows))


def export(
    *,
    since: Annotated[datetime | None, typer.Option(help="From this moment on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this moment, UTC.")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="A table, instead of a JSON object a line.")] = False,
) -> None:
    """Print changes, oldest first, one JSON object a line."""
    query = known(since=_utc(since), until=_utc(until), format="csv" if csv else None)
    with client() as api:
        for part in api.text(at("audit", "export"), **query):
            sys.stdout.write(part)


def _utc(moment: datetime | None) -> str | None:
    return None if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC).isoformat()
