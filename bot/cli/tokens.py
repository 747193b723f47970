"""Commands about tokens of the API, on the store of the machine.

The first one comes before Slipway is started; and the API tells people of their own tokens alone, while
whoever runs the machine sees and revokes everybody's.
"""

import json
import sys
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer

from bot.cli.client.looking import print_table
from bot.cli.instance import act_of_command, caller, find_app, open_instance
from bot.clock import utc_now
from bot.domain.app import App
from bot.domain.ids import AppId, TenantId
from bot.domain.roles import Role, Verb
from bot.errors import ErrorCode, UserError
from bot.minted import OF_APP, PERSONAL, Minted, mint
from bot.registration import check
from bot.store import apps, audit, people, tokens
from bot.store.engine import Tx, reading, writing
from bot.store.tokens import NewToken, Token

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@dataclass(frozen=True)
class _Wish:
    name: str
    minted: Minted
    now: datetime
    days: int

    def token(self, tenant: TenantId, *, user_id: int | None = None, app_id: AppId | None = None) -> NewToken:
        return NewToken(
            tenant_id=tenant,
            user_id=user_id,
            app_id=app_id,
            name=self.name,
            handle=self.minted.handle,
            digest=self.minted.digest,
            scopes=None if app_id is None else frozenset({Verb.READ, Verb.DEPLOY}),
            created_by=caller(),
            expires_at=self.now + timedelta(days=self.days),
        )


def create(
    *,
    email: Annotated[
        str | None, typer.Option(help="Whose token it is; made a member when it is none.")
    ] = None,
    app: Annotated[
        str | None, typer.Option("--app", help="Instead: a deploy token of this app, for CI.")
    ] = None,
    role: Annotated[Role, typer.Option(help="What the person is from now on.")] = Role.OWNER,
    org: Annotated[str, typer.Option(help="Slug of the organisation.")] = apps.DEFAULT,
    name: Annotated[str, typer.Option(help="To tell tokens apart.")] = "made on the machine",
    days: Annotated[int, typer.Option(min=1, max=366, help="How long it is valid.")] = 90,
    as_json: Json = False,
) -> None:
    """Make a personal token, and its holder a member; or a deploy token. It is shown this once."""
    if (email is None) == (app is None):
        expected = "--email for a person's token, or --app for a deploy token"
        raise UserError(ErrorCode.INVALID_VALUE, field="email", value=email or "", expected=expected)
    instance, minted = open_instance(), mint(PERSONAL if app is None else OF_APP)
    wish = _Wish(name, minted, utc_now(), days)
    with writing(instance.engine) as tx:
        apps.ensure_default_scope(tx, wish.now)
        if app is not None:
            made = _of_app(tx, find_app(tx, app), wish)
            facts = {"token": minted.text, "app": app}
        else:
            facts = {"token": minted.text}
            made, more = _of_person(tx, _checked(email or ""), wish, role=role, org=org)
            facts |= more
    if as_json:
        sys.stdout.write(json.dumps({**facts, "id": made.id}) + "\n")
        return
    sys.stdout.write(f"{minted.text}\n")
    whose = f"{app}, to deploy and read" if app else f"{facts['email']}, {facts['role']} of {facts['org']}"
    sys.stderr.write(f"For {whose}, for {days} days. Shown this once.\n")


def list_tokens(*, app: Annotated[str | None, typer.Option("--app")] = None, as_json: Json = False) -> None:
    """List tokens of people, or the deploy tokens of an app, without what is secret of them."""
    with reading(open_instance().engine) as tx:
        found = tokens.of_app(tx, find_app(tx, app).id) if app else tokens.of_people(tx)
        holders = {one.id: tokens.holder(tx, one) for one in found}
    rows: list[dict[str, Any]] = [
        {
            "id": one.id,
            "name": one.name,
            "begins": f"{OF_APP if one.app_id else PERSONAL}_{one.handle}",
            "holder": holder.email if (holder := holders[one.id]) else app,
            "expiresAt": one.expires_at.isoformat() if one.expires_at else None,
            "lastUsedAt": one.last_used_at.isoformat() if one.last_used_at else None,
        }
        for one in found
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows) + "\n")
        return
    heads = ("Id", "Name", "Begins", "Whose", "Until", "Last used")
    print_table(heads, ([str(cell or "")[:50] for cell in row.values()] for row in rows))


def revoke(
    token: Annotated[int, typer.Argument(help="Its id, as lists show it.")], *, as_json: Json = False
) -> None:
    """Revoke a token: it is refused from now on."""
    now = utc_now()
    with writing(open_instance().engine) as tx:
        found = tokens.get(tx, token)
        if found is None or found.revoked_at is not None:
            raise UserError(ErrorCode.UNKNOWN_NAME, field="token", value=str(token))
        tokens.revoke(tx, found.id, now)
        before = {"name": found.name}
        _record(tx, "token.revoked", found, now, before=before)
    if as_json:
        sys.stdout.write(json.dumps({"id": token, "revoked": True}) + "\n")
        return
    sys.stdout.write(f"Token {token} is revoked.\n")


def _checked(email: str) -> str:
    check("email", email, "@" in email.strip("@") and " " not in email, "an e-mail address")
    return email.lower()


def _of_person(tx: Tx, email: str, wish: _Wish, *, role: Role, org: str) -> tuple[Token, dict[str, str]]:
    tenant = people.tenant(tx, org)
    if tenant is None:
        raise UserError(ErrorCode.UNKNOWN_NAME, field="organisation", value=org)
    member = people.ensure_member(tx, tenant.id, email, name="", role=role, now=wish.now)
    made = tokens.insert(tx, wish.token(tenant.id, user_id=member.id), wish.now)
    facts = {"email": member.email, "role": str(member.role), "org": tenant.slug}
    _remember(tx, made, holder=member.email, role=member.role)
    return made, facts


def _of_app(tx: Tx, app: App, wish: _Wish) -> Token:
    made = tokens.insert(tx, wish.token(app.tenant_id, app_id=app.id), wish.now)
    _remember(tx, made, app=app.slug)
    return made


def _remember(tx: Tx, token: Token, **holder: str) -> None:
    _record(tx, "token.created", token, token.created_at, after={"name": token.name, **holder})


def _record(tx: Tx, action: str, token: Token, now: datetime, **more: dict[str, str]) -> None:
    whose: dict[str, Any] = {"tenant_id": token.tenant_id, "app_id": token.app_id, **more}
    audit.record(tx, act_of_command(action, f"token {token.id}", **whose), now)
