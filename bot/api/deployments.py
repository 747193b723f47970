"""Deployments: asking for them, watching them, stopping them."""

from typing import Annotated, Any, Literal

from pydantic import Field

from bot import render
from bot.api.deployment_views import (
    DeploymentDetail,
    DeploymentView,
    EventView,
    FailureView,
    LineView,
    LogView,
    row,
    sentence,
    view,
)
from bot.api.envelope import Model
from bot.api.frames import StreamQuery
from bot.api.lean import Lean, lean
from bot.api.locate import apps_of
from bot.api.operation import About, Call, Operation, Page, Searching
from bot.api.patterns import BEGINNING, STATUSES
from bot.api.queue import place_view, places
from bot.api.reading import is_word
from bot.api.refusals import not_found, unfit
from bot.api.step_views import step_views
from bot.domain.app import App
from bot.domain.deployment import Deployment, Kind, Phase, State
from bot.domain.ids import reference
from bot.domain.roles import Verb
from bot.logs.line import OURS
from bot.store import deployments, environments, pages, people, steps
from bot.store.pages import DeploymentFilter

TAG = "Deployments"
_STATES = ",".join(State)
_DECISIVE = 20
_TAIL = 400
_LOG = lean(LogView)


class DeploymentQuery(Searching):
    """Which deployments."""

    environment: Annotated[str, Field(max_length=100, examples=["production"])] | None = None
    """Its name; among one app's deployments also its id, or `pr-12`."""
    kind: Kind | None = Field(default=None, examples=["rollback"])
    """`rollback`: what brought a release that existed; nothing was built."""
    status: Annotated[str, Field(pattern=STATUSES, examples=["failed,cancelled"])] | None = None
    """One or several, with commas between: held, queued, running, cancelling, succeeded, failed, cancelled,
    superseded, skipped, rejected."""
    branch: Annotated[str, Field(max_length=250, examples=["main"])] | None = None
    commit: Annotated[str, Field(pattern=BEGINNING, examples=["5c1f0a3"])] | None = None
    """Its id, or how it begins."""
    sort: Literal["createdAt", "-createdAt"] = Field(default="-createdAt", examples=["-createdAt"])


class AllDeploymentsQuery(DeploymentQuery):
    """Which deployments of all apps."""

    app: Annotated[str, Field(min_length=1, max_length=200, examples=["shop"])] | None = None
    """Those of one app, by id or slug."""
    project: Annotated[str, Field(min_length=1, max_length=200, examples=["default"])] | None = None
    """Those of one project of the organisation, by id or slug."""


class DetailQuery(Model):
    """What else of a deployment."""

    log: bool = Field(default=False, examples=[False])
    """With the end of what each step said, as `log` of `steps`."""


class LogQuery(Model):
    """Which part of a log."""

    after: int = Field(default=0, ge=0, le=10**12, examples=[0])
    """Only lines behind this number."""
    limit: int = Field(default=500, ge=1, le=2000, examples=[500])
    step: Phase | None = Field(default=None, examples=["build"])
    """Only what this step said, in all its attempts."""


def _list_all(call: Call) -> Page:
    asked = call.asked(AllDeploymentsQuery)
    if asked.app is not None:
        call.app = _app(call, asked.app)
    if asked.project is not None:
        known = call.tenant is not None and is_word(asked.project)
        call.project = people.project(call.tx, call.of_tenant.id, asked.project) if known else None
        if call.project is None:
            raise not_found("project", asked.project)
    return _list(call)


def _app(call: Call, word: str) -> App:
    for found in apps_of(call.tx, word) if is_word(word) else ():
        if call.tenant is None or found.tenant_id == call.tenant.id:
            return found
    raise not_found("app", word)


def _list(call: Call) -> Page:
    asked = call.asked(DeploymentQuery)
    states = [word for word in (asked.status or "").split(",") if word]
    if unknown := [word for word in states if word not in list(State)]:
        raise unfit("status", f"'{unknown[0]}' is no status; choose of {_STATES}.")
    wanted = DeploymentFilter(
        tenant_id=call.tenant.id if call.tenant else None,
        project_id=call.project.id if call.project else None,
        app_id=call.app.id if call.app else None,
        environment=_environment(call, asked.environment),
        states=[State(word) for word in states],
        branch=asked.branch,
        sha=asked.commit,
        search=asked.search,
        kind=asked.kind,
    )
    found = pages.deployments_page(call.tx, wanted, asked.part(asked.sort))
    return Page([row(**view(call, one)) for one in found.rows], found.total)


def _environment(call: Call, word: str | None) -> str | None:
    found = environments.by_word(call.tx, call.app.id, word) if word and call.app else None
    return found.name if found else word


