"""Commands about locks of environments of an instance on another machine."""

import sys
from typing import Annotated

import typer

from bot.cli.client.client import Client, at
from bot.cli.client.session import PRODUCTION, EnvironmentName, client
from bot.cli.client.watching import environment_word


def lock(
    app: str,
    reason: Annotated[str, typer.Argument(help="Why, for whoever waits.")] = "",
    *,
    environment: EnvironmentName = PRODUCTION,
    length: Annotated[str | None, typer.Option("--for", help="How long, such as 30m, 2h or 3d.")] = None,
) -> None:
    """Let every deployment to an environment wait until `slipway unlock`."""
    body = {name: value for name, value in (("reason", reason), ("length", length)) if value}
    with client() as api:
        found = api.post(_where(api, app, environment), body)["lock"]
    until = f" until {found['until']}" if found["until"] else ""
    why = f": {found['reason']}" if found["reason"] else ""
    sys.stdout.write(f"{app} {environment} is locked by {found['by']}{until}{why}\n")


def unlock(app: str, *, environment: EnvironmentName = PRODUCTION) -> None:
    """Take the lock off an environment; what waited goes on."""
    with client() as api:
        api.delete(_where(api, app, environment))
    sys.stdout.write(f"{app} {environment} is not locked any more.\n")


def _where(api: Client, app: str, environment: str) -> str:
    return at("apps", app, "environments", environment_word(api, app, environment), "lock")
