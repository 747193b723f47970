"""What tests of packaging stand on: a context over a temporary home, and a plan for its output."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from bot.domain.app import App
from bot.domain.deployment import Deployment, Kind, Phase, State, Trigger
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import AppId, DeploymentId, Digest, EnvironmentId, ProjectId, Sha, TenantId
from bot.settings import Settings
from jobs.artifacts.disk import DiskStore
from jobs.steps.context import Context, Plan
from tests.fakes.log import CollectedLog

_NOW = datetime(2026, 1, 2, tzinfo=UTC)
_APP = App(
    id=AppId(1),
    tenant_id=TenantId(1),
    project_id=ProjectId(1),
    slug="shop",
    repository="acme/shop",
    repository_id=None,
    clone_url="file:///nowhere",
    installation_id=None,
    production_branch="main",
    root_directory=".",
    build_command=None,
    output_directory=None,
    enabled=True,
    created_at=_NOW,
)
_ENVIRONMENT = Environment(
    id=EnvironmentId(7),
    app_id=AppId(1),
    name="production",
    kind=EnvironmentKind.PRODUCTION,
    branch="main",
    hostname="shop.localhost",
    active_release_id=None,
    active_deployment_id=None,
    activation=0,
    pinned=False,
    pin_reason=None,
    lease_holder=None,
    lease_token=0,
    lease_until=None,
)
_DEPLOYMENT = Deployment(
    id=DeploymentId(1),
    app_id=AppId(1),
    environment_id=EnvironmentId(7),
    kind=Kind.BUILD,
    trigger=Trigger.PUSH,
    state=State.RUNNING,
    phase=Phase.PACKAGE,
    sha=Sha("a" * 40),
    branch="main",
    message="",
    author="",
    reason="",
    requested_by="",
    delivery_id=None,
    release_id=None,
    superseded_by=None,
    failure=None,
    attempt=1,
    losses=0,
    version=1,
    announced=0,
    cancel_requested=False,
    created_at=_NOW,
    started_at=_NOW,
    finished_at=None,
)


def _ignore(_phase: Phase, _command: str, _code: int) -> None:
    pass


@dataclass
class Bench:
    """A home, an output directory in it, and the log of the last context."""

    home: Path
    stop: bool = False
    log: CollectedLog = field(default_factory=CollectedLog)

    @property
    def output(self) -> Path:
        return self.home / "work" / "dist"

    @property
    def artifacts(self) -> Path:
        return self.home / "artifacts"

    @property
    def store(self) -> DiskStore:
        return DiskStore(self.artifacts)

    def context(self, **settings: int) -> Context:
        """A fresh context with an empty log."""
        self.log = CollectedLog()
        return Context(
            app=_APP,
            environment=_ENVIRONMENT,
            deployment=_DEPLOYMENT,
            settings=Settings.model_validate({"home": self.home, **settings}),
            log=self.log,
            workspace=self.home / "work",
            stopped=lambda: self.stop,
            ran=_ignore,
        )

    def said(self) -> str:
        """All lines that were said."""
        return "\n".join(text for _, _, text in self.log.lines)


def plan(*, output: str = "dist", build: tuple[str, ...] = ("make",)) -> Plan:
    """A plan whose output is built, or without `build`, plain source."""
    return Plan(
        framework="plain",
        evidence=(),
        package_manager=None,
        install=(),
        build=build,
        output=output,
        lock_files=(),
        spa=False,
        key=Digest("0" * 64),
    )