def _read(call: Call) -> DeploymentDetail:
    one = call.of_deployment.deployment
    done = step_views(call, steps.of_deployment(call.tx, one.id), has_log=call.asked(DetailQuery).log)
    events = [EventView(status=event.state, reason=event.reason, at=event.at) for event in _events(call, one)]
    turn = places(call).get(one.id) if one.state is State.QUEUED else None
    return DeploymentDetail(
        **view(call, call.of_deployment), queue=place_view(turn), steps=done, events=events
    )


def _events(call: Call, one: Deployment) -> list[deployments.Event]:
    return deployments.events(call.tx, one.id)


def _failure(call: Call) -> FailureView:
    one = call.of_deployment.deployment
    if one.failure is None:
        raise not_found("failure of", reference(one.id))
    text = render.message_or(one.failure.code, one.failure.facts, sentence(one.failure))
    said, _, advice = text.partition("\n")
    found = [step for step in steps.of_deployment(call.tx, one.id) if step.state == "failed"]
    failed = found[-1] if found else None
    return FailureView(
        reference=reference(one.id),
        phase=failed.name if failed else one.phase,
        code=one.failure.code,
        blame=one.failure.blame.value,
        message=said.strip(),
        advice=advice.strip(),
        command=failed.command if failed else None,
        exit_code=failed.exit_code if failed else None,
        lines=_decisive(call, one, failed.name if failed else None),
    )


def _decisive(call: Call, one: Deployment, step: str | None) -> list[LineView]:
    tail = call.services.logs.tail(one.id, _TAIL)
    lines = [line for line in tail if line.stream != OURS and step in (None, line.step)]
    return [LineView(**vars(line)) for line in lines[-_DECISIVE:]]


def _logs(call: Call) -> Lean:
    asked, logs, one = call.asked(LogQuery), call.services.logs, call.of_deployment.deployment
    # Asked first: what is complete now can't lack a line that is read afterwards.
    complete = logs.is_complete(one.id)
    lines = logs.page(one.id, asked.after, asked.limit, asked.step)
    return _LOG(
        # Lines have the fields of `LineView`, and are sent as they are.
        lines=lines,
        next=lines[-1].n if lines else asked.after,
        is_complete=complete and len(lines) < asked.limit,
    )


def _nothing(_call: Call) -> None:
    """What streams is answered elsewhere."""


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.DEPLOYMENT, **more)


OPERATIONS = (
    Operation(
        id="listDeployments",
        method="GET",
        path="/deployments",
        summary="List deployments of all apps",
        tag=TAG,
        about=About.TENANT,
        verb=Verb.READ,
        handle=_list_all,
        answer=DeploymentView,
        lists=True,
        query=AllDeploymentsQuery,
        refusals={422: "A status is none."},
    ),
    Operation(
        id="listAppDeployments",
        method="GET",
        path="/apps/{app}/deployments",
        summary="List an app's deployments",
        tag=TAG,
        about=About.APP,
        verb=Verb.READ,
        handle=_list,
        answer=DeploymentView,
        lists=True,
        query=DeploymentQuery,
        refusals={422: "A status is none."},
    ),
    _about(
        id="getDeployment",
        method="GET",
        path="/deployments/{deployment}",
        summary="Read a deployment",
        verb=Verb.READ,
        handle=_read,
        answer=DeploymentDetail,
        query=DetailQuery,
    ),
    _about(
        id="getFailure",
        method="GET",
        path="/deployments/{deployment}/failure",
        summary="Read why it failed",
        verb=Verb.READ,
        handle=_failure,
        answer=FailureView,
        description="404 when the deployment did not fail.",
    ),
    _about(
        id="getLogs",
        method="GET",
        path="/deployments/{deployment}/logs",
        summary="Read a part of its log",
        verb=Verb.READ,
        handle=_logs,
        answer=LogView,
        query=LogQuery,
    ),
    _about(
        id="streamDeployment",
        method="GET",
        path="/deployments/{deployment}/stream",
        summary="Follow its log and state",
        verb=Verb.READ,
        handle=_nothing,
        streams=True,
        query=StreamQuery,
        description="Server-Sent Events. Each `data` is a JSON object with a `type`: `log` (`n`, `at`, "
        "`step`, `stream`, `text`; the number is the event's id), `status` (`deployment`, `status`, "
        "`reason`, `phase`, `attempt`, `startedAt`, `finishedAt` and `steps`), and at the end `done`, which "
        "has the first three and the times. To go on after a break send `Last-Event-ID`, or `?after=`, "
        "with the last number.",
    ),
)
