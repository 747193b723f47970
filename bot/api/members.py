"""Who belongs to an organisation."""

import re
from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bot.api.app_views import Line
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.orgs import TAG, cut_to_page, tenant_of
from bot.api.refusals import Code, conflict, forbidden, not_found
from bot.domain.roles import Role, Verb
from bot.store import people, tokens
from bot.store.people import Member

# One plain address: what mail takes for a list, a name or a comment would bring it to others, too.
_PART = r"[^\s,;:<>()\[\]\"\\@]+"
_ADDRESS = re.compile(f"{_PART}@{_PART}")


def email_address(value: str) -> str:
    """An e-mail address in lower case. Raises `ValueError`."""
    if _ADDRESS.fullmatch(value) is None:
        raise ValueError("This is not an e-mail address.")
    return value.lower()


Email = Annotated[Line, AfterValidator(email_address), Field(max_length=254, examples=["mona@example.org"])]


class MemberView(Model):
    """A person in an organisation."""

    id: int = Field(examples=[3])
    email: str = Field(examples=["mona@example.org"])
    name: str = Field(examples=["Mona"])
    role: Role = Field(examples=["developer"])
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])


class AddMember(Model):
    """Who is to belong."""

    email: Email
    name: Annotated[Line, Field(max_length=100, examples=["Mona"])] = ""
    role: Role = Field(default=Role.DEVELOPER, examples=["developer"])


class UpdateMember(Model):
    """What a member is from now on."""

    role: Role = Field(examples=["admin"])


def _member(one: Member) -> MemberView:
    return MemberView(id=one.id, email=one.email, name=one.name, role=one.role, created_at=one.created_at)


def _list_members(call: Call) -> Page:
    return cut_to_page(call, [_member(one) for one in people.members_of(call.tx, tenant_of(call).id)])


def _add(call: Call) -> MemberView:
    given, tenant = call.given(AddMember), tenant_of(call)
    check_owner(call, given.role)
    if people.member_by_email(call.tx, tenant.id, given.email) is not None:
        raise conflict(Code.NAME_TAKEN, f"{given.email} is a member already. Change the role instead.")
    call.note(f"member {given.email}", after={"role": given.role})
    now = call.writing.now
    return _member(
        people.ensure_member(call.tx, tenant.id, given.email, name=given.name, role=given.role, now=now)
    )


def _update(call: Call) -> MemberView:
    member, role = _named(call), call.given(UpdateMember).role
    check_owner(call, member.role)
    check_owner(call, role)
    if role is not Role.OWNER:
        _check_last(call, member)
    call.note(f"member {member.email}", {"role": member.role}, {"role": role})
    people.set_role(call.tx, member.tenant_id, member.id, role)
    return _member(_named(call))


def _remove(call: Call) -> None:
    member = _named(call)
    check_owner(call, member.role)
    _check_last(call, member)
    call.note(f"member {member.email}", before={"role": member.role})
    people.remove_member(call.tx, member.tenant_id, member.id)
    # Who comes back later comes without the tokens of before.
    tokens.revoke_all(call.tx, member.tenant_id, member.id, call.writing.now)


def _named(call: Call) -> Member:
    word = call.path["member"]
    tenant = tenant_of(call).id
    if word.isascii() and word.isdigit() and len(word) <= 15:
        found = people.member(call.tx, tenant, int(word))
    else:
        found = people.member_by_email(call.tx, tenant, word.lower())
    if found is None:
        raise not_found("member", word)
    return found


def check_owner(call: Call, role: Role) -> None:
    """Raise `RefusalError` 403 when the caller would make, or unmake, an owner and is none."""
    if role is Role.OWNER and Verb.OWN not in call.principal.verbs:
        raise forbidden(Verb.OWN, call.principal.name)


def _check_last(call: Call, member: Member) -> None:
    owners = [one for one in people.members_of(call.tx, member.tenant_id) if one.role is Role.OWNER]
    if member.role is Role.OWNER and len(owners) == 1:
        raise conflict(Code.LAST_OWNER, f"{member.email} is the last owner. Make another one first.")


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.TENANT, **more)


OPERATIONS = (
    _about(
        id="listMembers",
        method="GET",
        path="/members",
        summary="List members",
        verb=Verb.READ,
        handle=_list_members,
        answer=MemberView,
        lists=True,
        query=Paging,
    ),
    _about(
        id="addMember",
        method="POST",
        path="/members",
        summary="Add a member",
        verb=Verb.MANAGE,
        handle=_add,
        answer=MemberView,
        body=AddMember,
        status=201,
        refusals={409: "The person is a member already."},
    ),
    _about(
        id="updateMember",
        method="PATCH",
        path="/members/{member}",
        summary="Change a member's role",
        verb=Verb.MANAGE,
        handle=_update,
        answer=MemberView,
        body=UpdateMember,
        refusals={409: "It is the last owner."},
    ),
    _about(
        id="removeMember",
        method="DELETE",
        path="/members/{member}",
        summary="Remove a member",
        verb=Verb.MANAGE,
        handle=_remove,
        description="The person's tokens for the organisation end with it.",
        refusals={409: "It is the last owner."},
    ),
)
