"""Commands about one's own tokens, and deploy tokens of apps, of an instance on another machine."""

import sys
from typing import Annotated, Any

import typer

from bot.cli.client.client import at
from bot.cli.client.looking import print_table
from bot.cli.client.session import Json, client
from bot.cli.client.watching import print_json

OfApp = Annotated[str | None, typer.Option("--app", help="Deploy tokens of this app, instead of yours.")]


def create(
    *,
    name: Annotated[str, typer.Option(help="To tell tokens apart.")],
    app: OfApp = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            help="What it may; several times. Default: all that you may; of an app read and deploy."
        ),
    ] = None,
    days: Annotated[int, typer.Option(min=1, max=366, help="How long it is valid.")] = 90,
    as_json: Json = False,
) -> None:
    """Make a token. It is shown this once."""
    body: dict[str, Any] = {"name": name, "expiresInDays": days}
    with client(as_json=as_json) as api:
        made = api.post(_where(app), {**body, "scopes": scope} if scope else body)
    if as_json:
        print_json(made)
        return
    sys.stdout.write(f"{made['token']}\n")
    sys.stderr.write(f"Token {made['id']}, for {days} days. Shown this once.\n")


def list_tokens(*, app: OfApp = None, as_json: Json = False) -> None:
    """List tokens, without what is secret of them."""
    with client(as_json=as_json) as api:
        rows = api.rows(_where(app))
    if as_json:
        print_json(rows)
        return
    print_table(
        ("Id", "Name", "Begins", "May", "Until", "Last used"),
        (
            (
                one["id"],
                one["name"],
                one["begins"],
                " ".join(one["scopes"]) if one["scopes"] is not None else "all that you may",
                (one["expiresAt"] or "")[:10],
                (one["lastUsedAt"] or "never")[:16],
            )
            for one in rows
        ),
    )


def revoke(
    token: Annotated[int, typer.Argument(help="Its id, as lists show it.")],
    *,
    app: OfApp = None,
    as_json: Json = False,
) -> None:
    """Revoke a token: it is refused from now on."""
    with client(as_json=as_json) as api:
        api.delete(_where(app) + at(token))
    if as_json:
        print_json({"id": token, "revoked": True})
        return
    sys.stdout.write(f"Token {token} is revoked.\n")


def _where(app: str | None) -> str:
    return at("account", "api-tokens") if app is None else at("apps", app, "tokens")
