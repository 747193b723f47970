"""Commands about locks of environments."""

import sys
from typing import Annotated

import typer

from bot.cli.client.client import environment_at
from bot.cli.client.session import PRODUCTION, EnvironmentName, Json, client
from bot.cli.client.watching import print_json


def lock(
    app: str,
    reason: Annotated[str, typer.Argument(help="Why, for whoever waits.")] = "",
    *,
    environment: EnvironmentName = PRODUCTION,
    length: Annotated[str | None, typer.Option("--for", help="How long, such as 30m, 2h or 3d.")] = None,
    as_json: Json = False,
) -> None:
    """Let every deployment to an environment wait until `slipway unlock`."""
    body = {name: value for name, value in (("reason", reason), ("length", length)) if value}
    with client(as_json=as_json) as api:
        locked = api.post(f"{environment_at(app, environment)}/lock", body)
    if as_json:
        print_json(locked)
        return
    found = locked["lock"]
    until = f" until {found['until']}" if found["until"] else ""
    why = f": {found['reason']}" if found["reason"] else ""
    sys.stdout.write(f"{app} {environment} is locked by {found['by']}{until}{why}\n")


def unlock(app: str, *, environment: EnvironmentName = PRODUCTION, as_json: Json = False) -> None:
    """Take the lock off an environment; what waited goes on."""
    with client(as_json=as_json) as api:
        unlocked = api.delete(f"{environment_at(app, environment)}/lock")
    if as_json:
        print_json(unlocked)
        return
    sys.stdout.write(f"{app} {environment} is not locked any more.\n")
