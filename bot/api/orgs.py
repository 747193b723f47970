"""Organisations and their projects."""

from typing import Any

from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.org_views import (
    CreateOrg,
    CreateProject,
    OrgView,
    ProjectView,
    UpdateOrg,
    UpdateProject,
    org_view,
    project_view,
)
from bot.api.refusals import Code, RefusalError, conflict, forbidden, not_found
from bot.domain.roles import Verb
from bot.store import people
from bot.store.apps import DEFAULT
from bot.store.people import Project, Tenant

TAG = "Organisations and members"


def cut_to_page(call: Call, rows: list[Any]) -> Page:
    """A page of rows that are all known."""
    part = call.asked(Paging).part("")
    return Page(rows[part.offset : part.offset + part.limit], len(rows))


def tenant_of(call: Call) -> Tenant:
    """The organisation that is named or implied. Raises `RefusalError` 404."""
    if call.tenant is None:
        message = "Say of which organisation: /api/v1/orgs/{org}/..."
        raise RefusalError(404, Code.NOT_FOUND, message)
    return call.tenant


def _list_orgs(call: Call) -> Page:
    who = call.principal
    if who.roams and who.user_id is not None:
        found = [one.tenant for one in people.memberships(call.tx, who.user_id)]
    else:
        found = people.all_tenants(call.tx) if call.tenant is None else [call.tenant]
    return cut_to_page(call, [org_view(one) for one in found])


def _create_org(call: Call) -> OrgView:
    given = call.given(CreateOrg)
    if people.tenant(call.tx, given.slug) is not None:
        raise conflict(Code.NAME_TAKEN, f"There is an organisation '{given.slug}' already.")
    return org_view(people.insert_tenant(call.tx, given.slug, given.name, call.writing.now))


def _read_org(call: Call) -> OrgView:
    return org_view(call.of_tenant)


def _update_org(call: Call) -> OrgView:
    one, given = call.of_tenant, call.given(UpdateOrg)
    changes = given.model_dump(include=given.model_fields_set)
    if "build_limit" in changes and Verb.OPERATE not in call.principal.verbs:
        raise forbidden(Verb.OPERATE, call.principal.name)
    before = {"name": one.name, "build_limit": one.build_limit}
    call.note(f"organisation {one.slug}", before, changes)
    return org_view(people.change_tenant(call.tx, one.id, changes))


def _list_projects(call: Call) -> Page:
    return cut_to_page(call, [project_view(one) for one in people.projects_of(call.tx, tenant_of(call).id)])


def _create_project(call: Call) -> ProjectView:
    given, tenant = call.given(CreateProject), tenant_of(call)
    _refuse_taken(call, tenant, given.slug)
    call.note(f"project {given.slug}")
    name = given.name or given.slug
    return project_view(
        people.insert_project(call.tx, tenant.id, given.slug, name=name, now=call.writing.now)
    )


def _read_project(call: Call) -> ProjectView:
    return project_view(_named(call))


def _update_project(call: Call) -> ProjectView:
    one, given = _named(call), call.given(UpdateProject)
    changes = given.model_dump(include=given.model_fields_set)
    if changes.get("slug", one.slug) != one.slug:
        if one.slug == DEFAULT:
            raise conflict(Code.CONFLICT, f"{one.slug} is where new apps go, and keeps its slug.")
        _refuse_taken(call, tenant_of(call), given.slug)
    call.note(f"project {one.slug}", {"slug": one.slug, "name": one.name}, changes)
    return project_view(people.change_project(call.tx, one.id, changes))


def _archive_project(call: Call) -> ProjectView:
    one = _named(call)
    _refuse_apps(call, one, "archived")
    call.note(f"project {one.slug}", after={"archived": True})
    changes = {} if one.archived_at else {"archived_at": call.writing.now}
    return project_view(people.change_project(call.tx, one.id, changes))


def _unarchive_project(call: Call) -> ProjectView:
    one = _named(call)
    call.note(f"project {one.slug}", after={"archived": False})
    return project_view(people.change_project(call.tx, one.id, {"archived_at": None}))


def _delete_project(call: Call) -> None:
    one = _named(call)
    _refuse_apps(call, one, "deleted")
    others = [other for other in people.projects_of(call.tx, one.tenant_id) if other.id != one.id]
    if not others:
        raise conflict(Code.CONFLICT, f"{one.slug} is the last project. Make another one first.")
    call.note(f"project {one.slug}", before={"name": one.name})
    people.delete_project(call.tx, one.id, others[0].id)


def _named(call: Call) -> Project:
    if call.project is None:
        raise not_found("project", call.path["project"])
    return call.project


def _refuse_taken(call: Call, tenant: Tenant, slug: str) -> None:
    if any(one.slug == slug for one in people.projects_of(call.tx, tenant.id)):
        raise conflict(Code.NAME_TAKEN, f"{tenant.slug} has a project '{slug}' already.")


def _refuse_apps(call: Call, one: Project, done: str) -> None:
    count = people.apps_in(call.tx, one.id)
    if count or one.slug == DEFAULT:
        why = f"has {count} app{'s' if count > 1 else ''}" if count else "is where new apps go"
        how = "Move them (PATCH /apps/{app} with project) or delete them first." if count else ""
        raise conflict(Code.CONFLICT, f"{one.slug} {why}, so it can't be {done}. {how}".strip())


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.TENANT, **more)


_PROJECT = "/orgs/{org}/projects/{project}"
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
        id="updateOrg",
        method="PATCH",
        path="/orgs/{org}",
        summary="Change an organisation",
        verb=Verb.OWN,
        handle=_update_org,
        answer=OrgView,
        body=UpdateOrg,
        description="`buildLimit` is for the instance's operator.",
    ),
    _about(
        id="createProject",
        method="POST",
        path="/orgs/{org}/projects",
        summary="Make a project",
        verb=Verb.CONFIGURE,
        handle=_create_project,
        answer=ProjectView,
        body=CreateProject,
        status=201,
        refusals={409: "The name is taken."},
    ),
    _about(
        id="getProject",
        method="GET",
        path=_PROJECT,
        summary="Read a project",
        verb=Verb.READ,
        handle=_read_project,
        answer=ProjectView,
    ),
    _about(
        id="updateProject",
        method="PATCH",
        path=_PROJECT,
        summary="Change a project",
        verb=Verb.CONFIGURE,
        handle=_update_project,
        answer=ProjectView,
        body=UpdateProject,
        refusals={409: "The name is taken."},
    ),
    _about(
        id="archiveProject",
        method="POST",
        path=f"{_PROJECT}/archive",
        summary="Archive a project without apps",
        verb=Verb.CONFIGURE,
        handle=_archive_project,
        answer=ProjectView,
        refusals={409: "It has apps, or is the default one."},
        description="No app can be made in it or moved to it any more.",
    ),
    _about(
        id="unarchiveProject",
        method="POST",
        path=f"{_PROJECT}/unarchive",
        summary="Bring an archived project back",
        verb=Verb.CONFIGURE,
        handle=_unarchive_project,
        answer=ProjectView,
    ),
    _about(
        id="deleteProject",
        method="DELETE",
        path=_PROJECT,
        summary="Delete a project without apps",
        verb=Verb.MANAGE,
        handle=_delete_project,
        refusals={409: "It has apps, or is the default or the last one."},
    ),
)
