"""Whether a deployment to an environment can be expected to work now, point by point."""

import shutil
from typing import Any, Literal

from pydantic import Field

from bot import render, required
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation
from bot.api.variable_scope import environment_of
from bot.domain.app import App
from bot.domain.deployment import Deployment, State
from bot.domain.environment import Environment, EnvironmentKind, kind_of
from bot.domain.ids import reference
from bot.domain.roles import Verb
from bot.errors import ErrorCode
from bot.required import Required
from bot.store import deployments

Level = Literal["ok", "warn", "fail"]
_GIB = 1024**3
_FAIL_BELOW, _WARN_BELOW = _GIB // 4, 2 * _GIB
_LOOKED_AT = 10
_REPOSITORY = {
    ErrorCode.REPOSITORY_UNREACHABLE,
    ErrorCode.REPOSITORY_SILENT,
    ErrorCode.BRANCH_GONE,
    ErrorCode.COMMIT_GONE,
}
_SANDBOX = {ErrorCode.SANDBOX_FAILED}
_ORDER: tuple[Level, ...] = ("fail", "warn", "ok")


class CheckView(Model):
    """One point."""

    name: str = Field(examples=["worker"])
    status: Level = Field(examples=["ok"])
    message: str = Field(examples=["A worker takes deployments."])


class ReadinessView(Model):
    """What speaks for and against a deployment now."""

    environment: str = Field(examples=["production"])
    ready: bool = Field(examples=[True])
    """Whether nothing fails."""
    status: Level = Field(examples=["ok"])
    """The worst of all."""
    checks: list[CheckView]
    missing_variables: list[str] = Field(examples=[["API_URL"]])
    """Names of variables that builds need and that do not count here: a deployment would fail early."""


def _read(call: Call) -> ReadinessView:
    word = call.path["environment"]
    environment = environment_of(call, word)
    name, kind = (environment.name, environment.kind) if environment else (word, kind_of(word))
    newest = deployments.latest(call.tx, _LOOKED_AT, environment=environment.id) if environment else []
    needed = required.of(call.tx, call.of_app, environment, kind)
    checks = [
        _app(call),
        _worker(call),
        _repository(newest),
        _sandbox(call, newest),
        _disk(call),
        _variables(call.of_app, name, kind, needed),
        _environment(environment) if environment else _unmade(name),
        _work(newest),
    ]
    found = {one.status for one in checks}
    worst: Level = next(level for level in _ORDER if level in found)
    return ReadinessView(
        environment=name,
        ready=worst != "fail",
        status=worst,
        checks=checks,
        missing_variables=list(needed.missing),
    )


def _app(call: Call) -> CheckView:
    app = call.of_app
    if app.archived_at is not None:
        return _check("app", "fail", f"{app.slug} is archived. Bring it back: POST .../unarchive.")
    if not app.enabled:
        return _check("app", "warn", f"Pushes to {app.slug} do not deploy (enabled is false); asking does.")
    return _check("app", "ok", f"{app.slug} takes deployments.")


def _worker(call: Call) -> CheckView:
    if call.services.lifecycle.has_worker():
        return _check("worker", "ok", "A worker takes deployments.")
    text = "No worker is heard of. Deployments wait until one is started: slipway worker, or slipway up."
    return _check("worker", "fail", text)


def _repository(newest: list[Deployment]) -> CheckView:
    for one in newest:
        if one.failure is not None and one.failure.code in _REPOSITORY:
            said = render.sentence_or(one.failure.code, one.failure.facts, "The repository can't be read.")
            return _check("repository", "warn", f"At {reference(one.id)}: {said}")
        if one.state is State.SUCCEEDED:
            return _check("repository", "ok", f"It was read last for {reference(one.id)}.")
    return _check("repository", "ok", "It was not read for this environment yet.")


def _sandbox(call: Call, newest: list[Deployment]) -> CheckView:
    if call.services.settings.sandbox == "none":
        text = "Builds run without a box (SANDBOX=none): they can read what the worker can read."
        return _check("sandbox", "warn", text)
    last = next((one for one in newest if one.state in (State.SUCCEEDED, State.FAILED)), None)
    if last is not None and last.failure is not None and last.failure.code in _SANDBOX:
        return _check(
            "sandbox", "fail", f"{reference(last.id)} found no box to build in; see slipway doctor."
        )
    return _check("sandbox", "ok", "Builds run in a box.")


def _disk(call: Call) -> CheckView:
    free = shutil.disk_usage(call.services.settings.home).free
    said = f"{free / _GIB:.1f} GiB are free where Slipway keeps its things."
    status: Level = "fail" if free < _FAIL_BELOW else "warn" if free < _WARN_BELOW else "ok"
    return _check("disk", status, said)


def _variables(app: App, environment: str, kind: EnvironmentKind, needed: Required) -> CheckView:
    if needed.missing:
        names = ", ".join(needed.missing)
        text = (
            f"Builds need variables that do not count in {environment}: {names}. Set them: PATCH "
            f'/apps/{app.slug}/variables with appliesTo "{kind}", or '
            f"slipway variables set {needed.missing[0]} --app {app.slug} --for {kind}."
        )
        return _check("variables", "fail", text)
    if not needed.names:
        return _check("variables", "ok", "No variables are known to be required (required_variables).")
    return _check("variables", "ok", f"What builds need is set: {', '.join(needed.names)}.")


def _unmade(name: str) -> CheckView:
    return _check("environment", "ok", f"{name} is made by its first deployment.")


def _environment(one: Environment) -> CheckView:
    if one.archived_at is not None:
        return _check(
            "environment", "warn", f"{one.name} is down ({one.archive_reason}); deploying brings it back."
        )
    if one.pinned:
        why = one.pin_reason or "pinned"
        return _check("environment", "warn", f"Pushes wait: {why}. Asking deploys; resume lets pushes go on.")
    if one.manual:
        return _check("environment", "ok", f"{one.name} is deployed by hand: pushes are skipped.")
    return _check("environment", "ok", f"{one.name} is open.")


def _work(newest: list[Deployment]) -> CheckView:
    open_there = [one for one in newest if not one.state.is_final]
    if not open_there:
        return _check("work", "ok", "Nothing runs or waits here.")
    named = ", ".join(f"{reference(one.id)} ({one.state})" for one in open_there[:3])
    return _check(
        "work", "warn", f"{named}: a new deployment takes the place of what waits, behind what runs."
    )


def _check(name: str, status: Level, message: str) -> CheckView:
    return CheckView(name=name, status=status, message=message)


def _about(**more: Any) -> Operation:
    return Operation(tag="Environments", about=About.APP, **more)


OPERATIONS = (
    _about(
        id="getReadiness",
        method="GET",
        path="/apps/{app}/environments/{environment}/readiness",
        summary="Ask whether a deployment would work",
        verb=Verb.READ,
        handle=_read,
        answer=ReadinessView,
        description="What is known without asking git: a repository counts as it was found last, and the "
        "variables that are required as the app's build configuration names them, else the commit that was "
        "planned here last, else in production.",
    ),
)
