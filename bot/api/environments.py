"""Environments: making them, how pushes reach them, taking them back, taking them down."""

import re
from typing import Any

from bot import locks
from bot.api.apps import refuse_archived
from bot.api.deployment_views import DeploymentView, note_made, shown_again
from bot.api.environment_views import (
    CreateEnvironment,
    EnvironmentQuery,
    EnvironmentView,
    Lock,
    Rollback,
    UpdateEnvironment,
    environment_view,
    environment_views,
    place,
)
from bot.api.lockers import locker
from bot.api.operation import About, Call, Operation, Page
from bot.api.refusals import Code, conflict, unfit
from bot.domain.duration import duration
from bot.domain.environment import PRODUCTION, Environment, EnvironmentKind
from bot.domain.roles import Verb
from bot.intake.recipe_file import OWN_NAME, PREVIEW
from bot.previews import take_down
from bot.store import apps, domains, environments, places

TAG = "Environments"


def _list_environments(call: Call) -> Page:
    asked = call.asked(EnvironmentQuery)
    part, there = asked.part(""), places.live_in(call.tx, [call.of_app.id])
    found = [one for one in there if (one.environment.archived_at is not None) is asked.archived]
    return Page(environment_views(call, found[part.offset : part.offset + part.limit]), len(found))


def _read_environment(call: Call) -> EnvironmentView:
    return environment_view(call, place(call))


def _roll_back(call: Call) -> DeploymentView:
    given, environment = call.given(Rollback), place(call).environment
    refuse_archived(call.of_app)
    lifecycle = call.services.lifecycle
    made = lifecycle.rollback(
        call.writing,
        call.of_app,
        environment.name,
        word=given.release,
        by=call.principal.name,
        note=given.reason,
        heeds_lock=not locker(call).may_open(environment),
    )
    note_made(call, made, {"release": given.release, "reason": given.reason})
    return shown_again(call, made)


def _resume(call: Call) -> EnvironmentView:
    one = place(call).environment
    call.services.lifecycle.resume(call.writing, one, by=call.principal.name)
    call.note(f"environment {one.name}", {"pinned": one.pinned}, {"pinned": False})
    return environment_view(call, place(call))


def _create(call: Call) -> EnvironmentView:
    app, given = call.of_app, call.given(CreateEnvironment)
    refuse_archived(app)
    found = environments.by_name(call.tx, app.id, given.name)
    if found is not None and found.archived_at is None:
        raise conflict(
            Code.NAME_TAKEN, f"{app.slug} has an environment '{given.name}' already. Change it instead."
        )
    if given.name == PREVIEW:
        raise unfit("name", "Previews are made by pull requests; choose another name.")
    if given.name == PRODUCTION:
        raise unfit("name", "production is made by its first deployment. Change it instead.")
    if re.search(OWN_NAME, given.name) is None:
        raise unfit("name", "Such names are for previews and releases, or hyphens follow each other.")
    made = call.services.lifecycle.environment(call.writing, app, given.name, given.branch)
    changes: dict[str, Any] = {"archived_at": None, "archive_reason": None, "follows": given.branch}
    changes |= {"branch": given.branch, "manual": given.deploys == "manual"}
    environments.configure(call.tx, made.id, changes)
    call.note(f"environment {given.name}", after={"branch": given.branch, "deploys": given.deploys})
    return _shown(call, made)


def _update(call: Call) -> EnvironmentView:
    app, one, given = call.of_app, place(call).environment, call.given(UpdateEnvironment)
    changes: dict[str, Any] = {}
    if "deploys" in given.model_fields_set:
        changes["manual"] = given.deploys == "manual"
    if "branch" in given.model_fields_set:
        changes |= _followed(one, given.branch)
    after = environments.configure(call.tx, one.id, changes)
    before = {"branch": one.branch, "manual": one.manual}
    call.note(f"environment {one.name}", before, {"branch": after.branch, "manual": after.manual})
    if one.name == PRODUCTION and "branch" in changes:
        apps.change(call.tx, app.id, {"production_branch": changes["branch"]})
    return _shown(call, one)


def _followed(one: Environment, branch: str | None) -> dict[str, Any]:
    if one.kind is EnvironmentKind.PREVIEW:
        raise unfit("branch", f"{one.name} follows its pull request.")
    if one.name == PRODUCTION:
        if branch is None:
            raise unfit("branch", "production needs a branch.")
        return {"branch": branch}
    return {"follows": branch, "branch": branch or one.branch}


def _take_down(call: Call) -> EnvironmentView:
    one = place(call).environment
    if one.name == PRODUCTION:
        raise conflict(Code.CONFLICT, "production can't be taken down by itself. Archive and delete the app.")
    reason = f"taken down by {call.principal.name}"
    if take_down(call.writing, one, reason) is None:
        raise conflict(Code.ALREADY_ENDED, f"{one.name} is down already: {one.archive_reason}.")
    environments.configure(call.tx, one.id, {"follows": None})
    gone = domains.remove_all(call.tx, [one.id])
    call.note(f"environment {one.name}", {"domains": gone}, {"archived": True})
    return _shown(call, one)


