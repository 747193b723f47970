"""Follows a started command to its end: streams what it prints, and ends it when it must end."""

import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from jobs.sandbox import processes
from jobs.sandbox.box import MIB, Box, End, Outcome, Output
from jobs.sandbox.cgroup import Group
from jobs.sandbox.profile import Reach

CHUNK = 64 * 1024
TICK = 0.1
# What a stopped build is given to end by itself; with the kill it stays well below 5 s.
GRACE = 2.0
_LAUNCHER = Path(__file__).with_name("launch.py")
NICE = 19
_OPEN_FILES = 65_536


class Inmates(Protocol):
    """The processes of a running box."""

    def ask_to_end(self) -> None:
        """Send SIGTERM to what runs inside."""
        ...

    def end(self) -> None:
        """Kill all, and look that nothing is left."""
        ...


@dataclass(frozen=True)
class Started:
    """What is started: the command, its variables, inherited descriptors, another user's reach."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    directory: Path
    descriptors: Sequence[int] = ()
    reach: Reach | None = None


def launch(what: Started, box: Box, group: Group | None) -> subprocess.Popen[bytes]:
    """Start a command in its cgroups and with its limits."""
    limits = {
        "RLIMIT_FSIZE": box.limits.file_size * MIB,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": _OPEN_FILES,
    }
    if group is None:
        user = os.getuid() if box.user is None else box.user
        limits["RLIMIT_NPROC"] = box.limits.processes + processes.threads_of(user)
    folders = [] if group is None else [str(folder) for folder in group.folders]
    order = {
        "parent": os.getpid(),
        "cgroups": folders,
        "nice": NICE,
        "limits": limits,
        "reach": asdict(what.reach) if what.reach else None,
    }
    return subprocess.Popen(
        [sys.executable, "-I", "-S", str(_LAUNCHER), json.dumps(order), *what.argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=what.directory,
        env=dict(what.environ),
        pass_fds=tuple(what.descriptors),
        start_new_session=True,
    )


@dataclass(frozen=True)
class Watch:
    """When a command must end before it ends by itself."""

    seconds: int
    stopped: Callable[[], bool]


def follow(process: subprocess.Popen[bytes], inmates: Inmates, output: Output, watch: Watch) -> Outcome:
    """Stream until the command ends or must end. Afterwards nothing of the box is left.

    A child that outlives the command and holds its pipes does not keep this waiting.
    """
    with process, selectors.DefaultSelector() as selector:
        pipes = _Pipes(process, selector, output)
        try:
            end = _until_end(process, pipes, watch)
            if end is not End.EXITED:
                inmates.ask_to_end()
                pipes.pump(lambda: process.poll() is not None, GRACE)
        finally:
            inmates.end()
            process.wait()
        pipes.pump(lambda: False, 1.0, wait=False)
        code = process.returncode
    return Outcome(end, code if code >= 0 else 128 - code)


def _until_end(process: subprocess.Popen[bytes], pipes: "_Pipes", watch: Watch) -> End:
    deadline = time.monotonic() + watch.seconds
    while True:
        pipes.pump(lambda: process.poll() is not None, TICK)
        if process.poll() is not None:
            return End.EXITED
        if watch.stopped():
            return End.STOPPED
        if time.monotonic() >= deadline:
            return End.TIMED_OUT


class _Pipes:
    def __init__(
        self, process: subprocess.Popen[bytes], selector: selectors.BaseSelector, output: Output
    ) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self._selector = selector
        self._output = output
        for stream, pipe in (("stdout", process.stdout), ("stderr", process.stderr)):
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe.fileno(), selectors.EVENT_READ, stream)

    def pump(self, done: Callable[[], bool], seconds: float, *, wait: bool = True) -> None:
        """Hand on what is printed, for some seconds or until done; without `wait`, until all is read.

        One chunk is held at a time: a command that prints faster than the output is taken has to wait.
        """
        deadline = time.monotonic() + seconds
        while not done() and (left := deadline - time.monotonic()) > 0:
            if not self._selector.get_map():
                if not wait:
                    return
                time.sleep(min(left, 0.005))
                continue
            ready = self._selector.select(min(left, TICK) if wait else 0)
            if not ready and not wait:
                return
            for key, _ in ready:
                self._read(key)

    def _read(self, key: selectors.SelectorKey) -> None:
        try:
            chunk = os.read(key.fd, CHUNK)
        except BlockingIOError:
            return
        if chunk:
            self._output(key.data, chunk)
        else:
            self._selector.unregister(key.fd)
