"""Whose variables a command is about, as its options name it."""

from bot.cli.instance import Instance, find_app
from bot.cli.variable_options import Whose
from bot.domain.environment import PRODUCTION
from bot.domain.variable import Place, Scope
from bot.errors import ErrorCode, UserError
from bot.lifecycle import Change
from bot.store import apps, environments, people
from bot.store.engine import Tx


def own_place(instance: Instance, change: Change, whose: Whose) -> Place:
    """The scope that is named; an environment is made where the app has none of that name yet."""
    found = place_of(change.tx, whose)
    if found is not None:
        return found
    app = find_app(change.tx, whose.app or "")
    policy = apps.policy(change.tx, app.id) or {}
    name = whose.environment or ""
    if name not in {PRODUCTION, *policy.get("environments", {})}:
        raise UserError(ErrorCode.UNKNOWN_NAME, field="environment", value=name)
    made = instance.lifecycle.environment(change, app, name)
    return Place(Scope.ENVIRONMENT, made.id, app.tenant_id)


def place_of(tx: Tx, whose: Whose) -> Place | None:
    """The scope that is named; None for an environment that is not there."""
    scope = whose.scope
    if whose.app is not None:
        app = find_app(tx, whose.app)
        if scope is Scope.APP:
            return Place(scope, app.id, app.tenant_id)
        found = environments.by_name(tx, app.id, whose.environment or "")
        return Place(scope, found.id, app.tenant_id) if found is not None else None
    tenant = people.tenant(tx, whose.org or apps.DEFAULT)
    if tenant is None:
        raise UserError(ErrorCode.UNKNOWN_NAME, field="organisation", value=whose.org or apps.DEFAULT)
    if whose.project is None:
        return Place(scope, tenant.id, tenant.id)
    project = people.project(tx, tenant.id, whose.project)
    if project is None:
        raise UserError(ErrorCode.UNKNOWN_NAME, field="project", value=whose.project)
    return Place(scope, project.id, tenant.id)
