"""Share links: who has one sees a protected preview without an account."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from bot.api.app_views import Line
from bot.api.envelope import Model
from bot.api.environment_views import environment_named
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.previews import TAG, Length
from bot.api.refusals import Code, conflict, not_found
from bot.domain.duration import duration
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import ShareLinkId
from bot.domain.protection import Protection
from bot.domain.roles import Verb
from bot.domain.sharing import DEFAULT_LIFE, Purpose, ShareLink
from bot.preview_sharing import address, revoke, share
from bot.previews import protection_of
from bot.share import open_signer
from bot.store import share_links
from bot.store.share_links import NewShareLink


class ShareLinkView(Model):
    """A link that opens a protected preview. Its address is not told again."""

    id: int = Field(examples=[5])
    scope: Literal["environment", "app"] = Field(examples=["environment"])
    """What it opens: the one preview, or all previews of the app."""
    purpose: Purpose = Field(examples=["person"])
    """`comment`: it stands in the comment on the pull request."""
    note: str = Field(examples=["for the design review"])
    created_by: str = Field(examples=["mona@example.org"])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    expires_at: datetime = Field(examples=["2026-02-07T12:00:00Z"])


class CreatedShareLink(ShareLinkView):
    """A new link."""

    url: str = Field(examples=["https://pr-12-shop.example.org/?_slipway_share=l.5.e3.1770465600.kq3v"])
    """Whoever opens it gets a cookie for this preview alone; shown this once."""


class CreateShareLink(Model):
    """What the link is to open, and for how long."""

    ttl: Length | None = None
    """Default 7d, 90d at most."""
    scope: Literal["environment", "app"] = Field(default="environment", examples=["environment"])
    note: Annotated[Line, Field(max_length=200, examples=["for the design review"])] = ""


def _environment(call: Call) -> Environment:
    return environment_named(call, call.path["environment"])


def _fields(one: ShareLink) -> dict[str, Any]:
    return {
        "id": one.id,
        "scope": "app" if one.environment_id is None else "environment",
        "purpose": one.purpose,
        "note": one.note,
        "created_by": one.created_by,
        "created_at": one.created_at,
        "expires_at": one.expires_at,
    }


def _list(call: Call) -> Page:
    part, environment = call.asked(Paging).part(""), _environment(call)
    found = share_links.opening(call.tx, call.of_app.id, environment.id, call.services.clock())
    cut = found[part.offset : part.offset + part.limit]
    return Page([ShareLinkView(**_fields(one)) for one in cut], len(found))


def _create(call: Call) -> CreatedShareLink:
    environment, given, change = _environment(call), call.given(CreateShareLink), call.writing
    _refuse_useless(call, environment)
    life = (duration(given.ttl) if given.ttl else None) or DEFAULT_LIFE
    made = share(
        change,
        NewShareLink(
            app_id=call.of_app.id,
            environment_id=environment.id if given.scope == "environment" else None,
            purpose=Purpose.PERSON,
            created_by=call.principal.name,
            expires_at=change.now + life,
            note=given.note,
        ),
    )
    call.note(f"share link {made.id} of {environment.name}", after={"scope": given.scope, "note": given.note})
    settings = call.services.settings
    url = address(settings, open_signer(settings, call.services.clock), environment, made)
    return CreatedShareLink(**_fields(made), url=url)


def _refuse_useless(call: Call, environment: Environment) -> None:
    if environment.kind is not EnvironmentKind.PREVIEW:
        raise conflict(
            Code.CONFLICT, f"{environment.name} is open to everybody: only previews are protected."
        )
    if protection_of(call.tx, call.of_app) is Protection.LOGIN:
        message = f"Previews of {call.of_app.slug} are for members who sign in: its protection is 'login'."
        raise conflict(Code.CONFLICT, message)


def _revoke(call: Call) -> None:
    word, environment = call.path["link"], _environment(call)
    is_number = word.isascii() and word.isdigit() and len(word) <= 15
    found = share_links.get(call.tx, call.of_app.id, ShareLinkId(int(word))) if is_number else None
    if found is None or found.environment_id not in (None, environment.id):
        raise not_found("share link", word)
    if found.revoked_at is None:
        revoke(call.writing, [found])
    call.note(f"share link {found.id} of {environment.name}")


def _revoke_all(call: Call) -> None:
    environment = _environment(call)
    found = share_links.opening(call.tx, call.of_app.id, environment.id, call.writing.now)
    own = [one for one in found if one.environment_id == environment.id]
    revoke(call.writing, own)
    call.note(f"share links of {environment.name}", before={"links": [one.id for one in own]})


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, **more)


_LINKS = "/apps/{app}/environments/{environment}/share-links"
OPERATIONS = (
    _about(
        id="listShareLinks",
        method="GET",
        path=_LINKS,
        summary="List links that open a preview",
        verb=Verb.READ,
        handle=_list,
        answer=ShareLinkView,
        lists=True,
        query=Paging,
        description="Those that count now, newest first.",
    ),
    _about(
        id="createShareLink",
        method="POST",
        path=_LINKS,
        summary="Make a link that opens a preview",
        verb=Verb.DEPLOY,
        handle=_create,
        answer=CreatedShareLink,
        body=CreateShareLink,
        status=201,
        description="Programs may send what stands behind `_slipway_share=` as the header `X-Slipway-Share`.",
        refusals={409: "The environment is no preview, or its app lets in only who signs in."},
    ),
    _about(
        id="revokeShareLink",
        method="DELETE",
        path=f"{_LINKS}/{{link}}",
        summary="Revoke a link",
        verb=Verb.DEPLOY,
        handle=_revoke,
        description="It opens nothing any more within seconds, and who came in by it is out. One that "
        "stands in a comment is replaced there.",
    ),
    _about(
        id="revokeShareLinks",
        method="DELETE",
        path=_LINKS,
        summary="Revoke all links of one preview",
        verb=Verb.DEPLOY,
        handle=_revoke_all,
        description="Links for all previews of the app stay.",
    ),
)
