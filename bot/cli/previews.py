"""Commands about previews: what there is, their life, and who may see them."""

import json
import sys
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bot.change import Change
from bot.cli.instance import Instance, caller, find_app, open_instance
from bot.domain.app import App
from bot.domain.audit import Act
from bot.domain.duration import duration
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import ShareLinkId
from bot.domain.protection import AUTO, Protection
from bot.domain.pull import PullNumber, preview_name
from bot.domain.sharing import Purpose
from bot.errors import ErrorCode, UserError
from bot.preview_sharing import address, revoke, share
from bot.previews import end_of, extend, protection_changed, protection_of, rules_of, take_down, wake
from bot.share import open_signer
from bot.store import apps, audit, environments, share_links
from bot.store.engine import Tx, reading
from bot.store.share_links import NewShareLink
from bot.wording import clean

application = typer.Typer(no_args_is_help=True, help="Previews: their life, and who sees them.")
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Number = Annotated[int, typer.Argument(help="The pull request's number.")]
_DEFAULT = "default"
_WIDE = 240


@application.command("list")
def list_previews(app: str, *, as_json: Json = False) -> None:
    """List an app's previews."""
    instance = open_instance()
    with reading(instance.engine) as tx:
        found = find_app(tx, app)
        rows = [_facts(tx, instance, found, one) for one in environments.previews(tx, found.id)]
    if as_json:
        sys.stdout.write(json.dumps(rows, default=str) + "\n")
        return
    table = Table("Pull", "State", "Used", "Until", "Protection", "Address", box=None, header_style="bold")
    for row in rows:
        table.add_row(*(escape(clean(str(value))) for value in row.values()))
    _print(table)


@application.command()
def close(app: str, number: _Number) -> None:
    """Take a preview down. The next push brings it back."""
    instance = open_instance()
    with instance.lifecycle.change() as change:
        found, preview = _find(change.tx, app, number)
        take_down(change, preview, f"closed by {caller()}")
        change.reroutes = True
        _record(change, found, "preview.close", preview.name)
    sys.stdout.write(f"The preview of #{number} is taken down.\n")


@application.command("wake")
def wake_preview(app: str, number: _Number) -> None:
    """Wake a preview that sleeps. A visit does the same."""
    instance = open_instance()
    with instance.lifecycle.change() as change:
        found, preview = _find(change.tx, app, number)
        wake(change, preview)
        _record(change, found, "preview.wake", preview.name)
    sys.stdout.write(f"{instance.settings.site_url(preview.hostname)} wakes up.\n")


@application.command("extend")
def extend_preview(
    app: str, number: _Number, ttl: Annotated[str, typer.Argument(help="Such as 3d.")]
) -> None:
    """Say how long a preview lives from now on."""
    instance, life = open_instance(), _length(ttl)
    with instance.lifecycle.change() as change:
        found, preview = _find(change.tx, app, number)
        later = extend(change, preview, life)
        _record(change, found, "preview.extend", preview.name, expires_at=str(later.expires_at))
    sys.stdout.write(f"The preview of #{number} is taken down at {later.expires_at:%Y-%m-%d %H:%M} UTC.\n")


@application.command("share")
def share_preview(
    app: str,
    number: _Number,
    *,
    ttl: Annotated[str, typer.Option(help="How long the link counts, at most 90d.")] = "7d",
    whole_app: Annotated[bool, typer.Option("--app", help="Open all previews of the app.")] = False,
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: Json = False,
) -> None:
    """Make a link that opens a protected preview, and print it."""
    instance, life = open_instance(), _length(ttl)
    with instance.lifecycle.change() as change:
        found, preview = _find(change.tx, app, number)
        scope = None if whole_app else preview.id
        ends = change.now + life
        link = share(change, NewShareLink(found.id, scope, Purpose.PERSON, caller(), ends, note))
        who = protection_of(change.tx, found)
        _record(change, found, "share-link.create", f"share link {link.id} of {preview.name}", note=note)
    url = address(instance.settings, open_signer(instance.settings), preview, link)
    if as_json:
        sys.stdout.write(json.dumps({"id": link.id, "url": url, "expires_at": str(link.expires_at)}) + "\n")
        return
    sys.stdout.write(f"{url}\n")
    if who is not Protection.LINK:
        said = "everybody sees them" if who is Protection.OFF else "who signs in sees them, and nobody else"
        sys.stderr.write(f"Previews of {app} are not protected by links: {said}.\n")
    sys.stderr.write(f"Counts until {link.expires_at:%Y-%m-%d %H:%M} UTC. Its number is {link.id}.\n")


