"""What tests of packaging stand on: a context over a temporary home, and a plan for its output."""

from dataclasses import dataclass, field
from pathlib import Path

from bot.domain.deployment import Phase
from bot.domain.ids import Digest, Sha
from bot.settings import Settings
from jobs.artifacts.disk import DiskStore
from jobs.steps.context import Context, Plan
from tests.fakes.contexts import make_app, make_deployment, make_environment
from tests.fakes.log import CollectedLog


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
            app=make_app("file:///nowhere"),
            environment=make_environment(),
            deployment=make_deployment(Sha("a" * 40)),
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
