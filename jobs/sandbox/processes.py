"""Finding and ending the processes of a box, also those that left their session and their parents."""

import contextlib
import os
import time
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals

import psutil

from bot.errors import ErrorCode, PlatformError

__all__ = ["MARK", "SIGTERM", "end_all", "in_session", "inside", "marked", "signal_all", "threads_of"]

MARK = "SLIPWAY_BOX"
"""Environment variable that names the box that a process belongs to."""
_PATIENCE = 4.0


def marked(matches: Callable[[str], bool]) -> set[int]:
    """Pids of the living processes whose mark matches."""
    return {pid for pid in psutil.pids() if (name := _mark(pid)) is not None and matches(name)}


def in_session(leader: int) -> set[int]:
    """Pids of the processes in a session."""
    return {pid for pid in psutil.pids() if _session(pid) == leader}


def signal_all(pids: AbstractSet[int], number: Signals) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def end_all(members: Callable[[], set[int]], *, patience: float = _PATIENCE) -> int:
    """Kill until nobody is left; how many processes that were.

    Raises `PlatformError` SANDBOX_FAILED when some do not die, as in an uninterruptible sleep.
    """
    seen: set[int] = set()
    deadline = time.monotonic() + patience
    while left := members():
        seen |= left
        if time.monotonic() > deadline:
            raise PlatformError(
                ErrorCode.SANDBOX_FAILED, reason=f"{len(left)} processes of a build could not be killed"
            )
        signal_all(left, SIGKILL)
        time.sleep(0.002)
    return len(seen)


def inside(pid: int) -> set[int]:
    """Pids of the processes below one that are in a pid namespace of their own, but not its first."""
    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return set()
    depth = len(_levels(os.getpid()))
    levels = {process.pid: _levels(process.pid) for process in below}
    return {pid for pid, numbers in levels.items() if len(numbers) > depth and numbers[-1] != 1}


def threads_of(user: int) -> int:
    """How many threads a user has on this machine, which is what RLIMIT_NPROC counts."""
    total = 0
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            total += process.num_threads() if process.uids().real == user else 0
    return total


def _mark(pid: int) -> str | None:
    try:
        return psutil.Process(pid).environ().get(MARK)
    except (psutil.Error, OSError):
        return None


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _levels(pid: int) -> list[int]:
    """A process's number in each pid namespace that it is in, outermost first."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except OSError:
        return []
    lines = [line for line in status.splitlines() if line.startswith("NSpid:")]
    return [int(word) for line in lines for word in line.split()[1:]]
