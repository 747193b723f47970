"""Commands about variables. No secret comes from argv."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from bot.cli.client.client import Row, at, environment_at, known
from bot.cli.client.looking import print_table
from bot.cli.client.session import Json, client
from bot.cli.client.watching import print_json
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
from bot.domain.variable import Reach, Scope

application = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Variables: what builds are given."
)
_DEFAULT_ORG = "default"


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
    whose = Whose(app, environment, project, org)
    with client(as_json=as_json) as api:
        rows = api.get(_where(whose))["variables"]
    if as_json:
        print_json(rows)
        return
    print_table(("Name", "Value", "For", "At", "Version", "By"), map(_cells, rows))


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
        bool | None,
        typer.Option("--runtime/--no-runtime", help="Whether running apps are to get it. None runs yet."),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="Where the value is read from.")] = None,
    as_json: Json = False,
) -> None:
    """Set variables: plain ones as NAME=VALUE, secrets by NAME alone, typed in, piped in or by --file."""
    whose = Whose(app, environment, project, org)
    refuse_several(words)
    more = known(secret=secret, build=build, runtime=runtime)
    read = [given(word, file, secret=secret) for word in words]
    _change(whose, {name: {"value": value, **more} for name, value in read}, applies_to, as_json=as_json)


@application.command()
def unset(
    names: list[str],
    *,
    app: AppSlug = None,
    environment: EnvironmentName = None,
    project: ProjectSlug = None,
    org: OrgSlug = None,
    applies_to: Annotated[Reach | None, typer.Option("--for", help="Default: wherever it counts.")] = None,
    as_json: Json = False,
) -> None:
    """Unset variables."""
    wanted = {
        name: None if applies_to is None else {"value": None, "appliesTo": applies_to.value} for name in names
    }
    _change(Whose(app, environment, project, org), wanted, None, as_json=as_json)


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
    as_json: Json = False,
) -> None:
    """Set what a .env file says."""
    whose = Whose(app, environment, project, org)
    text = sys.stdin.read() if str(file) == "-" else text_of(file)
    more = known(secret=secret, appliesTo=applies_to.value if applies_to else None, replaces=replace or None)
    with client(as_json=as_json) as api:
        _tell(api.post(f"{_where(whose)}/import", {"text": text, **more}), as_json=as_json)


@application.command()
def reveal(
    name: str,
    *,
    app: AppSlug = None,
    environment: EnvironmentName = None,
    project: ProjectSlug = None,
    org: OrgSlug = None,
    applies_to: For = None,
    as_json: Json = False,
) -> None:
    """Print a value. The audit log remembers it."""
    whose = Whose(app, environment, project, org)
    body = known(name=name, appliesTo=applies_to.value if applies_to else None)
    with client(as_json=as_json) as api:
        found = api.post(f"{_where(whose)}/reveal", body)
    if as_json:
        print_json(found)
        return
    sys.stdout.write(found["value"] + ("\n" if sys.stdout.isatty() else ""))


def _change(whose: Whose, variables: Row, applies_to: Reach | None, *, as_json: bool) -> None:
    body = known(variables=variables, appliesTo=applies_to.value if applies_to else None)
    with client(as_json=as_json) as api:
        _tell(api.patch(_where(whose), body), as_json=as_json)


def _tell(answer: Row, *, as_json: bool) -> None:
    if as_json:
        print_json(answer)
        return
    changed = answer["changed"]
    sys.stdout.write(f"Changed: {', '.join(changed)}.\n" if changed else "Nothing changed.\n")
    if changed and answer["notice"]:
        sys.stdout.write(f"{answer['notice']}\n")


def _where(whose: Whose) -> str:
    match whose.scope:
        case Scope.ENVIRONMENT:
            return f"{environment_at(whose.app or '', whose.environment or '')}/variables"
        case Scope.APP:
            return at("apps", whose.app or "", "variables")
        case Scope.PROJECT:
            return at("orgs", whose.org or _DEFAULT_ORG, "projects", whose.project or "", "variables")
        case Scope.TENANT:
            return at("orgs", whose.org or _DEFAULT_ORG, "variables")


def _cells(row: Row) -> tuple[Any, ...]:
    uses = " ".join(name for name in ("build", "runtime") if row[name])
    value = "(secret)" if row["secret"] else " ".join(str(row["value"]).split())[:80]
    return row["name"], value, row["appliesTo"], uses, row["version"], row["changedBy"]
