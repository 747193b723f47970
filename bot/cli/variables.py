"""Commands about variables: they are set, listed and revealed in place. No secret comes from argv."""

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot import pending
from bot.cli.instance import Instance, caller, open_instance
from bot.cli.variable_options import (
    AppSlug,
    EnvironmentName,
    For,
    OrgSlug,
    ProjectSlug,
    Whose,
    given,
    refuse_several,
    text_of,
)
from bot.cli.variable_scope import own_place, place_of
from bot.clock import utc_now
from bot.domain.audit import Act
from bot.domain.ids import AppId, EnvironmentId
from bot.domain.variable import Place, Reach, Scope
from bot.domain.variable_wish import Wanted
from bot.errors import ErrorCode, UserError
from bot.intake.dotenv_text import read_dotenv
from bot.store import audit, environments, variables
from bot.store.engine import Tx, reading
from bot.variables import Book
from bot.vault import open_vault

application = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@application.callback()
def given_to_builds_and_apps() -> None:
    """Variables: what builds and apps are given."""


@application.command("list")
def list_variables(
    *,
    app: AppSlug = None,
    environment: EnvironmentName = None,
    project: ProjectSlug = None,
    org: OrgSlug = None,
    as_json: Json = False,
) -> None:
    """List variables. Values of secrets are not shown."""
    instance = open_instance()
    whose = Whose(app, environment, project, org)
    with reading(instance.engine) as tx:
        place = place_of(tx, whose)
        found = variables.of_place(tx, place) if place is not None else []
        values = Book(tx, open_vault(instance.settings)).plain_values(found)
    rows = [
        {
            "name": one.name,
            "value": values.get(one.id),
            "secret": one.secret,
            "build": one.build,
            "runtime": one.runtime,
            "appliesTo": one.reach.value,
            "version": one.version,
            "changedBy": one.changed_by,
        }
        for one in found
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    table = Table("Name", "Value", "For", "At", "Version", "By", box=None, header_style="bold")
    for row in rows:
        uses = " ".join(name for name in ("build", "runtime") if row[name])
        value = "(secret)" if row["secret"] else " ".join(str(row["value"]).split())[:80]
        cells = (row["name"], value, row["appliesTo"], uses, row["version"], row["changedBy"])
        table.add_row(*(escape(str(cell)) for cell in cells))
    Console(soft_wrap=True).print(table)


@application.command("set")
def set_variables(
    words: Annotated[list[str], typer.Argument(metavar="NAME[=VALUE]...")],
    *,
    app: AppSlug = None,
    environment: EnvironmentName = None,
    project: ProjectSlug = None,
    org: OrgSlug = None,
    applies_to: For = None,
    secret: Annotated[bool | None, typer.Option("--secret/--plain", help="Default: by its name.")] = None,
    build: Annotated[bool | None, typer.Option("--build/--no-build", help="Whether builds get it.")] = None,
    runtime: Annotated[
        bool | None, typer.Option("--runtime/--no-runtime", help="Whether running apps get it.")
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Where the value is read from.")] = None,
) -> None:
    """Set variables: plain ones as NAME=VALUE, secrets by NAME alone, typed in, piped in or by --file."""
    whose = Whose(app, environment, project, org)
    reach = _reach(whose, applies_to)
    wanted = [Wanted(*given(word, reach, file, secret=secret), secret, build, runtime) for word in words]
    refuse_several(words)
    _change(open_instance(), whose, wanted)


@application.command()
def unset(
    names: list[str],
    *,
    app: AppSlug = None,
    environment: EnvironmentName = None,
    project: ProjectSlug = None,
    org: OrgSlug = None,
    applies_to: Annotated[Reach | None, typer.Option("--for", help="Default: wherever it counts.")] = None,
) -> None:
    """Unset variables."""
    _change(
        open_instance(), Whose(app, environment, project, org), [], [(name, applies_to) for name in names]
    )


@application.command("import")
def import_variables(
    file: Annotated[Path, typer.Argument(help="A .env file; - is standard input.")],
    *,
    app: AppSlug = None,
    environment: EnvironmentName = None,
    project: ProjectSlug = None,
    org: OrgSlug = None,
    applies_to: For = None,
    secret: Annotated[bool | None, typer.Option("--secret/--plain", help="Default: by each name.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Unset all others.")] = False,
) -> None:
    """Set what a .env file says."""
    whose = Whose(app, environment, project, org)
    reach = _reach(whose, applies_to)
    read = read_dotenv(sys.stdin.read() if str(file) == "-" else text_of(file))
    if read.unread:
        lines = ", ".join(str(line) for line in read.unread[:20])
        expected = f"NAME=value on each line, which line {lines} is not"
        raise UserError(ErrorCode.INVALID_VALUE, field="file", value=str(file), expected=expected)
    wanted = [Wanted(name, reach, value, secret) for name, value in read.values.items()]
    _change(open_instance(), whose, wanted, replaces=replace)


@application.command()
def reveal(
    name: str,
    *,
    app: AppSlug = None,
    environment: EnvironmentName = None,
    project: ProjectSlug = None,
    org: OrgSlug = None,
    applies_to: For = None,
) -> None:
    """Print a value. The audit log remembers it."""
    instance, whose, now = open_instance(), Whose(app, environment, project, org), utc_now()
    with instance.lifecycle.change() as change:
        place = own_place(instance, change, whose)
        book = Book(change.tx, open_vault(instance.settings))
        value = book.reveal(place, name, _reach(whose, applies_to), by=caller(), now=now)
        subject = f"variable {name} of {whose.name}"
        _record(change.tx, place, _action("reveal", whose), subject, now=now)
    sys.stdout.write(value + ("\n" if sys.stdout.isatty() else ""))


def _reach(whose: Whose, given: Reach | None) -> Reach:
    return given or (Reach.ALL if whose.scope is Scope.ENVIRONMENT else Reach.PRODUCTION)


def _change(
    instance: Instance,
    whose: Whose,
    wanted: list[Wanted],
    unset: list[tuple[str, Reach | None]] | None = None,
    *,
    replaces: bool = False,
) -> None:
    by, now = caller(), utc_now()
    with instance.lifecycle.change() as change:
        place = own_place(instance, change, whose)
        book = Book(change.tx, open_vault(instance.settings))
        changed = book.change(place, wanted, by=by, now=now, unset=unset or (), replaces=replaces)
        subject = f"variables of {whose.name}"
        _record(change.tx, place, _action("update", whose), subject, now=now, after={"changed": changed})
        owed = pending.after(change.tx, place, changed)
    sys.stdout.write(f"Changed: {', '.join(changed)}.\n" if changed else "Nothing changed.\n")
    if owed:
        places = ", ".join(f"{one.app.slug}/{one.environment.name}" for one in owed)
        sys.stdout.write(f"Deploy again to apply it: {places}.\n")


def _action(verb: str, whose: Whose) -> str:
    scope = {Scope.TENANT: "Org"}.get(whose.scope, whose.scope.title())
    return f"{verb}{scope}Variable{'' if verb == 'reveal' else 's'}"


def _record(
    tx: Tx, place: Place, action: str, subject: str, *, now: datetime, after: dict[str, Any] | None = None
) -> None:
    app = AppId(place.owner) if place.scope is Scope.APP else None
    if place.scope is Scope.ENVIRONMENT:
        app = environments.get(tx, EnvironmentId(place.owner)).app_id
    act = Act(
        action=action,
        actor=caller(),
        actor_key=f"user:{caller()}",
        origin="command line",
        tenant_id=place.tenant,
        app_id=app,
        subject=subject,
        before={},
        after=after or {},
    )
    audit.record(tx, act, now)
