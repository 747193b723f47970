"""Invitations: who may join an organisation."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from bot.api.app_views import Line
from bot.api.envelope import Model
from bot.api.me import TAG as ACCOUNT
from bot.api.me import Membership, membership_view
from bot.api.members import TAG, Email, check_owner, named_tenant
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.refusals import Code, RefusalError, conflict, not_found
from bot.domain.roles import Role, Verb
from bot.invitations import InvitationEndedError, Inviter, Issued, accept, find_open
from bot.store import invitations, people
from bot.store.invitations import Invitation, Mail


class InvitationView(Model):
    """Somebody who may join."""

    id: int = Field(examples=[4])
    email: str = Field(examples=["mona@example.org"])
    role: Role = Field(examples=["developer"])
    status: Literal["pending", "expired"] = Field(examples=["pending"])
    mail: Mail = Field(examples=["sent"])
    """`none`: this instance sends no mail, so that whoever invites hands the link on."""
    mail_note: str = Field(examples=[""])
    """Why the mail could not be sent."""
    created_by: str = Field(examples=["mona@example.org"])
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])
    expires_at: datetime = Field(examples=["2026-02-07T11:00:00Z"])


class IssuedInvitation(InvitationView):
    """An invitation whose link was made now."""

    link: str | None = Field(examples=[None])
    """The link, shown this once, where no mail brings it."""


class Invite(Model):
    """Who is to join, as what."""

    email: Email
    role: Role = Field(default=Role.DEVELOPER, examples=["developer"])


class AcceptInvitation(Model):
    """The secret of an invitation's link."""

    token: Annotated[
        Line, Field(min_length=1, max_length=200, examples=["0123456789012345678901234567890123456789012"])
    ]


class Accepted(Model):
    """Where one belongs from now on."""

    message: str = Field(examples=["Invitation accepted"])
    memberships: list[Membership]


def _list(call: Call) -> Page:
    found = invitations.of_tenant(call.tx, named_tenant(call).id)
    part = call.asked(Paging).part("")
    rows = found[part.offset : part.offset + part.limit]
    return Page([InvitationView(**_view(call, one)) for one in rows], len(found))


def _invite(call: Call) -> IssuedInvitation:
    given, tenant = call.given(Invite), named_tenant(call)
    check_owner(call, given.role)
    if people.member_by_email(call.tx, tenant.id, given.email) is not None:
        raise conflict(Code.NAME_TAKEN, f"{given.email} is a member already. Change the role instead.")
    by, now = call.principal.name, call.writing.now
    call.note(f"invitation of {given.email}", after={"role": given.role})
    return _issued(call, _inviter(call).invite(call.tx, tenant, given.email, role=given.role, by=by, now=now))


def _resend(call: Call) -> IssuedInvitation:
    known = _named(call)
    check_owner(call, known.role)
    call.note(f"invitation of {known.email}")
    return _issued(call, _inviter(call).renew(call.tx, named_tenant(call), known, now=call.writing.now))


def _revoke(call: Call) -> None:
    known = _named(call)
    call.note(f"invitation of {known.email}", before={"role": known.role})
    invitations.change(call.tx, known.id, revoked_at=call.writing.now)


def _accept(call: Call) -> Accepted:
    who, now = call.principal, call.writing.now
    assert who.user_id is not None
    try:
        found = find_open(call.tx, call.given(AcceptInvitation).token, now)
    except InvitationEndedError as error:
        raise RefusalError(422, Code.INVITATION_ENDED, str(error)) from error
    if found.email != who.name:
        message = f"This invitation is for {found.email}, and you are {who.name}."
        raise RefusalError(403, Code.FORBIDDEN, message)
    accept(call.tx, found, now=now)
    call.note(f"invitation of {found.email}", after={"role": found.role})
    # A token, or a session that is of one organisation alone, does not see others by that.
    mine = people.memberships(call.tx, who.user_id)
    shown = [one for one in mine if who.roams or one.tenant.id in (who.tenant_id, found.tenant_id)]
    return Accepted(message="Invitation accepted", memberships=[membership_view(one) for one in shown])


def _inviter(call: Call) -> Inviter:
    return Inviter(call.services.settings, call.services.vault)


def _issued(call: Call, issued: Issued) -> IssuedInvitation:
    if issued.errand is not None:
        call.writing.errands.append(issued.errand)
    link = issued.link if issued.errand is None else None
    return IssuedInvitation(**_view(call, issued.invitation), link=link)


def _named(call: Call) -> Invitation:
    word = call.path["invitation"]
    is_id = word.isascii() and word.isdigit() and len(word) <= 15
    found = invitations.get(call.tx, named_tenant(call).id, int(word)) if is_id else None
    if found is None or found.accepted_at is not None or found.revoked_at is not None:
        raise not_found("invitation", word)
    return found


def _view(call: Call, one: Invitation) -> dict[str, Any]:
    status = "pending" if one.is_open(call.services.clock()) else "expired"
    return {**{name: getattr(one, name) for name in _COPIED}, "status": status}


_COPIED = "id email role mail mail_note created_by created_at expires_at".split()


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.TENANT, verb=Verb.MANAGE, **more)


OPERATIONS = (
    _about(
        id="listInvitations",
        method="GET",
        path="/members/invitations",
        summary="List invitations",
        handle=_list,
        answer=InvitationView,
        lists=True,
        query=Paging,
        description="Those that were neither accepted nor revoked.",
    ),
    _about(
        id="invite",
        method="POST",
        path="/members/invitations",
        summary="Invite somebody",
        handle=_invite,
        answer=IssuedInvitation,
        body=Invite,
        status=201,
        refusals={409: "The person is a member already."},
        description="Sends a mail with a link that works once, for a week. Where no mail server is set, the "
        "answer has the link.",
    ),
    _about(
        id="resendInvitation",
        method="POST",
        path="/members/invitations/{invitation}/resend",
        summary="Send an invitation again",
        handle=_resend,
        answer=IssuedInvitation,
        description="With another link; the one before ends.",
    ),
    _about(
        id="revokeInvitation",
        method="DELETE",
        path="/members/invitations/{invitation}",
        summary="Revoke an invitation",
        handle=_revoke,
    ),
    Operation(
        id="acceptInvitation",
        method="POST",
        path="/account/invitations",
        summary="Accept an invitation",
        tag=ACCOUNT,
        about=About.CALLER,
        verb=Verb.ACCOUNT,
        handle=_accept,
        answer=Accepted,
        body=AcceptInvitation,
        description="For who belongs to an organisation already; others open the link itself.",
        refusals={403: "It is somebody else's.", 422: "It has ended."},
    ),
)
