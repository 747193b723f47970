"""Apps: what is deployed."""

from pathlib import PurePosixPath
from typing import Any

from bot import listings
from bot.api.app_views import AppQuery, AppView, CreateApp, CreatedApp, UpdateApp, row, view
from bot.api.operation import About, Call, Operation, Page
from bot.api.reading import is_word
from bot.api.refusals import Code, conflict, unfit
from bot.domain.app import App
from bot.domain.environment import PRODUCTION
from bot.domain.ids import ProjectId, TenantId
from bot.domain.roles import Verb
from bot.previews import protection_changed
from bot.registration import Registry, Wish
from bot.store import apps, deployments, environments, pages, people, places
from bot.store.pages import AppFilter
from bot.store.people import Project

TAG = "Apps"


def _shown(call: Call, app: App) -> AppView:
    return AppView(**_fields(call, [app])[0])


def _fields(call: Call, found: list[App]) -> list[dict[str, Any]]:
    live = places.productions(call.tx, [app.id for app in found])
    slugs = people.project_slugs(call.tx, {app.project_id for app in found})
    return [view(call, app, live.get(app.id)) | {"project": slugs[app.project_id]} for app in found]


def _list(call: Call) -> Page:
    asked = call.asked(AppQuery)
    wanted = AppFilter(
        tenant_id=call.tenant.id if call.tenant else None,
        project_id=call.project.id if call.project else None,
        archived={"archived": True, "all": None}.get(asked.status or "", False),
        enabled={"active": True, "disabled": False}.get(asked.status or ""),
        search=asked.search,
    )
    found = pages.apps_page(call.tx, wanted, asked.part(asked.sort.replace("createdAt", "appCreatedAt")))
    return Page([row(**one) for one in _fields(call, found.rows)], found.total)


def _create(call: Call) -> CreatedApp:
    given, services = call.given(CreateApp), call.services
    registry = Registry(services.settings, services.vault)
    tenant = call.tenant.id if call.tenant else apps.ensure_default_scope(call.tx, call.writing.now)[0]
    listed = listings.repository(call.tx, tenant, given.repository) if given.clone_url is None else None
    if given.slug is None:
        _refuse_second(call, tenant, given)
    wish = Wish(**given.model_dump())
    made = registry.register(call.tx, wish, call.writing.now, _home(call), listed=listed)
    call.app = made.app
    call.note(f"app {made.app.slug}", after={"repository": made.app.repository})
    return CreatedApp(**_fields(call, [made.app])[0], webhook_secret=made.secret)


def _refuse_second(call: Call, tenant: TenantId, given: CreateApp) -> None:
    """Whoever sends a request again must not get an app again: each would be built at each push."""
    root = "/".join(PurePosixPath(given.root_directory).parts)
    same = apps.of_source(call.tx, tenant, given.repository, root)
    if same is not None:
        message = f"The app {same.slug} is made of {same.repository} already. For another one, give a slug."
        raise conflict(Code.NAME_TAKEN, message)


def _home(call: Call) -> tuple[TenantId, ProjectId] | None:
    """Where a new app belongs; the default tenant's first project for the operator."""
    if call.tenant is None:
        return None
    project = call.project or people.projects_of(call.tx, call.tenant.id)[0]
    _refuse_archived_project(project)
    return call.tenant.id, project.id


def _read(call: Call) -> AppView:
    return _shown(call, call.of_app)


def _update(call: Call) -> AppView:
    app, given = call.of_app, call.given(UpdateApp)
    changes = given.model_dump(include=given.model_fields_set)
    if "project" in changes:
        changes["project_id"] = _new_project(call, changes.pop("project")).id
    if app.archived_at is not None and changes.get("enabled"):
        raise conflict(Code.APP_ARCHIVED, f"{app.slug} is archived. Bring it back first: POST .../unarchive.")
    call.note(f"app {app.slug}", {name: getattr(app, name) for name in changes}, changes)
    changed = apps.change(call.tx, app.id, changes)
    if changed.protection != app.protection:
        protection_changed(call.writing, app)
    return _shown(call, changed)


def _new_project(call: Call, word: str) -> Project:
    found = people.project(call.tx, call.of_app.tenant_id, word)
    if found is None:
        raise unfit("project", f"The organisation of {call.of_app.slug} has no project '{word}'.")
    _refuse_archived_project(found)
    return found


def _refuse_archived_project(project: Project) -> None:
    if project.archived_at is not None:
        message = f"The project {project.slug} is archived. Bring it back first: POST .../unarchive."
        raise conflict(Code.CONFLICT, message)