@application.command()
def shares(app: str, number: _Number, *, as_json: Json = False) -> None:
    """List the links that open a preview. Their addresses are not told again."""
    instance = open_instance()
    with instance.lifecycle.change() as change:
        found, preview = _find(change.tx, app, number)
        links = share_links.opening(change.tx, found.id, preview.id, change.now)
    if as_json:
        sys.stdout.write(json.dumps([asdict(one) for one in links], default=str) + "\n")
        return
    table = Table("Number", "Opens", "Made by", "Until", "Note", box=None, header_style="bold")
    for one in links:
        opens = "all previews" if one.environment_id is None else preview.name
        by, note = escape(clean(one.created_by)), escape(clean(one.note))
        table.add_row(str(one.id), opens, by, f"{one.expires_at:%Y-%m-%d %H:%M}", note)
    _print(table)


@application.command()
def unshare(app: str, link: Annotated[int, typer.Argument(help="Its number, as `shares` shows it.")]) -> None:
    """Revoke a link; who came in by it is out."""
    with open_instance().lifecycle.change() as change:
        found = find_app(change.tx, app)
        known = share_links.get(change.tx, found.id, ShareLinkId(link))
        if known is None:
            raise UserError(ErrorCode.UNKNOWN_NAME, field="share link", value=str(link))
        revoke(change, [known])
        _record(change, found, "share-link.revoke", f"share link {link}")
    sys.stdout.write(f"Share link {link} opens nothing any more.\n")


@application.command()
def protect(
    app: str,
    who: Annotated[str, typer.Argument(help="auto, off, link, login, or default: slipway.toml says it.")],
) -> None:
    """Say who sees previews: everybody (off), who has a link or signs in (link), who signs in (login)."""
    choices = [AUTO, *Protection, _DEFAULT]
    if who not in choices:
        raise UserError(ErrorCode.INVALID_VALUE, field="protection", value=who, expected=", ".join(choices))
    instance = open_instance()
    with instance.lifecycle.change() as change:
        found = find_app(change.tx, app)
        changed = apps.change(change.tx, found.id, {"protection": None if who == _DEFAULT else who})
        protection_changed(change, found)
        counts = protection_of(change.tx, changed)
        _record(change, found, "app.protect", app, protection=who)
    sys.stdout.write(f"Protection of {app}'s previews: {counts}.\n")


def _print(table: Table) -> None:
    # What goes into a pipe is not to be cut.
    Console(soft_wrap=True, width=None if sys.stdout.isatty() else _WIDE).print(table)


def _facts(tx: Tx, instance: Instance, app: App, one: Environment) -> dict[str, Any]:
    state = "asleep" if one.asleep_at else "live" if one.active_release_id else "empty"
    end = end_of(one, rules_of(tx, app))
    return {
        "pull": one.pull,
        "state": state,
        "used_at": f"{one.used_at:%Y-%m-%d %H:%M}" if one.used_at else "",
        "expires_at": f"{end:%Y-%m-%d %H:%M}" if end else "",
        "protection": protection_of(tx, app),
        "url": instance.settings.site_url(one.hostname),
    }


def _find(tx: Tx, slug: str, number: int) -> tuple[App, Environment]:
    app = find_app(tx, slug)
    found = environments.by_name(tx, app.id, preview_name(PullNumber(number)))
    if found is None or found.kind is not EnvironmentKind.PREVIEW or found.archived_at is not None:
        raise UserError(ErrorCode.UNKNOWN_NAME, field="preview", value=str(number))
    return app, found


def _length(text: str) -> timedelta:
    found = duration(text)
    if found is None:
        expected = "a number and m, h, d or w, such as 3d"
        raise UserError(ErrorCode.INVALID_VALUE, field="ttl", value=text, expected=expected)
    return found


def _record(change: Change, app: App, action: str, subject: str, **after: Any) -> None:
    act = Act(
        action=action,
        actor=caller(),
        actor_key="operator",
        origin="command line",
        tenant_id=app.tenant_id,
        app_id=app.id,
        subject=subject,
        after=after,
    )
    audit.record(change.tx, act, change.now)