def _shown(call: Call, one: Environment) -> EnvironmentView:
    call.path = {**call.path, "environment": str(one.id)}
    return environment_view(call, place(call))


def _lock(call: Call) -> EnvironmentView:
    given, one = call.given(Lock), place(call).environment
    length = duration(given.length) if given.length else None
    until = call.writing.now + length if length else None
    locked = locks.lock(call.writing, one, locker(call), reason=given.reason or "", until=until)
    call.note(f"environment {one.name}", {"lock": one.lock}, {"lock": locked.lock})
    return environment_view(call, place(call))


def _unlock(call: Call) -> EnvironmentView:
    one = place(call).environment
    locks.unlock(call.services.lifecycle, call.writing, one, locker(call))
    call.note(f"environment {one.name}", {"lock": one.lock}, {"lock": None})
    return environment_view(call, place(call))


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, **more)


_ENVIRONMENT = "/apps/{app}/environments/{environment}"
OPERATIONS = (
    _about(
        id="listEnvironments",
        method="GET",
        path="/apps/{app}/environments",
        summary="List an app's environments",
        verb=Verb.READ,
        handle=_list_environments,
        answer=EnvironmentView,
        lists=True,
        query=EnvironmentQuery,
        description="Those that are there, production first; with `archived` those that were taken down.",
    ),
    _about(
        id="getEnvironment",
        method="GET",
        path=_ENVIRONMENT,
        summary="Read an environment",
        verb=Verb.READ,
        handle=_read_environment,
        answer=EnvironmentView,
        description="By name or id.",
    ),
    _about(
        id="rollBack",
        method="POST",
        path=f"{_ENVIRONMENT}/rollback",
        summary="Bring back what was live before",
        verb=Verb.ROLLBACK,
        handle=_roll_back,
        answer=DeploymentView,
        body=Rollback,
        status=201,
        refusals={
            409: "There is nothing to bring back, the app is archived, or somebody else has locked it.",
            422: "There is no such release.",
        },
        description="Stops a running build, and pins the environment: automatic deploys wait until `resume`.",
    ),
    _about(
        id="resume",
        method="POST",
        path=f"{_ENVIRONMENT}/resume",
        summary="Let automatic deploys go on",
        verb=Verb.ROLLBACK,
        handle=_resume,
        answer=EnvironmentView,
    ),
    _about(
        id="createEnvironment",
        method="POST",
        path="/apps/{app}/environments",
        summary="Make an environment",
        verb=Verb.CONFIGURE,
        handle=_create,
        answer=EnvironmentView,
        body=CreateEnvironment,
        status=201,
        refusals={409: "There is one of that name, or the app is archived."},
        description="Pushes to its branch are brought there from now on; this wins over slipway.toml. One "
        "that was taken down comes back. Nothing is live there before its first deployment.",
    ),
    _about(
        id="updateEnvironment",
        method="PATCH",
        path=_ENVIRONMENT,
        summary="Change an environment",
        verb=Verb.CONFIGURE,
        handle=_update,
        answer=EnvironmentView,
        body=UpdateEnvironment,
        refusals={422: "It can't follow a branch."},
        description="With `deploys` `manual`, pushes are recorded as skipped and what is live stays. Back at "
        "`automatic`, the next push deploys.",
    ),
    _about(
        id="deleteEnvironment",
        method="DELETE",
        path=_ENVIRONMENT,
        summary="Take an environment down",
        verb=Verb.CONFIGURE,
        handle=_take_down,
        answer=EnvironmentView,
        refusals={409: "It is production, or down already."},
        description="Within two minutes nothing is shown there; its custom domains are removed. Its release "
        "is kept for seven days: a deployment brings it back.",
    ),
    _about(
        id="lockEnvironment",
        method="POST",
        path=f"{_ENVIRONMENT}/lock",
        summary="Lock an environment",
        verb=Verb.DEPLOY,
        handle=_lock,
        answer=EnvironmentView,
        body=Lock,
        refusals={409: "Somebody else has locked it."},
        description="Every deployment to it waits then, automatic or not, and says why; what runs may end. "
        "One's own lock is replaced.",
    ),
    _about(
        id="unlockEnvironment",
        method="DELETE",
        path=f"{_ENVIRONMENT}/lock",
        summary="Unlock an environment",
        verb=Verb.DEPLOY,
        handle=_unlock,
        answer=EnvironmentView,
        refusals={409: "Somebody else has locked it."},
        description="What waited for that goes on. Others' locks take the right `configure`.",
    ),
)
