"""Commands about apps."""

import dataclasses
import json
import sys
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bot.cli.app_options import Branch, Build, CloneUrl, Output, OwnSecret, Repository, Root, Slug
from bot.cli.instance import by_hand, find_app, open_instance
from bot.clock import utc_now
from bot.domain.app import App
from bot.domain.environment import PRODUCTION
from bot.domain.errand import ErrandKind, ErrandState
from bot.domain.listing import Listed, find, from_json
from bot.registration import Registry, Wish
from bot.settings import Settings
from bot.store import apps, audit, deployments, environments, errands, releases
from bot.store.engine import Engine, Tx, reading, writing
from bot.vault import open_vault

application = typer.Typer(no_args_is_help=True, help="Apps: what is deployed.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


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
    """Register an app. Its production branch goes live with the first push, or in minutes without one."""
    instance = open_instance()
    listed = _listed(instance.engine, repository) if clone_url is None else None
    wish = Wish(
        repository=listed.full_name if listed else repository,
        clone_url=listed.clone_url if listed else clone_url,
        root_directory=root_directory,
        build_command=build_command,
        output_directory=output_directory,
        production_branch=production_branch or (listed.default_branch if listed else "main"),
        slug=slug,
        own_secret=own_secret,
    )
    registry = Registry(instance.settings, open_vault(instance.settings))
    with writing(instance.engine) as tx:
        registered = registry.register(tx, wish, utc_now())
        app = registered.app
        if listed is not None:
            apps.pin_repository(tx, app.id, listed.id, listed.installation_id)
            app = apps.get(tx, app.id)
        _remember(tx, "created", app, after={"repository": app.repository})
    if as_json:
        _print_json({**_facts(app), "webhook_secret": registered.secret})
        return
    url = instance.settings.site_url(f"{app.slug}.{instance.settings.preview_domain}")
    sys.stdout.write(f"{app.slug} is registered. A push to {app.production_branch} makes it live at {url}\n")
    if registered.secret:
        sys.stdout.write(f"Its webhook secret, shown this once: {registered.secret}\n")


@application.command("list")
def list_apps(*, as_json: Json = False) -> None:
    """List the apps, and what is live."""
    instance = open_instance()
    with reading(instance.engine) as tx:
        found = apps.all_apps(tx)
        live = {one.app_id: one for one in environments.live(tx) if one.name == PRODUCTION}
        names = {
            app: releases.get(tx, one.active_release_id).name
            for app, one in live.items()
            if one.active_release_id
        }
    if as_json:
        _print_json([{**_facts(app), "live": names.get(app.id)} for app in found])
        return
    table = Table("App", "Repository", "Branch", "Live", "Address", box=None, header_style="bold")
    for app in found:
        site = instance.settings.site_url(live[app.id].hostname) if app.id in live else ""
        table.add_row(app.slug, app.repository, app.production_branch, names.get(app.id, "nothing yet"), site)
    Console(soft_wrap=True).print(table)


@application.command()
def show(slug: str, *, as_json: Json = False) -> None:
    """Show one app: its settings, environments and latest deployments."""
    instance = open_instance()
    with reading(instance.engine) as tx:
        app = find_app(tx, slug)
        facts = _facts(app)
        listed: dict[str, list[dict[str, Any]]] = {
            "environments": _environments(tx, app, instance.settings),
            "deployments": [
                {"deployment": f"DEP-{one.id}", "state": one.state, "commit": one.sha, "reason": one.reason}
                for one in deployments.latest(tx, 5, app.id)
            ],
        }
    if as_json:
        _print_json({**facts, **listed})
        return
    for name, value in facts.items():
        sys.stdout.write(f"{name}: {'(detected)' if value is None else value}\n")
    for heading, rows in listed.items():
        sys.stdout.write(f"{heading}:\n")
        for row in rows:
            sys.stdout.write("  " + "  ".join(str(part) for part in row.values()) + "\n")


@application.command()
def disable(slug: str) -> None:
    """Let pushes pass without a deployment. What is live stays live."""
    _switch(slug, enabled=False)


@application.command()
def enable(slug: str) -> None:
    """Let pushes deploy again."""
    _switch(slug, enabled=True)


def _switch(slug: str, *, enabled: bool) -> None:
    with writing(open_instance().engine) as tx:
        app = find_app(tx, slug)
        apps.set_enabled(tx, app.id, enabled=enabled)
        _remember(tx, "changed", app, before={"enabled": app.enabled}, after={"enabled": enabled})
    sys.stdout.write(f"Pushes to {slug} {'deploy' if enabled else 'do not deploy any more'}.\n")


def _remember(tx: Tx, done: str, app: App, **more: Any) -> None:
    audit.record(tx, by_hand(f"app.{done}", f"app {app.slug}", app, **more), utc_now())


def _listed(engine: Engine, repository: str) -> Listed | None:
    """The repository as GitHub last listed it, when it is one of those that the App may see."""
    with reading(engine) as tx:
        last = errands.newest(tx, ErrandKind.LIST_REPOSITORIES, ErrandState.DONE)
    return find(from_json(last.result), name=repository) if last else None


def _facts(app: App) -> dict[str, Any]:
    hidden = ("id", "tenant_id", "project_id", "installation_id", "created_at", "archived_at", "absence")
    facts = {name: value for name, value in dataclasses.asdict(app).items() if name not in hidden}
    return {**facts, "disabled_because": app.off_reason}


def _environments(tx: Tx, app: App, settings: Settings) -> list[dict[str, Any]]:
    return [
        {
            "environment": one.name,
            "branch": one.branch,
            "release": releases.get(tx, one.active_release_id).name if one.active_release_id else None,
            "address": settings.site_url(one.hostname),
            "pinned": one.pin_reason or "",
            "taken_down": f"taken down: {one.archive_reason}" if one.archived_at else "",
        }
        for one in environments.of_apps(tx, [app.id])
    ]


def _print_json(value: Any) -> None:
    sys.stdout.write(json.dumps(value, default=str) + "\n")