def _archive(call: Call) -> AppView:
    app = call.of_app
    changes = {"archived_at": call.writing.now} if app.archived_at is None else {}
    return _shown(call, apps.change(call.tx, app.id, changes))


def _unarchive(call: Call) -> AppView:
    app = call.of_app
    changes = {"archived_at": None} if app.archived_at is not None else {}
    return _shown(call, apps.change(call.tx, app.id, changes))


def _delete(call: Call) -> None:
    app = call.of_app
    if app.archived_at is None:
        message = f"Archive {app.slug} first (POST .../archive). Deleting it takes its sites down for good."
        raise conflict(Code.CONFLICT, message)
    for environment in environments.of_apps(call.tx, [app.id]):
        if open_there := deployments.unfinished(call.tx, environment.id):
            message = f"DEP-{open_there[0].id} has not ended in {environment.name}. Cancel it, then delete."
            raise conflict(Code.STILL_BUSY, message)
    apps.delete(call.tx, app.id, call.writing.now)


def refuse_archived(app: App) -> None:
    """Raise `RefusalError` when nothing may be brought live of an app."""
    if app.archived_at is not None:
        raise conflict(Code.APP_ARCHIVED, f"{app.slug} is archived. Bring it back first: POST .../unarchive.")


def known_environment(call: Call, word: str) -> str:
    """The name of an environment that an app has, or may have: by name, by id, a preview also as `pr-12`.

    Raises `RefusalError` 422.
    """
    app = call.of_app
    found = environments.by_word(call.tx, app.id, word) if is_word(word) else None
    if found is not None:
        return found.name
    policy = apps.policy(call.tx, app.id) or {}
    known = {PRODUCTION, *(one.name for one in environments.of_apps(call.tx, [app.id]))}
    known |= set(policy.get("environments", {}))
    if word not in known:
        listed = ", ".join(sorted(known)[:20])
        raise unfit("environment", f"{app.slug} has no environment '{word}', but: {listed}.")
    return word


def _about_app(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, **more)


OPERATIONS = (
    Operation(
        id="listApps",
        method="GET",
        path="/apps",
        summary="List apps",
        tag=TAG,
        about=About.TENANT,
        verb=Verb.READ,
        handle=_list,
        answer=AppView,
        lists=True,
        query=AppQuery,
    ),
    Operation(
        id="createApp",
        method="POST",
        path="/apps",
        summary="Create an app",
        tag=TAG,
        about=About.TENANT,
        verb=Verb.CONFIGURE,
        handle=_create,
        answer=CreatedApp,
        body=CreateApp,
        status=201,
        description="Stores what is to be deployed. **Nothing is live until the first deployment succeeds**: "
        "push to the production branch, or ask for a deployment.",
        refusals={
            409: "There is an app of that repository and directory, and no slug was given for another one.",
            422: "The slug or its hostname is taken.",
        },
    ),
    _about_app(
        id="getApp",
        method="GET",
        path="/apps/{app}",
        summary="Read an app",
        verb=Verb.READ,
        handle=_read,
        answer=AppView,
    ),
    _about_app(
        id="updateApp",
        method="PATCH",
        path="/apps/{app}",
        summary="Change an app",
        verb=Verb.CONFIGURE,
        handle=_update,
        answer=AppView,
        body=UpdateApp,
        description="Takes effect with the next deployment, `protection` at once. `enabled` switches "
        "automatic deploys, `project` "
        "moves the app to another project of its organisation.",
        refusals={409: "It, or the project, is archived.", 422: "There is no such project."},
    ),
    _about_app(
        id="archiveApp",
        method="POST",
        path="/apps/{app}/archive",
        summary="Archive an app",
        verb=Verb.CONFIGURE,
        handle=_archive,
        answer=AppView,
        description="Nothing deploys any more, and lists leave it out. What is live stays live.",
    ),
    _about_app(
        id="unarchiveApp",
        method="POST",
        path="/apps/{app}/unarchive",
        summary="Bring an archived app back",
        verb=Verb.CONFIGURE,
        handle=_unarchive,
        answer=AppView,
        description="Pushes deploy again, unless that was switched off before.",
    ),
    _about_app(
        id="deleteApp",
        method="DELETE",
        path="/apps/{app}",
        summary="Delete an archived app",
        verb=Verb.MANAGE,
        handle=_delete,
        description="Its sites go down within two minutes; its releases and tokens end; its name comes free.",
        refusals={409: "It is not archived, or a deployment has not ended."},
    ),
)
