"""Tokens: personal ones, and deploy tokens of an app."""

from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from bot.api.app_views import Line
from bot.api.envelope import Model
from bot.api.me import TAG, via
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.refusals import not_found, unfit
from bot.domain.roles import APP_VERBS, Verb
from bot.minted import OF_APP, PERSONAL, mint
from bot.store import tokens
from bot.store.tokens import NewToken, Token

Name = Annotated[Line, Field(min_length=1, max_length=100, examples=["laptop"])]
Days = Annotated[int, Field(ge=1, le=366, examples=[90])]


class TokenView(Model):
    """A token, without what is secret of it."""

    id: int = Field(examples=[5])
    name: str = Field(examples=["laptop"])
    begins: str = Field(examples=["slp_5c1f0a3e9d7b"])
    """How its text begins, to tell tokens apart."""
    scopes: list[Verb] | None = Field(examples=[["deploy", "read"]])
    """Null: all that the holder's role may."""
    created_by: str = Field(examples=["mona@example.org"])
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])
    expires_at: datetime | None = Field(examples=["2026-05-01T11:00:00Z"])
    last_used_at: datetime | None = Field(examples=[None])
    """To the minute."""


class CreatedToken(TokenView):
    """A new token."""

    token: str = Field(examples=["slp_5c1f0a3e9d7b_0123456789012345678901234567890123456789012"])
    """The token itself, shown this once."""


class CreateToken(Model):
    """A personal token."""

    name: Name
    scopes: (
        Annotated[list[Verb], Field(min_length=1, max_length=10, examples=[["deploy", "read"]])] | None
    ) = None
    """Null: all that your role may, now and later."""
    expires_in_days: Days = 90


class CreateAppToken(Model):
    """A deploy token of one app."""

    name: Name
    scopes: Annotated[
        list[Literal["read", "deploy", "rollback"]],
        Field(min_length=1, max_length=3, examples=[["deploy", "read"]]),
    ] = ["read", "deploy"]  # noqa: RUF012 pydantic copies defaults
    expires_in_days: Days = 366


def _account(call: Call) -> int:
    assert call.principal.user_id is not None
    return call.principal.user_id


def _list(call: Call) -> Page:
    return _page(call, tokens.of_user(call.tx, call.of_tenant.id, _account(call)))


def _create(call: Call) -> CreatedToken:
    user, given = _account(call), call.given(CreateToken)
    scopes = None if given.scopes is None else frozenset(given.scopes)
    wanted = call.principal.verbs if scopes is None else scopes
    if beyond := wanted - call.principal.verbs:
        raise unfit("scopes", f"You can't give what you may not do yourself: {', '.join(sorted(beyond))}.")
    if scopes is None:
        # The token that asks may have fewer rights than its holder: the new one must not have more.
        scopes = None if _is_unlimited(call) else call.principal.verbs
    return _issue(call, PERSONAL, given, user=user, scopes=scopes)


def _is_unlimited(call: Call) -> bool:
    if via(call.principal) != "token":
        return True
    token = tokens.get(call.tx, int(call.principal.key.removeprefix("token:")))
    return token is not None and token.scopes is None


def _revoke(call: Call) -> None:
    found = _named(call)
    if found.user_id != _account(call) or found.tenant_id != call.of_tenant.id:
        raise not_found("token", call.path["token"])
    _end(call, found)


def _list_of_app(call: Call) -> Page:
    return _page(call, tokens.of_app(call.tx, call.of_app.id))


def _create_of_app(call: Call) -> CreatedToken:
    given = call.given(CreateAppToken)
    scopes = frozenset(Verb(one) for one in given.scopes) & APP_VERBS
    return _issue(call, OF_APP, given, user=None, scopes=scopes)


def _revoke_of_app(call: Call) -> None:
    found = _named(call)
    if found.app_id != call.of_app.id:
        raise not_found("token", call.path["token"])
    _end(call, found)


def _end(call: Call, found: Token) -> None:
    call.note(f"token {found.name}", before={"begins": _view(found)["begins"]})
    tokens.revoke(call.tx, found.id, call.writing.now)


def _named(call: Call) -> Token:
    word = call.path["token"]
    is_id = word.isascii() and word.isdigit() and len(word) <= 15
    found = tokens.get(call.tx, int(word)) if is_id else None
    if found is None or found.revoked_at is not None:
        raise not_found("token", word)
    return found


def _issue(
    call: Call,
    kind: str,
    given: CreateToken | CreateAppToken,
    *,
    user: int | None,
    scopes: frozenset[Verb] | None,
) -> CreatedToken:
    now, minted, of_person = call.writing.now, mint(kind), user is not None
    new = NewToken(
        tenant_id=call.of_tenant.id if of_person else call.of_app.tenant_id,
        user_id=user,
        app_id=None if of_person else call.of_app.id,
        name=given.name,
        handle=minted.handle,
        digest=minted.digest,
        scopes=scopes,
        created_by=call.principal.name,
        expires_at=now + timedelta(days=given.expires_in_days),
    )
    made = _view(tokens.insert(call.tx, new, now))
    call.note(f"token {given.name}", after={name: made[name] for name in ("begins", "scopes")})
    return CreatedToken(**made, token=minted.text)


def _page(call: Call, found: list[Token]) -> Page:
    part = call.asked(Paging).part("")
    return Page(
        [TokenView(**_view(one)) for one in found[part.offset : part.offset + part.limit]], len(found)
    )


def _view(token: Token) -> dict[str, Any]:
    kind = PERSONAL if token.app_id is None else OF_APP
    return {
        **{name: getattr(token, name) for name in _COPIED},
        "begins": f"{kind}_{token.handle}",
        "scopes": None if token.scopes is None else sorted(token.scopes),
    }


_COPIED = "id name created_by created_at expires_at last_used_at".split()


def _personal(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.CALLER, verb=Verb.ACCOUNT, **more)


def _of_app(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, verb=Verb.MANAGE, **more)


OPERATIONS = (
    _personal(
        id="listTokens",
        method="GET",
        path="/account/api-tokens",
        summary="List your tokens",
        handle=_list,
        answer=TokenView,
        lists=True,
        query=Paging,
    ),
    _personal(
        id="createToken",
        method="POST",
        path="/account/api-tokens",
        summary="Make a token",
        handle=_create,
        answer=CreatedToken,
        body=CreateToken,
        status=201,
        description="The text is shown this once. It can't do more than the token that made it.",
        refusals={422: "A scope is beyond your own rights."},
    ),
    _personal(
        id="revokeToken",
        method="DELETE",
        path="/account/api-tokens/{token}",
        summary="Revoke one of your tokens",
        handle=_revoke,
    ),
    _of_app(
        id="listAppTokens",
        method="GET",
        path="/apps/{app}/tokens",
        summary="List an app's deploy tokens",
        handle=_list_of_app,
        answer=TokenView,
        lists=True,
        query=Paging,
    ),
    _of_app(
        id="createAppToken",
        method="POST",
        path="/apps/{app}/tokens",
        summary="Make a deploy token of an app",
        handle=_create_of_app,
        answer=CreatedToken,
        body=CreateAppToken,
        status=201,
        description="For CI: it sees and deploys this app alone. The text is shown this once.",
    ),
    _of_app(
        id="revokeAppToken",
        method="DELETE",
        path="/apps/{app}/tokens/{token}",
        summary="Revoke a deploy token",
        handle=_revoke_of_app,
    ),
)
