"""Who one is, and the sessions that one has open."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.refusals import not_found
from bot.domain.roles import Principal, Role, Verb
from bot.domain.session import SignedInBy
from bot.store import people, sessions
from bot.store.sessions import Session

TAG = "Account and tokens"


class Membership(Model):
    """An organisation that the caller belongs to."""

    tenant_id: int = Field(examples=[1])
    tenant_slug: str = Field(examples=["default"])
    tenant_name: str = Field(examples=["Default"])
    role: Role | None = Field(examples=["developer"])


class UserView(Model):
    """A person."""

    id: int = Field(examples=[3])
    email: str = Field(examples=["mona@example.org"])
    name: str = Field(examples=["Mona"])


class Me(Model):
    """Who calls, and what they may do."""

    name: str = Field(examples=["mona@example.org"])
    kind: Literal["operator", "member", "deploy-token"] = Field(examples=["member"])
    via: Literal["key", "token", "oidc", "session"] = Field(examples=["token"])
    """What the request carried: the instance's own key, a token, an ID token, a session's cookie."""
    user: UserView | None
    tenant_id: int | None = Field(examples=[1])
    """The organisation that counts where a request names none."""
    rights: list[Verb] = Field(examples=[["deploy", "read", "rollback"]])
    app_id: int | None = Field(examples=[None])
    """Of a deploy token: the app that it is for."""
    memberships: list[Membership]


class SessionView(Model):
    """A sign-in to the console that has not ended."""

    id: int = Field(examples=[8])
    via: SignedInBy = Field(examples=["github"])
    address: str = Field(examples=["203.0.113.7"])
    agent: str = Field(examples=["Mozilla/5.0"])
    """What the browser calls itself."""
    current: bool = Field(examples=[True])
    """Whether this request came by it."""
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])
    last_used_at: datetime | None = Field(examples=["2026-01-31T12:00:00Z"])
    """To the minute."""
    expires_at: datetime = Field(examples=["2026-02-07T11:00:00Z"])


def _me(call: Call) -> Me:
    who = call.principal
    user = people.user(call.tx, who.user_id) if who.user_id else None
    return Me(
        name=who.name,
        kind="operator" if who.is_operator else "deploy-token" if who.app_id else "member",
        via=via(who),
        user=UserView(id=user.id, email=user.email, name=user.name) if user else None,
        tenant_id=call.tenant.id if call.tenant else None,
        rights=sorted(who.verbs),
        app_id=who.app_id,
        memberships=_memberships(call),
    )


def via(who: Principal) -> Literal["key", "token", "oidc", "session"]:
    """What a caller showed."""
    match who.key.partition(":")[0]:
        case "token":
            return "token"
        case "oidc":
            return "oidc"
        case "session":
            return "session"
        case _:
            return "key"


def _memberships(call: Call) -> list[Membership]:
    who, own = call.principal, call.tenant
    if who.user_id is not None:
        found = people.memberships(call.tx, who.user_id)
        return [membership_view(one) for one in found if who.roams or one.tenant.id == who.tenant_id]
    if own is None:
        return []
    return [Membership(tenant_id=own.id, tenant_slug=own.slug, tenant_name=own.name, role=None)]


def membership_view(one: people.Membership) -> Membership:
    """A membership as answers have it."""
    own = one.tenant
    return Membership(tenant_id=own.id, tenant_slug=own.slug, tenant_name=own.name, role=one.role)


def _person(call: Call) -> int:
    assert call.principal.user_id is not None
    return call.principal.user_id


def _list(call: Call) -> Page:
    found = sessions.of_user(call.tx, _person(call), call.services.clock())
    part = call.asked(Paging).part("")
    return Page([_view(call, one) for one in found[part.offset : part.offset + part.limit]], len(found))


def _view(call: Call, one: Session) -> SessionView:
    values: dict[str, Any] = {name: getattr(one, name) for name in _COPIED}
    return SessionView(**values, current=call.principal.key.startswith(f"session:{one.id}@"))


_COPIED = "id via address agent created_at last_used_at expires_at".split()


def _revoke(call: Call) -> None:
    word = call.path["session"]
    for one in sessions.of_user(call.tx, _person(call), call.writing.now):
        if str(one.id) == word:
            call.note(f"session {one.id}")
            sessions.revoke(call.tx, one.id, call.writing.now)
            return
    raise not_found("session", word)


OPERATIONS = (
    Operation(
        id="getMe",
        method="GET",
        path="/auth/me",
        summary="Who am I",
        tag=TAG,
        about=About.CALLER,
        verb=None,
        handle=_me,
        answer=Me,
        description="Whoever is known may ask.",
    ),
    Operation(
        id="listSessions",
        method="GET",
        path="/account/sessions",
        summary="List your sessions",
        tag=TAG,
        about=About.CALLER,
        verb=Verb.ACCOUNT,
        handle=_list,
        answer=SessionView,
        lists=True,
        query=Paging,
    ),
    Operation(
        id="revokeSession",
        method="DELETE",
        path="/account/sessions/{session}",
        summary="End one of your sessions",
        tag=TAG,
        about=About.CALLER,
        verb=Verb.ACCOUNT,
        handle=_revoke,
    ),
)
