"""Organisations, and who belongs to them."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bot.api.app_views import Line, Slug
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.refusals import Code, RefusalError, conflict, forbidden, not_found
from bot.domain.roles import Role, Verb
from bot.store import people
from bot.store.people import Member, Project, Tenant

TAG = "Organisations and members"


def email_address(value: str) -> str:
    """An e-mail address in lower case. Raises `ValueError`."""
    local, at, domain = value.rpartition("@")
    if not (local and at and domain) or " " in value:
        raise ValueError("This is not an e-mail address.")
    return value.lower()


Email = Annotated[Line, AfterValidator(email_address), Field(max_length=254, examples=["mona@example.org"])]
Name = Annotated[Line, Field(min_length=1, max_length=100, examples=["Acme"])]


class OrgView(Model):
    """An organisation: a team's walled space. Elsewhere also called a tenant."""

    id: int = Field(examples=[1])
    slug: str = Field(examples=["acme"])
    name: str = Field(examples=["Acme"])
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])


class ProjectView(Model):
    """A group of apps."""

    id: int = Field(examples=[1])
    slug: str = Field(examples=["default"])
    name: str = Field(examples=["Default"])
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])


class MemberView(Model):
    """A person in an organisation."""

    id: int = Field(examples=[3])
    email: str = Field(examples=["mona@example.org"])
    name: str = Field(examples=["Mona"])
    role: Role = Field(examples=["developer"])
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])


class CreateOrg(Model):
    """A new organisation."""

    slug: Slug
    name: Name


class AddMember(Model):
    """Who is to belong."""

    email: Email
    name: Annotated[Line, Field(max_length=100, examples=["Mona"])] = ""
    role: Role = Field(default=Role.DEVELOPER, examples=["developer"])


class UpdateMember(Model):
    """What a member is from now on."""

    role: Role = Field(examples=["admin"])


def _org(one: Tenant) -> OrgView:
    return OrgView(id=one.id, slug=one.slug, name=one.name, created_at=one.created_at)


def _project(one: Project) -> ProjectView:
    return ProjectView(id=one.id, slug=one.slug, name=one.name, created_at=one.created_at)


def _member(one: Member) -> MemberView:
    return MemberView(id=one.id, email=one.email, name=one.name, role=one.role, created_at=one.created_at)


def _cut(call: Call, rows: list[Any]) -> Page:
    part = call.asked(Paging).part("")
    return Page(rows[part.offset : part.offset + part.limit], len(rows))


def _list_orgs(call: Call) -> Page:
    who = call.principal
    if who.roams and who.user_id is not None:
        found = [one.tenant for one in people.memberships(call.tx, who.user_id)]
    else:
        found = people.all_tenants(call.tx) if call.tenant is None else [call.tenant]
    return _cut(call, [_org(one) for one in found])


def _create_org(call: Call) -> OrgView:
    given = call.given(CreateOrg)
    if people.tenant(call.tx, given.slug) is not None:
        raise conflict(Code.NAME_TAKEN, f"There is an organisation '{given.slug}' already.")
    return _org(people.insert_tenant(call.tx, given.slug, given.name, call.writing.now))


def _read_org(call: Call) -> OrgView:
    return _org(call.of_tenant)


def _list_projects(call: Call) -> Page:
    return _cut(call, [_project(one) for one in people.projects_of(call.tx, named_tenant(call).id)])


def _list_members(call: Call) -> Page:
    return _cut(call, [_member(one) for one in people.members_of(call.tx, named_tenant(call).id)])


def _add(call: Call) -> MemberView:
    given, tenant = call.given(AddMember), named_tenant(call)
    check_owner(call, given.role)
    if people.member_by_email(call.tx, tenant.id, given.email) is not None:
        raise conflict(Code.NAME_TAKEN, f"{given.email} is a member already. Change the role instead.")
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
    people.set_role(call.tx, member.tenant_id, member.id, role)
    return _member(_named(call))


def _remove(call: Call) -> None:
    member = _named(call)
    check_owner(call, member.role)
    _check_last(call, member)
    people.remove_member(call.tx, member.tenant_id, member.id)


def named_tenant(call: Call) -> Tenant:
    """The organisation that is meant. Raises `RefusalError` 404: the operator must name one."""
    if call.tenant is None:
        message = "Say of which organisation: /api/v1/orgs/{org}/..."
        raise RefusalError(404, Code.NOT_FOUND, message)
    return call.tenant


def _named(call: Call) -> Member:
    word = call.path["member"]
    tenant = named_tenant(call).id
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
        id="listOrgs",
        method="GET",
        path="/orgs",
        summary="List organisations",
        verb=Verb.READ,
        handle=_list_orgs,
        answer=OrgView,
        lists=True,
        query=Paging,
        description="Yours; the instance's operator sees all.",
    ),
    Operation(
        id="createOrg",
        method="POST",
        path="/orgs",
        summary="Make an organisation",
        tag=TAG,
        about=About.INSTANCE,
        verb=Verb.OPERATE,
        handle=_create_org,
        answer=OrgView,
        body=CreateOrg,
        status=201,
        refusals={409: "The name is taken."},
        description="For the instance's operator.",
    ),
    _about(
        id="getOrg",
        method="GET",
        path="/orgs/{org}",
        summary="Read an organisation",
        verb=Verb.READ,
        handle=_read_org,
        answer=OrgView,
    ),
    _about(
        id="listProjects",
        method="GET",
        path="/orgs/{org}/projects",
        summary="List projects",
        verb=Verb.READ,
        handle=_list_projects,
        answer=ProjectView,
        lists=True,
        query=Paging,
    ),
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
        description="The person's tokens say no to everything from then on.",
        refusals={409: "It is the last owner."},
    ),
)
