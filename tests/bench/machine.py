"""The machine that measures: its description, its cores, and the processor time of processes."""

import os
import platform
import subprocess
from collections.abc import Generator, Iterable
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

SERVER_CORE, CLIENT_CORE = 0, 1


@contextmanager
def on_core(number: int) -> Generator[None]:
    """Whatever is started here runs on that core alone; where there is but one, on any."""
    before = _cores()
    if number in before and len(before) > 1:
        _pin({number})
    try:
        yield
    finally:
        _pin(before)


def cpu_seconds(processes: Iterable[psutil.Process]) -> float:
    """Processor time that processes and their children have used until now, user and system."""
    total = 0.0
    for process in processes:
        for one in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system
    return total


def busy_share(seconds: float) -> float:
    """How busy all cores are with whatever else runs, from 0 to 1."""
    return psutil.cpu_percent(interval=seconds) / 100


def description() -> str:
    """The machine in a sentence."""
    memory = psutil.virtual_memory().total / 1024**3
    git = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    return (
        f"{os.cpu_count()} × {_processor()}, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}, git {git}"
    )


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _cores() -> set[int]:
    return set(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else set()


def _pin(cores: set[int]) -> None:
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cores)
