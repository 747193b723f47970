"""Finds what a request is about, and asks whether the caller may. Handlers work on what was found here."""

from typing import assert_never

from bot.api.operation import About, Call, Operation
from bot.api.reading import is_word
from bot.api.refusals import Code, RefusalError, forbidden, not_found
from bot.domain.app import App
from bot.domain.ids import AppId, TenantId, parse_reference
from bot.domain.roles import Resource, Verb, Verdict, authorise
from bot.store import apps, pages, people
from bot.store.engine import Tx


def locate(call: Call, operation: Operation) -> None:
    """Fill in what the call is about. Raises `RefusalError` 403 or 404."""
    principal = call.principal
    _scope(call)
    match operation.about:
        case About.INSTANCE:
            resource, what = Resource(), ("address", operation.path)
        case About.CALLER:
            resource, what = Resource(principal.tenant_id, principal.app_id), ("account", principal.name)
        case About.TENANT:
            resource, what = Resource(_tenant_id(call)), ("organisation", call.path.get("org", "yours"))
        case About.APP:
            call.app = _app(call)
            resource, what = _of(call.app), ("app", call.path["app"])
        case About.DEPLOYMENT:
            resource, what = _deployment(call), ("deployment", call.path["deployment"])
        case _:
            assert_never(operation.about)
    if operation.verb is not None:
        _check(call, operation.verb, resource, what)


def _check(call: Call, verb: Verb, resource: Resource, what: tuple[str, str]) -> None:
    principal = call.principal
    match authorise(principal, verb, resource):
        case Verdict.ALLOWED:
            return
        case Verdict.FORBIDDEN if principal.app_id is not None and resource.app_id is None:
            raise _beside_the_app(call, principal.app_id, principal.name)
        case Verdict.FORBIDDEN:
            raise forbidden(verb, principal.name)
        case Verdict.NOT_FOUND:
            raise not_found(*what)


def _beside_the_app(call: Call, app: AppId, who: str) -> RefusalError:
    """A deploy token has its rights in one app, and asks for something else."""
    found = apps.find(call.tx, app)
    where = f"/api/v1/apps/{found.slug}" if found else "its app"
    message = (
        f"{who} sees one app alone: {where} and what is below. Send a person's token (slp_...) for this."
    )
    return RefusalError(403, Code.FORBIDDEN, message)


def apps_of(tx: Tx, word: str) -> list[App]:
    """The app of that id or slug, which is never digits alone."""
    is_id = word.isascii() and word.isdigit() and len(word) <= 15
    found = apps.find(tx, AppId(int(word))) if is_id else apps.by_slug(tx, word)
    return [found] if found is not None else []


def _scope(call: Call) -> None:
    own = call.principal.tenant_id
    if "org" in call.path:
        word = call.path["org"]
        call.tenant = people.tenant(call.tx, word) if is_word(word) else None
        if call.tenant is None or own not in (None, call.tenant.id):
            raise not_found("organisation", word)
    elif own is not None:
        call.tenant = people.tenant_by_id(call.tx, own)
    if "project" in call.path and call.tenant is not None:
        word = call.path["project"]
        call.project = people.project(call.tx, call.tenant.id, word) if is_word(word) else None
        if call.project is None:
            raise not_found("project", word)


def _tenant_id(call: Call) -> TenantId | None:
    return call.tenant.id if call.tenant is not None else None


def _of(app: App) -> Resource:
    return Resource(app.tenant_id, app.id)


def _app(call: Call) -> App:
    word = call.path["app"]
    found = apps_of(call.tx, word) if is_word(word) else []
    for one in found:
        if _is_in_scope(call, one):
            return one
    raise not_found("app", word)


def _is_in_scope(call: Call, app: App) -> bool:
    in_tenant = call.tenant is None or call.tenant.id == app.tenant_id
    return in_tenant and (call.project is None or call.project.id == app.project_id)


def _deployment(call: Call) -> Resource:
    word = call.path["deployment"]
    number = parse_reference(word)
    found = pages.shown(call.tx, number) if number is not None else None
    if found is None:
        raise not_found("deployment", word)
    app = apps.get(call.tx, found.deployment.app_id)
    if not _is_in_scope(call, app) or ("app" in call.path and _app(call).id != app.id):
        raise not_found("deployment", word)
    call.app, call.shown = app, found
    return _of(app)
