"""Commands about apps."""

import dataclasses
import json
import secrets
import sys
from pathlib import Path, PurePosixPath
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bot.cli.instance import find_app, open_instance
from bot.clock import utc_now
from bot.domain.app import App, is_inside, is_repository, is_slug, slug_of
from bot.domain.environment import PRODUCTION, hostname_of
from bot.errors import ErrorCode, UserError
from bot.intake.events import is_branch
from bot.settings import Settings
from bot.store import apps, deployments, environments, releases
from bot.store.apps import NewApp
from bot.store.engine import Tx, reading, writing
from bot.vault import open_vault

application = typer.Typer(no_args_is_help=True)
_INSIDE = "a path below the repository's top, without '..'"
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


Repository = Annotated[str, typer.Option(help="OWNER/NAME, as GitHub's events name it.")]
CloneUrl = Annotated[str | None, typer.Option(help="Any git URL; default: the repository on GitHub.")]
Root = Annotated[str, typer.Option(help="Where the app lives in the repository.")]
Build = Annotated[str | None, typer.Option(help="Default: slipway.toml, else detected.")]
Output = Annotated[str | None, typer.Option(help="Default: slipway.toml, else detected.")]
Branch = Annotated[str, typer.Option(help="The branch that goes live.")]
Slug = Annotated[str | None, typer.Option(help="The app's name in hostnames; default: the repository's.")]
OwnSecret = Annotated[bool, typer.Option("--own-secret", help="Make a webhook secret for this app alone.")]


@application.command()
def create(
    *,
    repository: Repository,
    clone_url: CloneUrl = None,
    root_directory: Root = "",
    build_command: Build = None,
    output_directory: Output = None,
    production_branch: Branch = "main",
    slug: Slug = None,
    own_secret: OwnSecret = False,
    as_json: Json = False,
) -> None:
    """Register an app. Its production branch goes live with the first push, or in minutes without one."""
    instance = open_instance()
    _check("repository", repository, is_repository(repository), "OWNER/NAME, such as acme/shop")
    _check("production-branch", production_branch, is_branch(production_branch), "a branch's name")
    _check("root-directory", root_directory, is_inside(root_directory), _INSIDE)
    _check("output-directory", output_directory or "", is_inside(output_directory or ""), _INSIDE)
    secret = secrets.token_hex(32) if own_secret else None
    new = NewApp(
        slug=slug or "",
        repository=repository,
        clone_url=_clone_url(instance.settings, repository, clone_url),
        production_branch=production_branch,
        root_directory="/".join(PurePosixPath(root_directory).parts),
        build_command=build_command,
        output_directory=output_directory,
        webhook_secret=open_vault(instance.settings).seal(secret.encode()) if secret else None,
    )
    with writing(instance.engine) as tx:
        app = apps.insert(tx, _named(tx, new, instance.settings), utc_now())
    if as_json:
        _print_json({**_facts(app), "webhook_secret": secret})
        return
    url = instance.settings.site_url(f"{app.slug}.{instance.settings.preview_domain}")
    sys.stdout.write(f"{app.slug} is registered. A push to {app.production_branch} makes it live at {url}\n")
    if secret:
        sys.stdout.write(f"Its webhook secret, shown this once: {secret}\n")


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
        apps.set_enabled(tx, find_app(tx, slug).id, enabled=enabled)
    sys.stdout.write(f"Pushes to {slug} {'deploy' if enabled else 'do not deploy any more'}.\n")


def _check(field: str, value: str, ok: bool, expected: str) -> None:
    if not ok:
        raise UserError(ErrorCode.INVALID_VALUE, field=field, value=value, expected=expected)


def _clone_url(settings: Settings, repository: str, given: str | None) -> str:
    if given is None:
        return f"{settings.github_url.rstrip('/')}/{repository}.git"
    return Path(given).as_uri() if Path(given).is_absolute() else given


def _named(tx: Tx, new: NewApp, settings: Settings) -> NewApp:
    folder = new.root_directory.rpartition("/")[2] or new.repository.partition("/")[2]
    slug = new.slug or _free_slug(tx, slug_of(folder))
    _check("slug", slug, is_slug(slug), "lowercase letters, digits and single hyphens, at most 40")
    _check("slug", slug, apps.by_slug(tx, slug) is None, "a slug that no other app has")
    hostname = hostname_of(slug, PRODUCTION, settings.preview_domain)
    free = not environments.has_hostname(tx, hostname)
    _check("slug", slug, free, f"a slug whose hostname {hostname} is not in use")
    return dataclasses.replace(new, slug=slug)


def _free_slug(tx: Tx, wanted: str) -> str:
    taken = {app.slug for app in apps.all_apps(tx)}
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return wanted if wanted not in taken else next(name for name in numbered if name not in taken)


def _facts(app: App) -> dict[str, Any]:
    hidden = ("id", "tenant_id", "project_id", "installation_id", "created_at")
    return {name: value for name, value in dataclasses.asdict(app).items() if name not in hidden}


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
