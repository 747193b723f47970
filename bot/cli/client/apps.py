"""Commands about the apps of an instance on another machine."""

import sys
from typing import Any

import typer

from bot.cli.app_options import Branch, Build, CloneUrl, Output, OwnSecret, Repository, Root, Slug
from bot.cli.client.client import Row, at
from bot.cli.client.looking import print_table
from bot.cli.client.session import Json, client
from bot.cli.client.watching import print_json

application = typer.Typer(no_args_is_help=True, help="Apps: what is deployed.")

_DETECTED = ("installCommand", "buildCommand", "outputDirectory")


@application.command()
def create(
    *,
    repository: Repository,
    clone_url: CloneUrl = None,
    root_directory: Root = "",
    build_command: Build = None,
    output_directory: Output = None,
    production_branch: Branch = None,
    slug: Slug = None,
    own_secret: OwnSecret = False,
    as_json: Json = False,
) -> None:
    """Register an app. Nothing is live before its first deployment: push, or `slipway deploy`."""
    asked: dict[str, Any] = {
        "repository": repository,
        "cloneUrl": clone_url,
        "rootDirectory": root_directory or None,
        "buildCommand": build_command,
        "outputDirectory": output_directory,
        "productionBranch": production_branch,
        "slug": slug,
        "ownSecret": own_secret or None,
    }
    with client(as_json=as_json) as api:
        made = api.post(at("apps"), {name: value for name, value in asked.items() if value is not None})
    if as_json:
        print_json(made)
        return
    branch, url = made["productionBranch"], made["url"]
    sys.stdout.write(f"{made['slug']} is registered. A push to {branch} makes it live at {url}\n")
    if made["webhookSecret"]:
        sys.stdout.write(f"Its webhook secret, shown this once: {made['webhookSecret']}\n")


@application.command("list")
def list_apps(*, as_json: Json = False) -> None:
    """List the apps, and what is live."""
    with client(as_json=as_json) as api:
        rows = api.rows(at("apps"))
    if as_json:
        print_json(rows)
        return
    print_table(("App", "Repository", "Branch", "Live", "Address"), map(_cells, rows))


@application.command()
def show(app: str, *, as_json: Json = False) -> None:
    """Show one app: its settings, environments and latest deployments."""
    with client(as_json=as_json) as api:
        facts = api.get(at("apps", app))
        environments = api.rows(at("apps", app, "environments"))
        latest = api.rows(at("apps", app, "deployments"), most=5)
    if as_json:
        print_json({**facts, "environments": environments, "deployments": latest})
        return
    for name, value in facts.items():
        if name in _DETECTED or value not in (None, "", facts["live"]):
            sys.stdout.write(f"{name}: {'(detected)' if value is None else value}\n")
    sys.stdout.write("\n")
    names = ("name", "branch", "release", "url", "pinReason")
    print_table(
        ("Environment", "Branch", "Release", "Address", ""),
        ([one[name] for name in names] for one in environments),
    )
    sys.stdout.write("\n")
    names = ("reference", "environment", "status", "reason")
    print_table(
        ("Deployment", "Environment", "State", "Why"), ([one[name] for name in names] for one in latest)
    )


@application.command()
def disable(app: str) -> None:
    """Let pushes pass without a deployment. What is live stays live."""
    _switch(app, enabled=False)


@application.command()
def enable(app: str) -> None:
    """Let pushes deploy again."""
    _switch(app, enabled=True)


def _switch(app: str, *, enabled: bool) -> None:
    with client() as api:
        api.patch(at("apps", app), {"enabled": enabled})
    sys.stdout.write(f"Pushes to {app} {'deploy' if enabled else 'do not deploy any more'}.\n")


def _cells(app: Row) -> tuple[Any, ...]:
    live = app["live"]["release"] if app["live"] else "nothing yet"
    return app["slug"], app["repository"], app["productionBranch"], live, app["url"]
