"""What happened lately, for people: deployments, releases that went live, and changes."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from bot.api.audit import TAG, named_apps
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation
from bot.api.patterns import CURSOR
from bot.api.reading import is_word
from bot.api.refusals import not_found
from bot.domain.audit import Row
from bot.domain.deployment import UNKNOWN_COMMIT, Deployment, State
from bot.domain.ids import AppId, ProjectId, TenantId, reference
from bot.domain.roles import Verb
from bot.store import audit_pages, pages, people
from bot.store.audit_pages import AuditFilter
from bot.store.pages import DeploymentFilter, Shown
from bot.wording import first_line

# Their deployments tell of these; and nobody wants to read of sign-ins.
_TOLD_ELSEWHERE = tuple(
    "createDeployment retryDeployment cancelDeployment deployHook rollBack activateRelease console.signed-in "
    "console.sign-in-refused deployment.requested deployment.cancelled deployment.rolled-back".split()
)


class ActivityEntry(Model):
    """One thing that happened."""

    id: str = Field(examples=["DEP-12"])
    kind: Literal["deployment", "release", "change"] = Field(examples=["release"])
    """`release`: a deployment that is, or was, live."""
    at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    actor: str = Field(examples=["mona"])
    app: str | None = Field(examples=["shop"])
    environment: str | None = Field(examples=["production"])
    deployment: str | None = Field(examples=["DEP-12"])
    status: str | None = Field(examples=["succeeded"])
    text: str = Field(examples=["mona brought amber-otter-42 into production of shop: Add prices"])


class ActivityPage(Model):
    """A part of the feed, newest first."""

    entries: list[ActivityEntry]
    next: str | None = Field(examples=["d12.c1042"])
    """What `before` has to be for the next part; null at the end."""


class AppActivityQuery(Model):
    """Which part of the feed."""

    before: Annotated[str, Field(pattern=CURSOR, examples=["d12.c1042"])] | None = None
    """The `next` of the part before."""
    limit: Annotated[int, Field(ge=1, le=100, examples=[20])] = 20


class ActivityQuery(AppActivityQuery):
    """Which part of the feed, of which project."""

    project: Annotated[str, Field(min_length=1, max_length=200, examples=["default"])] | None = None
    """Id or slug of a project of the organisation."""


def _of_tenant(call: Call) -> ActivityPage:
    asked = call.asked(ActivityQuery)
    tenant = call.tenant.id if call.tenant else None
    project = None if asked.project is None else _project(call, asked.project)
    return _page(call, asked, tenant=tenant, project=project, app=None)


def _of_app(call: Call) -> ActivityPage:
    asked = call.asked(AppActivityQuery)
    return _page(call, asked, tenant=call.of_app.tenant_id, project=None, app=call.of_app.id)


def _project(call: Call, word: str) -> ProjectId:
    known = call.tenant is not None and is_word(word)
    found = people.project(call.tx, call.of_tenant.id, word) if known else None
    if found is None:
        raise not_found("project", word)
    return found.id


def _page(
    call: Call,
    asked: AppActivityQuery,
    *,
    tenant: TenantId | None,
    project: ProjectId | None,
    app: AppId | None,
) -> ActivityPage:
    match = re.fullmatch(CURSOR, asked.before or "")
    below = (int(match[1]), int(match[2])) if match else (None, None)
    scope: dict[str, Any] = {"tenant_id": tenant, "project_id": project, "app_id": app}
    limit = asked.limit + 1
    deployed = pages.newest_deployments(call.tx, DeploymentFilter(**scope), below=below[0], limit=limit)
    which = AuditFilter(**scope, besides=_TOLD_ELSEWHERE)
    changed = audit_pages.newest(call.tx, which, below=below[1], limit=limit)
    slugs = named_apps(call, changed)
    entries = [
        *((one.deployment.created_at, one.deployment.id, _deployment(one)) for one in deployed),
        *((one.at, one.id, _change(one, slugs)) for one in changed),
    ]
    shown = sorted(entries, key=lambda one: one[0], reverse=True)[: asked.limit]
    lows = {"d": below[0] or 10**15 - 1, "c": below[1] or 10**15 - 1}
    for _, number, entry in shown:
        letter = "c" if entry.kind == "change" else "d"
        lows[letter] = min(lows[letter], number)
    following = f"d{lows['d']}.c{lows['c']}" if len(entries) > len(shown) else None
    return ActivityPage(entries=[entry for _, _, entry in shown], next=following)


def _deployment(one: Shown) -> ActivityEntry:
    made = one.deployment
    is_release = made.state is State.SUCCEEDED
    actor = made.requested_by or made.author or "slipway"
    return ActivityEntry(
        id=reference(made.id),
        kind="release" if is_release else "deployment",
        at=made.created_at,
        actor=actor,
        app=one.app,
        environment=one.environment,
        deployment=reference(made.id),
        status=made.state,
        text=f"{actor} {_did(one, made)}",
    )


def _did(one: Shown, made: Deployment) -> str:
    where = f"{one.environment} of {one.app}"
    about = f": {line}" if (line := first_line(made.message)) else ""
    if made.state is State.SUCCEEDED:
        return f"brought {one.release or made.sha[:7]} into {where}{about}"
    wanted = made.sha[:7] if made.sha != UNKNOWN_COMMIT else made.tag or made.branch or "a deployment"
    return f"asked for {wanted} in {where}, {made.state}{about}"


def _change(row: Row, slugs: dict[AppId, str]) -> ActivityEntry:
    act = row.act
    done = re.sub(r"(?<=[a-z])([A-Z])", lambda found: f" {found[1].lower()}", act.action).replace(".", " ")
    return ActivityEntry(
        id=f"change-{row.id}",
        kind="change",
        at=row.at,
        actor=act.actor,
        app=slugs.get(act.app_id) if act.app_id is not None else None,
        environment=None,
        deployment=None,
        status=None,
        text=f"{act.actor}: {done} ({first_line(act.subject)})",
    )


OPERATIONS = (
    Operation(
        id="getActivity",
        method="GET",
        path="/activity",
        summary="Read what happened lately",
        tag=TAG,
        about=About.TENANT,
        verb=Verb.READ,
        handle=_of_tenant,
        answer=ActivityPage,
        query=ActivityQuery,
        refusals={404: "There is no such project."},
    ),
    Operation(
        id="getAppActivity",
        method="GET",
        path="/apps/{app}/activity",
        summary="Read what happened lately to an app",
        tag=TAG,
        about=About.APP,
        verb=Verb.READ,
        handle=_of_app,
        answer=ActivityPage,
        query=AppActivityQuery,
    ),
)
