"""Registering an app in the store, as the first one is before Slipway is started.

By this way it may come from a folder of the machine.
"""

import json
import sys
from typing import Any

from bot import listings
from bot.cli.app_options import Asked, creating
from bot.cli.instance import act_of_command, open_instance
from bot.clock import utc_now
from bot.domain.app import App
from bot.registration import Registry, Wish
from bot.store import apps, audit
from bot.store.engine import writing
from bot.vault import open_vault


def _create(asked: Asked, *, as_json: bool) -> None:
    """Register an app. Its production branch goes live with the first push, or in minutes without one."""
    instance = open_instance()
    wish = Wish(
        repository=asked.repository,
        clone_url=asked.clone_url,
        root_directory=asked.root_directory,
        build_command=asked.build_command,
        output_directory=asked.output_directory,
        production_branch=asked.production_branch,
        slug=asked.slug,
        own_secret=asked.own_secret,
    )
    registry = Registry(instance.settings, open_vault(instance.settings))
    with writing(instance.engine) as tx:
        tenant, _ = apps.ensure_default_scope(tx, utc_now())
        listed = listings.repository(tx, tenant, asked.repository) if asked.clone_url is None else None
        registered = registry.register(tx, wish, utc_now(), listed=listed)
        app = registered.app
        made = act_of_command("app.created", f"app {app.slug}", app, after={"repository": app.repository})
        audit.record(tx, made, utc_now())
    url = instance.settings.site_url(f"{app.slug}.{instance.settings.preview_domain}")
    if as_json:
        sys.stdout.write(json.dumps({**_facts(app, url), "webhookSecret": registered.secret}) + "\n")
        return
    sys.stdout.write(f"{app.slug} is registered. A push to {app.production_branch} makes it live at {url}\n")
    if registered.secret:
        sys.stdout.write(f"Its webhook secret, shown this once: {registered.secret}\n")


create = creating(_create)


def _facts(app: App, url: str) -> dict[str, Any]:
    return {
        "id": app.id,
        "slug": app.slug,
        "repository": app.repository,
        "cloneUrl": app.clone_url,
        "productionBranch": app.production_branch,
        "rootDirectory": app.root_directory,
        "buildCommand": app.build_command,
        "outputDirectory": app.output_directory,
        "url": url,
    }
