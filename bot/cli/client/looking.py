"""Commands that look: releases, the state of the instance, a site's address."""

import sys
import webbrowser
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.cli.client.client import Client, Row, at, environment_at
from bot.cli.client.session import PRODUCTION, Json, client
from bot.cli.client.watching import print_json

Most = Annotated[int, typer.Option("--most", min=1, help="How many, newest first.")]
_APPS = 50
_WIDE = 500


def releases(app: str, *, most: Most = 20, as_json: Json = False) -> None:
    """List an app's releases: `slipway promote` and `slipway rollback` make them live without a build."""
    with client(as_json=as_json) as api:
        rows = api.rows(at("apps", app, "releases"), most=most)
    if as_json:
        print_json(rows)
        return
    cells = (
        (
            row["number"],
            row["name"],
            row["commit"][:7],
            ", ".join(row["liveIn"]),
            row["createdAt"][:16],
            row["deployment"],
        )
        for row in rows
    )
    print_table(("Number", "Release", "Commit", "Live in", "Built (UTC)", "By"), cells)


def open_site(
    app: str,
    environment: Annotated[str, typer.Argument(help="Which environment.")] = PRODUCTION,
    *,
    as_json: Json = False,
) -> None:
    """Print where an environment is, and open it in a browser on a terminal."""
    with client(as_json=as_json) as api:
        found = api.get(environment_at(app, environment))
    if as_json:
        print_json({"url": found["url"], "release": found["release"]})
        return
    sys.stdout.write(f"{found['url']}\n")
    if found["release"] is None:
        sys.stderr.write("Nothing is live there yet.\n")
    elif sys.stdout.isatty():
        webbrowser.open(found["url"])


def status(*, as_json: Json = False) -> None:
    """Show who you are, what is live, what runs and waits, and what ended last."""
    with client(as_json=as_json) as api:
        me = api.get(at("auth", "me"))
        app, apps = me["appId"], seen_apps(api, me)
        latest = api.rows(at("apps", app, "deployments") if app else at("deployments"), most=10)
        shown = {"url": api.place.url, "caller": me, "apps": apps, "deployments": latest}
    if as_json:
        print_json(shown)
        return
    sys.stdout.write(f"{api.place.url} knows you as {me['name']}: {', '.join(me['rights'])}\n\n")
    print_table(("App", "Live", "Address"), map(_app_cells, apps))
    sys.stdout.write("\n")
    print_table(("Deployment", "App", "Environment", "State", "Why"), map(_deployment_cells, latest))


def print_table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Print rows below heads; None is left empty."""
    table = Table(*heads, box=None, header_style="bold")
    for row in rows:
        table.add_row(*(escape("" if cell is None else str(cell)) for cell in row))
    # In a pipe nothing is cut or wrapped.
    Console(soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE).print(table)


def seen_apps(api: Client, caller: Row) -> list[Row]:
    """The apps that a caller sees: a deploy token one, and no lists of all."""
    own = caller["appId"]
    return [api.get(at("apps", own))] if own else api.rows(at("apps"), most=_APPS)


def _app_cells(app: Row) -> tuple[Any, ...]:
    live = app["live"]
    return app["slug"], live["release"] if live else "nothing yet", app["url"]


def _deployment_cells(one: Row) -> tuple[Any, ...]:
    return one["reference"], one["app"], one["environment"], one["status"], one["reason"]
