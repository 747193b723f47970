"""Commands that run all of Slipway at once, and that prepare its store."""

import json
import sys
from typing import Annotated

import typer
from rich.console import Console

from bot.console.access import sign_in_link
from bot.keys import webhook_secrets
from bot.log import set_up_logging
from bot.settings import Settings
from bot.store.engine import open_engine
from bot.store.migrate import migrate as migrate_store
from bot.up import prepare, stop_on_signals

Json = Annotated[bool, typer.Option("--json", help="Print one JSON line for scripts.")]


def up(*, json_line: Json = False) -> None:
    """Run everything on this machine: Valkey, web, worker, sweep and edge. Ctrl-C stops it."""
    settings = Settings()
    set_up_logging("up")
    tree = prepare(settings)
    stop_on_signals(tree)
    try:
        tree.start()
        _tell(settings, json_line=json_line)
        tree.watch(until=lambda: False)
    finally:
        tree.stop()


def migrate() -> None:
    """Bring the store's schema up to date."""
    settings = Settings()
    engine = open_engine(settings.database)
    migrate_store(engine)
    sys.stdout.write(f"The store at {engine.url.render_as_string(hide_password=True)} is up to date.\n")


def _tell(settings: Settings, *, json_line: bool) -> None:
    webhook = f"{settings.url}/webhooks/github"
    if json_line:
        facts = {
            "ready": True,
            "web": settings.web_url,
            "edge": settings.edge_url,
            "webhook": webhook,
            "home": str(settings.home),
        }
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()
        return
    console = Console(soft_wrap=True)
    console.print("\n[bold green]Slipway is up.[/] Ctrl-C stops it; what it knows stays.\n")
    rows = {
        "Console": sign_in_link(settings),
        "Sites": settings.site_url(f"<app>.{settings.preview_domain}"),
        "State": f"{settings.home}",
        "Webhook": f"{webhook}   (GitHub: Settings > Webhooks; content type application/json; event: push)",
        "Secret": webhook_secrets(settings)[0].decode(),
        "GitHub": f"{settings.url}/setup makes a GitHub App and apps of its repositories",
        "Next": "slipway app create --repository OWNER/NAME",
    }
    for name, value in rows.items():
        console.print(f"  {name:<9}{value}", highlight=False, markup=False)
    console.print()
