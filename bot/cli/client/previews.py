"""Commands about previews: what there is, their life, and who may see them."""

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from bot.cli.client.client import Row, at, environment_at, known
from bot.cli.client.looking import print_table, seen_apps
from bot.cli.client.session import Json, client
from bot.cli.client.watching import print_json
from bot.domain.protection import AUTO, Protection
from bot.errors import ErrorCode, UserError

application = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Previews: their life, and who sees them."
)
Number = Annotated[int, typer.Argument(help="The pull request's number.")]
_DEFAULT = "default"
_HEADS = ("App", "Pull", "State", "Used", "Until", "Protection", "By", "Address")


def previews(
    app: Annotated[str | None, typer.Argument(help="Default: of all apps.")] = None, *, as_json: Json = False
) -> None:
    """List previews of pull requests, and where they are."""
    with client(as_json=as_json) as api:
        apps = (
            [app] if app is not None else [one["slug"] for one in seen_apps(api, api.get(at("auth", "me")))]
        )
        rows = [{"app": one, **row} for one in apps for row in api.rows(at("apps", one, "previews"))]
    if as_json:
        print_json(rows)
        return
    print_table(_HEADS, map(_cells, rows))


@application.command("list")
def list_previews(app: str, *, as_json: Json = False) -> None:
    """List an app's previews."""
    previews(app, as_json=as_json)


@application.command()
def close(app: str, number: Number, *, as_json: Json = False) -> None:
    """Take a preview down. The next push brings it back."""
    found = _do(app, number, "close", as_json=as_json)
    if not as_json:
        sys.stdout.write(f"The preview of #{number} is taken down: {found['reason']}.\n")


@application.command()
def wake(app: str, number: Number, *, as_json: Json = False) -> None:
    """Wake a preview that sleeps. A visit does the same."""
    found = _do(app, number, "wake", as_json=as_json)
    if not as_json:
        sys.stdout.write(f"{found['url']} wakes up.\n")


@application.command()
def extend(
    app: str,
    number: Number,
    ttl: Annotated[str, typer.Argument(help="From now on, such as 3d.")],
    *,
    as_json: Json = False,
) -> None:
    """Say how long a preview lives from now on."""
    found = _do(app, number, "extend", {"ttl": ttl}, as_json=as_json)
    if not as_json:
        sys.stdout.write(f"The preview of #{number} is taken down at {_minute(found['expiresAt'])} UTC.\n")


@application.command()
def share(
    app: str,
    number: Number,
    *,
    ttl: Annotated[str, typer.Option(help="How long the link counts, at most 90d.")] = "7d",
    whole_app: Annotated[bool, typer.Option("--app", help="Open all previews of the app.")] = False,
    note: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    as_json: Json = False,
) -> None:
    """Make a link that opens a protected preview, and print it."""
    body = known(ttl=ttl, scope="app" if whole_app else None, note=note)
    with client(as_json=as_json) as api:
        made = api.post(_links(app, number), body)
    if as_json:
        print_json(made)
        return
    sys.stdout.write(f"{made['url']}\n")
    sys.stderr.write(f"Counts until {_minute(made['expiresAt'])} UTC. Its number is {made['id']}.\n")


@application.command()
def shares(app: str, number: Number, *, as_json: Json = False) -> None:
    """List the links that open a preview. Their addresses are not told again."""
    with client(as_json=as_json) as api:
        rows = api.rows(_links(app, number))
    if as_json:
        print_json(rows)
        return
    print_table(("Number", "Opens", "Made by", "Until", "Note"), map(_link_cells, rows))


@application.command()
def unshare(
    app: str,
    number: Number,
    link: Annotated[int, typer.Argument(help="Its number, as `shares` shows it.")],
    *,
    as_json: Json = False,
) -> None:
    """Revoke a link; who came in by it is out."""
    with client(as_json=as_json) as api:
        api.delete(_links(app, number) + at(link))
    if as_json:
        print_json({"id": link, "revoked": True})
        return
    sys.stdout.write(f"Share link {link} opens nothing any more.\n")


@application.command()
def protect(
    app: str,
    who: Annotated[str, typer.Argument(help="auto, off, link, login, or default: slipway.toml says it.")],
    *,
    as_json: Json = False,
) -> None:
    """Say who sees previews: everybody (off), who has a link or signs in (link), who signs in (login)."""
    choices = [AUTO, *Protection, _DEFAULT]
    if who not in choices:
        raise UserError(ErrorCode.INVALID_VALUE, field="protection", value=who, expected=", ".join(choices))
    with client(as_json=as_json) as api:
        changed = api.patch(at("apps", app), {"protection": None if who == _DEFAULT else who})
    if as_json:
        print_json(changed)
        return
    sys.stdout.write(f"Protection of {app}'s previews: {changed['protection'] or 'as slipway.toml says'}.\n")


def _do(app: str, number: int, what: str, body: Row | None = None, *, as_json: bool) -> Row:
    with client(as_json=as_json) as api:
        found: Row = api.post(at("apps", app, "previews", number, what), body)
    if as_json:
        print_json(found)
    return found


def _links(app: str, number: int) -> str:
    return f"{environment_at(app, f'pr-{number}')}/share-links"


def _minute(moment: str | None) -> str:
    return (moment or "")[:16].replace("T", " ")


def _cells(row: Row) -> Sequence[Any]:
    times = (_minute(row["usedAt"]), _minute(row["expiresAt"]))
    named = (row["protection"], row["deployment"], row["url"])
    return row["app"], row["number"], row["status"], *times, *named


def _link_cells(row: Row) -> tuple[Any, ...]:
    opens = "all previews" if row["scope"] == "app" else "this one"
    return row["id"], opens, row["createdBy"], _minute(row["expiresAt"]), row["note"]
