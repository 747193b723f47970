"""Contexts for steps: an app, an environment and a deployment, and a log that keeps its lines."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bot.domain.app import App
from bot.domain.deployment import Deployment, Kind, Phase, State, Trigger
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import AppId, DeploymentId, EnvironmentId, ProjectId, Sha, TenantId
from bot.settings import Settings
from jobs.steps.context import Context
from tests.fakes.log import CollectedLog

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def make_app(clone_url: str, **changes: Any) -> App:
    values: dict[str, Any] = {
        "id": AppId(1),
        "tenant_id": TenantId(1),
        "project_id": ProjectId(1),
        "slug": "shop",
        "repository": "acme/shop",
        "repository_id": None,
        "clone_url": clone_url,
        "installation_id": None,
        "production_branch": "main",
        "root_directory": "",
        "build_command": None,
        "output_directory": None,
        "enabled": True,
        "created_at": MOMENT,
    }
    return App(**{**values, **changes})


def make_deployment(sha: Sha, branch: str | None = "main") -> Deployment:
    return Deployment(
        id=DeploymentId(1),
        app_id=AppId(1),
        environment_id=EnvironmentId(1),
        kind=Kind.BUILD,
        trigger=Trigger.PUSH,
        state=State.RUNNING,
        phase=Phase.CHECKOUT,
        sha=sha,
        branch=branch,
        message="a change",
        author="somebody",
        reason="",
        requested_by="somebody",
        delivery_id=None,
        release_id=None,
        superseded_by=None,
        failure=None,
        attempt=1,
        losses=0,
        version=1,
        announced=0,
        cancel_requested=False,
        created_at=MOMENT,
        started_at=MOMENT,
        finished_at=None,
    )


def make_environment(name: str = "production", hostname: str = "shop.localhost") -> Environment:
    kind = EnvironmentKind.PRODUCTION if name == "production" else EnvironmentKind.BRANCH
    return Environment(
        id=EnvironmentId(1),
        app_id=AppId(1),
        name=name,
        kind=kind,
        branch="main",
        hostname=hostname,
        active_release_id=None,
        active_deployment_id=None,
        activation=0,
        pinned=False,
        pin_reason=None,
        lease_holder=None,
        lease_token=1,
        lease_until=None,
    )


def make_context(
    home: Path,
    app: App,
    sha: Sha,
    *,
    log: CollectedLog | None = None,
    environment: Environment | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Context:
    kept = log or CollectedLog()
    return Context(
        app=app,
        environment=environment or make_environment(),
        deployment=make_deployment(sha),
        settings=Settings(home=home),  # pyright: ignore[reportCallIssue]
        log=kept,
        workspace=home / "workspace",
        stopped=stopped,
        ran=lambda phase, command, code: kept.say(phase, f"ran {command}: {code}"),
    )
