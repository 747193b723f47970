"""Commands about the GitHub App, for machines without a browser."""

import html
import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bot import github_app, manifest
from bot.cli.instance import Instance, act_of_command, open_instance
from bot.clock import utc_now
from bot.console.access import Access, console_key, sign_in_link
from bot.console.setup import SETUP, STATE_LIFE
from bot.domain.errand import Errand, ErrandKind, ErrandState
from bot.domain.listing import Installed, find, from_json
from bot.errors import ErrorCode, UserError
from bot.settings import Settings
from bot.store import apps, audit, errands
from bot.store.engine import reading, writing
from bot.vault import open_vault

application = typer.Typer(
    add_completion=False, no_args_is_help=True, help="The GitHub App, and what it may see."
)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Organization = Annotated[str, typer.Option(help="The organization that will own the App; default: you.")]
Page = Annotated[Path | None, typer.Option(help="Write a page that makes the App, to be opened anywhere.")]
Print = Annotated[bool, typer.Option("--manifest", help="Print the manifest alone.")]
_PAGE = """<!doctype html>
<meta charset="utf-8"><title>Make the GitHub App</title>
<form method="post" action="{action}">
<input type="hidden" name="manifest" value="{manifest}">
<button type="submit">Make the GitHub App</button>
</form>
"""


@application.command()
def setup(*, organization: Organization = "", page: Page = None, only: Print = False) -> None:
    """Tell how to make the GitHub App: in the console, or from a page on any machine with a browser."""
    settings = Settings()
    wanted = json.dumps(manifest.manifest(settings), indent=2)
    if only:
        sys.stdout.write(f"{wanted}\n")
        return
    if page is None:
        sys.stdout.write(
            f"Sign in at {sign_in_link(settings)}\nand open {settings.url}/setup in the same browser.\n"
            "Where no browser reaches that: slipway github setup --page setup.html\n"
        )
        return
    access = Access(console_key(settings), public_url=settings.url)
    action = manifest.creation_url(settings, access.state(SETUP, None, STATE_LIFE), organization)
    page.write_text(_PAGE.format(action=html.escape(action), manifest=html.escape(wanted)))
    sys.stdout.write(
        f"Open {page} in a browser within an hour and click. GitHub then sends you to\n"
        f"{settings.url}{manifest.CALLBACK}?code=CODE&state=...\n"
        "If nothing answers there, take CODE from the browser's address bar: slipway github finish CODE\n"
    )


@application.command()
def finish(code: str, *, as_json: Json = False) -> None:
    """Take over the App that GitHub made; CODE works once, for an hour."""
    instance = open_instance()
    done = _do(instance, ErrandKind.FINISH_SETUP, secret=code)
    with reading(instance.engine) as tx:
        made = github_app.shown(tx, instance.settings)
    if as_json:
        sys.stdout.write(json.dumps(done.result) + "\n")
    elif made is not None:
        sys.stdout.write(f"{made.name} is this instance's GitHub App. Install it: {made.install_page}\n")


@application.command()
def repositories(*, as_json: Json = False) -> None:
    """List the installations of the App and their repositories."""
    instance = open_instance()
    found = _list(instance)
    if as_json:
        rows = [
            {"account": one.account, "suspended": one.suspended, **_facts(repository)}
            for one in found
            for repository in one.repositories
        ]
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    with reading(instance.engine) as tx:
        known = {app.repository_id: app.slug for app in apps.all_apps(tx)}
    table = Table("Account", "Repository", "Branch", "App", box=None, header_style="bold")
    for one in found:
        if one.suspended:
            table.add_row(one.account, "(suspended)", "", "")
        for listed in one.repositories:
            table.add_row(one.account, listed.full_name, listed.default_branch, known.get(listed.id, ""))
    Console(soft_wrap=True).print(table)


@application.command()
def deploy(
    repository: str,
    *,
    root_directory: Annotated[str | None, typer.Option(help="Where the app lives; default: found.")] = None,
    as_json: Json = False,
) -> None:
    """Make an app of a listed repository (OWNER/NAME) as it is detected, and deploy it."""
    instance = open_instance()
    with reading(instance.engine) as tx:
        last = errands.newest(tx, ErrandKind.LIST_REPOSITORIES, ErrandState.DONE)
    listed = find(from_json(last.result), name=repository) if last else None
    listed = listed or find(_list(instance), name=repository)
    if listed is None:
        raise UserError(ErrorCode.UNKNOWN_NAME, field="repository", value=repository)
    subject = {"repository_id": listed.id} | ({} if root_directory is None else {"root": root_directory})
    result = _do(instance, ErrandKind.MAKE_APP, subject).result
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
    elif "choices" in result:
        sys.stdout.write("Several directories can be deployed; name one with --root-directory:\n")
        for one in result["choices"]:
            sys.stdout.write(f"  {one['root'] or '.'}  {one['framework']}: {', '.join(one['evidence'])}\n")
    else:
        evidence = ", ".join(result["evidence"])
        sys.stdout.write(f"{result['slug']} is registered: {result['framework']} ({evidence}).\n")
    if "choices" in result:
        raise typer.Exit(1)


@application.command()
def forget() -> None:
    """Forget the App and its keys. On GitHub it stays until you delete it there."""
    instance = open_instance()
    with writing(instance.engine) as tx:
        made = github_app.shown(tx, instance.settings)
        github_app.forget(tx)
        audit.record(tx, act_of_command("github-app.forgotten", made.slug if made else ""), utc_now())
    where = f" Delete it at {made.page}." if made else ""
    sys.stdout.write(f"The GitHub App is forgotten.{where}\n")


def _list(instance: Instance) -> tuple[Installed, ...]:
    return from_json(_do(instance, ErrandKind.LIST_REPOSITORIES).result)


def _do(
    instance: Instance, kind: ErrandKind, subject: dict[str, Any] | None = None, *, secret: str | None = None
) -> Errand:
    """Have an errand done, in a process of its own: only the work's own code may do it.

    Raises `UserError` ERRAND_FAILED.
    """
    sealed = open_vault(instance.settings).seal(secret.encode()) if secret is not None else None
    with writing(instance.engine) as tx:
        number = errands.ask(tx, kind, subject or {}, utc_now(), sealed=sealed)
    done = subprocess.run(
        [sys.executable, "-m", "jobs.desk", str(number)], stdin=subprocess.DEVNULL, check=False
    )
    with reading(instance.engine) as tx:
        errand = errands.get(tx, number)
    if errand is None or errand.state is not ErrandState.DONE:
        reason = errand.note if errand and errand.note else f"it ended with exit code {done.returncode}"
        raise UserError(ErrorCode.ERRAND_FAILED, reason=reason.strip().rstrip("."))
    return errand


def _facts(listed: Any) -> dict[str, Any]:
    return {name: getattr(listed, name) for name in listed.__struct_fields__}
