"""Commands about tokens of the API."""

import json
import sys
from datetime import timedelta
from typing import Annotated

import typer

from bot.api.auth import PERSONAL, mint
from bot.cli.instance import caller, open_instance
from bot.clock import utc_now
from bot.domain.roles import Role
from bot.errors import ErrorCode, UserError
from bot.registration import check
from bot.store import apps, people, tokens
from bot.store.engine import writing
from bot.store.tokens import NewToken

application = typer.Typer(no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@application.callback()
def tokens_of_the_api() -> None:
    """Tokens: who may use the API."""


@application.command()
def create(
    *,
    email: Annotated[str, typer.Option(help="Whose token it is; made a member when it is none.")],
    role: Annotated[Role, typer.Option(help="What the person is from now on.")] = Role.OWNER,
    org: Annotated[str, typer.Option(help="Slug of the organisation.")] = apps.DEFAULT,
    name: Annotated[str, typer.Option(help="To tell tokens apart.")] = "made on the machine",
    days: Annotated[int, typer.Option(min=1, max=366, help="How long it is valid.")] = 90,
    as_json: Json = False,
) -> None:
    """Make a personal token, and its holder a member. It is shown this once."""
    instance = open_instance()
    check("email", email, "@" in email.strip("@") and " " not in email, "an e-mail address")
    now, minted = utc_now(), mint(PERSONAL)
    with writing(instance.engine) as tx:
        apps.ensure_default_scope(tx, now)
        tenant = people.tenant(tx, org)
        if tenant is None:
            raise UserError(ErrorCode.UNKNOWN_NAME, field="organisation", value=org)
        member = people.ensure_member(tx, tenant.id, email.lower(), name="", role=role, now=now)
        new = NewToken(
            tenant_id=tenant.id,
            user_id=member.id,
            app_id=None,
            name=name,
            handle=minted.handle,
            digest=minted.digest,
            scopes=None,
            created_by=caller(),
            expires_at=now + timedelta(days=days),
        )
        tokens.insert(tx, new, now)
    facts = {"token": minted.text, "email": member.email, "role": member.role, "org": tenant.slug}
    if as_json:
        sys.stdout.write(json.dumps(facts) + "\n")
        return
    sys.stdout.write(f"{minted.text}\n")
    sys.stderr.write(
        f"For {member.email}, {member.role} of {tenant.slug}, for {days} days. Shown this once.\n"
    )
