"""Commands about apps."""

import sys
from typing import Any

from bot.cli.app_options import Asked, creating
from bot.cli.client.client import Row, at, known
from bot.cli.client.looking import print_table
from bot.cli.client.session import Json, client
from bot.cli.client.watching import print_json

_DETECTED = ("installCommand", "buildCommand", "outputDirectory")


def _create(asked: Asked, *, as_json: bool) -> None:
    """Register an app. Nothing is live before its first deployment: push, or `slipway deploy`."""
    body = {
        "repository": asked.repository,
        "cloneUrl": asked.clone_url,
        "rootDirectory": asked.root_directory or None,
        "buildCommand": asked.build_command,
        "outputDirectory": asked.output_directory,
        "productionBranch": asked.production_branch,
        "slug": asked.slug,
        "ownSecret": asked.own_secret or None,
    }
    with client(as_json=as_json) as api:
        made = api.post(at("apps"), known(**body))
    if as_json:
        print_json(made)
        return
    branch, url = made["productionBranch"], made["url"]
    sys.stdout.write(f"{made['slug']} is registered. A push to {branch} makes it live at {url}\n")
    if made["webhookSecret"]:
        sys.stdout.write(f"Its webhook secret, shown this once: {made['webhookSecret']}\n")


create = creating(_create)


def list_apps(*, as_json: Json = False) -> None:
    """List the apps, and what is live."""
    with client(as_json=as_json) as api:
        rows = api.rows(at("apps"))
    if as_json:
        print_json(rows)
        return
    print_table(("App", "Repository", "Branch", "Live", "Address"), map(_cells, rows))


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


def disable(app: str, *, as_json: Json = False) -> None:
    """Let pushes pass without a deployment. What is live stays live."""
    _switch(app, enabled=False, as_json=as_json)


def enable(app: str, *, as_json: Json = False) -> None:
    """Let pushes deploy again."""
    _switch(app, enabled=True, as_json=as_json)


def _switch(app: str, *, enabled: bool, as_json: bool) -> None:
    with client(as_json=as_json) as api:
        changed = api.patch(at("apps", app), {"enabled": enabled})
    if as_json:
        print_json(changed)
        return
    sys.stdout.write(f"Pushes to {app} {'deploy' if enabled else 'do not deploy any more'}.\n")


def _cells(app: Row) -> tuple[Any, ...]:
    live = app["live"]["release"] if app["live"] else "nothing yet"
    return app["slug"], app["repository"], app["productionBranch"], live, app["url"]
