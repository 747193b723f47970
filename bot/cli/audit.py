"""Commands about the audit log: look at it, take it along, and see whether it is whole."""

import json
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bot import anchors
from bot.cli.instance import find_app, open_instance
from bot.domain.audit import Row
from bot.store import audit_pages
from bot.store.audit_pages import AuditFilter
from bot.store.engine import Tx, reading
from bot.store.pages import Slice
from bot.wording import clean

application = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_PORTION = 500


@application.callback()
def audit_log() -> None:
    """The audit log: who changed what, when, and from where."""


@application.command()
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


@application.command("list")
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
    with reading(open_instance().engine) as tx:
        number = find_app(tx, app).id if app is not None else None
        wanted = AuditFilter(app_id=number, actor=actor, action=action, search=search)
        rows = audit_pages.page(tx, wanted, Slice(0, limit, "")).rows
    if as_json:
        sys.stdout.write(json.dumps([_facts(row) for row in rows]) + "\n")
        return
    table = Table("Row", "When", "Who", "What", "To", "From", box=None, header_style="bold")
    for row in rows:
        act = row.act
        said = (clean(one) for one in (act.actor, act.action, act.subject, act.origin))
        table.add_row(str(row.id), f"{row.at:%Y-%m-%d %H:%M:%S}", *said)
    Console(soft_wrap=True, markup=False).print(table)


@application.command()
def export(
    *,
    since: Annotated[datetime | None, typer.Option(help="From this moment on, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this moment, UTC.")] = None,
) -> None:
    """Print changes, oldest first, one JSON object a line."""
    with reading(open_instance().engine) as tx:
        wanted = AuditFilter(since=_utc(since), until=_utc(until))
        after = 0
        while rows := _portion(tx, wanted, after):
            sys.stdout.write("".join(json.dumps(_facts(row)) + "\n" for row in rows))
            after = rows[-1].id


def _portion(tx: Tx, wanted: AuditFilter, after: int) -> list[Row]:
    return audit_pages.portion(tx, wanted, after=after, limit=_PORTION)


def _utc(moment: datetime | None) -> datetime | None:
    return None if moment is None else moment.replace(tzinfo=moment.tzinfo or UTC)


def _facts(row: Row) -> dict[str, Any]:
    return {"id": row.id, "at": row.at.isoformat(), **asdict(row.act)}
