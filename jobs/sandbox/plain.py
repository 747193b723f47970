"""Runs commands without a sandbox: a clean environment and limits, but no walls."""

import os
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from jobs.sandbox import cgroup, leftovers, processes, runner
from jobs.sandbox.box import Box, End, Mount, Outcome, Output


class Plain:
    """No sandbox. Paths inside are translated to the machine's; everything else is in reach."""

    name = "none"

    def __init__(self, groups: cgroup.Groups | None, reason: str) -> None:
        self._groups = groups
        self.warning: str | None = (
            f"Builds run without a sandbox ({reason}): they can read and change whatever Slipway's own "
            "user can. Build only code that you trust."
        )
        self.unfit: str | None = reason

    def user(self, slot: int) -> int | None:  # noqa: ARG002 - the protocol's parameter
        """None: everything runs as Slipway's own user."""
        return None

    def run(self, box: Box, output: Output, stopped: Callable[[], bool]) -> Outcome:
        """Run a command to its end, its time-out, or until `stopped()` is true."""
        with cgroup.born(self._groups, box.name, box.limits) as group:
            environ = {name: _outside(text, box.mounts) for name, text in box.environ.items()}
            started = runner.Started(
                argv=box.argv,
                environ={**environ, processes.MARK: box.name},
                directory=Path(_outside(box.directory, box.mounts)),
            )
            process = runner.launch(started, box, group)
            watch = runner.Watch(box.limits.seconds, stopped)
            outcome = runner.follow(process, _Inmates(process, box.name, group), output, watch)
            if outcome.end is End.EXITED and outcome.code != 0 and group and group.out_of_memory():
                return replace(outcome, end=End.OUT_OF_MEMORY)
            return outcome

    def sweep(self, prefix: str) -> int:
        """Kill whatever still runs in boxes whose name begins so; how many processes that were."""
        return leftovers.sweep(self._groups, prefix)


@dataclass(frozen=True)
class _Inmates:
    process: subprocess.Popen[bytes]
    name: str
    group: cgroup.Group | None

    def ask_to_end(self) -> None:
        processes.signal_all(self._members(), processes.SIGTERM)

    def end(self) -> None:
        if self.group is not None:
            self.group.freeze_growth()
        processes.end_all(self._members)

    def _members(self) -> set[int]:
        first = {self.process.pid} if self.process.poll() is None else set[int]()
        grouped = self.group.members() if self.group is not None else processes.in_session(self.process.pid)
        return first | grouped | processes.marked(self.name.__eq__)


def _outside(text: str, mounts: Sequence[Mount]) -> str:
    # A value may be a list of paths, as PATH is.
    return os.pathsep.join(_path_outside(part, mounts) for part in text.split(os.pathsep))


def _path_outside(path: str, mounts: Sequence[Mount]) -> str:
    for mount in sorted(mounts, key=lambda one: -len(one.inside)):
        if path == mount.inside or path.startswith(f"{mount.inside}/"):
            return f"{mount.host}{path.removeprefix(mount.inside)}"
    return path
