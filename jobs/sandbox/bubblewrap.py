"""Runs commands in boxes made by bubblewrap: namespaces of their own, and an unprivileged user."""

import os
import platform
import subprocess
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bot.errors import ErrorCode, PlatformError
from jobs.sandbox import cgroup, gateway, leftovers, processes, profile, runner, syscalls
from jobs.sandbox.box import Box, End, Gate, Outcome, Output

# A range that no registry hands out: systemd.io/UIDS-GIDS lists those that are.
FIRST_USER = 1_879_100_000
_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"


class Bubblewrap:
    """The sandbox for builds of people's code. As root, each slot has a user of its own."""

    name = "bubblewrap"

    def __init__(
        self, bwrap: profile.Bwrap, groups: cgroup.Groups | None, *, userns_off: bool = True
    ) -> None:
        self._bwrap = bwrap
        self._groups = groups
        self._userns_off = userns_off
        self.warning = None if groups else cgroup.WARNING
        self.unfit = _unfit(userns_off=userns_off)

    def user(self, slot: int) -> int | None:
        """The uid that a slot's boxes run as: one per slot for root, else Slipway's own."""
        return FIRST_USER + slot if os.geteuid() == 0 else None

    def run(self, box: Box, output: Output, stopped: Callable[[], bool]) -> Outcome:
        """Run a command to its end, its time-out, or until `stopped()` is true.

        Raises `PlatformError` SANDBOX_FAILED, and `ValueError` for a box of root without a user.
        """
        if os.geteuid() == 0 and not box.user:
            raise ValueError("a box that root starts needs a user")
        with ExitStack() as stack:
            group = stack.enter_context(cgroup.born(self._groups, box.name, box.limits))
            status, reported = os.pipe()
            stack.callback(os.close, status)
            latch = gateway.latch(stack) if box.gate is not None else None
            try:
                process = runner.launch(self._command(box, reported, stack, latch), box, group)
            finally:
                os.close(reported)
            inmates = _Inmates(process, box.name, group)
            if box.gate is not None and latch is not None:
                stack.enter_context(_served(box.gate, status, process, inmates))
                latch.let_go()
            watch = runner.Watch(box.limits.seconds, stopped)
            outcome = runner.follow(process, inmates, output, watch)
            return _judge(outcome, group, os.read(status, 4096))

    def sweep(self, prefix: str) -> int:
        """Kill whatever still runs in boxes whose name begins so; how many processes that were."""
        return leftovers.sweep(self._groups, prefix)

    def _command(
        self, box: Box, reported: int, stack: ExitStack, latch: gateway.Latch | None
    ) -> runner.Started:
        if box.user is None:
            reach, program = None, str(self._bwrap.path)
            hosts = [str(mount.host) for mount in box.mounts]
        else:
            reach, program, hosts = profile.reach(self._bwrap, box, box.user)
        sources = profile.Sources(
            passwd=_memory_file(stack, profile.PASSWD.encode()),
            group=_memory_file(stack, profile.GROUP.encode()),
            status=reported,
            latch=latch.held if latch else None,
            hosts=None if box.network else _memory_file(stack, profile.HOSTS.encode()),
            filter=None if box.network else _filter(stack),
        )
        inner = profile.arguments(box, hosts, sources, userns_off=self._userns_off)
        # Through a descriptor rather than argv, which everybody on the machine can read.
        told = _memory_file(stack, "".join(f"{argument}\0" for argument in inner).encode())
        return runner.Started(
            argv=[program, "--args", str(told), "--", *box.argv],
            # bwrap's own environment is what /proc/1/environ shows inside, whatever it clears.
            environ={"PATH": _PATH, processes.MARK: box.name},
            directory=Path("/"),
            reach=reach,
            descriptors=(told, *sources.descriptors),
        )


@dataclass(frozen=True)
class _Inmates:
    process: subprocess.Popen[bytes]
    name: str
    group: cgroup.Group | None

    def ask_to_end(self) -> None:
        # Never bwrap itself: its end is the immediate end of everybody inside.
        processes.signal_all(processes.inside(self.process.pid), processes.SIGTERM)

    def end(self) -> None:
        if self.group is not None:
            self.group.freeze_growth()
        processes.end_all(self._members)

    def _members(self) -> set[int]:
        first = {self.process.pid} if self.process.poll() is None else set[int]()
        if self.group is not None:
            return first | self.group.members()
        # With the first process of a pid namespace the kernel ends all others (pid_namespaces(7)),
        # and the first process carries the mark.
        return first | processes.marked(self.name.__eq__)


@contextmanager
def _served(gate: Gate, status: int, process: subprocess.Popen[bytes], inmates: _Inmates) -> Generator[None]:
    """The gate of a box that waits to begin. When it can't be opened, nothing of the box is left."""
    with ExitStack() as stack:
        try:
            listener = gateway.open_in(status)
            if listener is not None:
                stack.enter_context(gate.serve(listener))
        except BaseException:
            with process:
                inmates.end()
            raise
        yield


def _unfit(*, userns_off: bool) -> str | None:
    if not userns_off:
        # Within namespaces of its own a command reaches parts of the kernel that it otherwise does not.
        return "this bubblewrap can't close user namespaces"
    machine = platform.machine()
    return None if syscalls.program(machine) else f"no filter of system calls is known for {machine}"


def _filter(stack: ExitStack) -> int | None:
    program = syscalls.program(platform.machine())
    return None if program is None else _memory_file(stack, syscalls.encoded(program))


def _memory_file(stack: ExitStack, content: bytes) -> int:
    file = os.memfd_create("slipway")
    stack.callback(os.close, file)
    os.write(file, content)
    os.lseek(file, 0, os.SEEK_SET)
    return file


def _judge(outcome: Outcome, group: cgroup.Group | None, status: bytes) -> Outcome:
    if outcome.end is not End.EXITED or outcome.code == 0:
        return outcome
    if group is not None and group.out_of_memory():
        return replace(outcome, end=End.OUT_OF_MEMORY)
    if b'"exit-code"' not in status:
        reason = f"bubblewrap ended with code {outcome.code} before its command"
        raise PlatformError(ErrorCode.SANDBOX_FAILED, reason=reason)
    return outcome
