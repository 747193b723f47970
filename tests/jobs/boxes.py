"""Boxes for tests: a folder to work in, a way to run a command there, and a look at what is left."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from bot.settings import Settings
from jobs.sandbox.box import Box, Limits, Mount, Outcome, Sandbox
from jobs.sandbox.bubblewrap import Bubblewrap
from jobs.sandbox.choose import choose
from jobs.sandbox.profile import SYSTEM_PATH

LIMITS = Limits(seconds=20, memory=512, processes=128, file_size=64)


@dataclass
class Bench:
    """A sandbox with a work folder; `run` gives the outcome, `said` what was printed so far."""

    sandbox: Sandbox
    work: Path
    name: str
    said: list[bytes] = field(default_factory=list[bytes])

    @property
    def text(self) -> str:
        return b"".join(self.said).decode()

    def box(
        self,
        *argv: str,
        limits: Limits = LIMITS,
        network: bool = True,
        environ: Mapping[str, str] | None = None,
    ) -> Box:
        return Box(
            name=self.name,
            argv=argv,
            directory="/build",
            limits=limits,
            mounts=[Mount(self.work, "/build", writable=True)],
            environ={"PATH": SYSTEM_PATH, **(environ or {})},
            network=network,
            user=self.sandbox.user(0),
        )

    def run(
        self,
        *argv: str,
        limits: Limits = LIMITS,
        network: bool = True,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Outcome:
        box = self.box(*argv, limits=limits, network=network)
        return self.sandbox.run(box, lambda _, chunk: self.said.append(chunk), stopped)

    def shell(self, script: str) -> str:
        """What a script prints to both streams; it may fail."""
        self.said.clear()
        self.run("sh", "-c", script)
        return self.text


def settings(home: Path, **values: str | int) -> Settings:
    return Settings.model_validate({"home": home, **values})


def working_bubblewrap(home: Path) -> Bubblewrap | None:
    chosen = choose(settings(home))
    return chosen if isinstance(chosen, Bubblewrap) else None


def own(folder: Path, sandbox: Sandbox) -> None:
    user = sandbox.user(0)
    if user is not None:
        os.chown(folder, user, user)


def processes_with(word: str) -> list[int]:
    """Pids of living processes that have a word in their command line."""
    found: list[int] = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and word in process.cmdline():
                found.append(process.pid)
        except psutil.Error:
            continue
    return found
