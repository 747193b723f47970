"""Names the process that holds a lease, so that another on the same machine can see whether it lives."""

import socket
import sys
from pathlib import Path

import psutil


def this_process() -> str:
    """Name of this process: host, pid and start, since pids come again."""
    process = psutil.Process()
    return f"{socket.gethostname()}/{process.pid}/{_start_of(process)}"


def is_gone(holder: str) -> bool:
    """Whether a holder is known to be dead. Of other machines nothing is known: False."""
    host, pid, started = holder.rsplit("/", 2)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        return _start_of(process) != started or process.status() == psutil.STATUS_ZOMBIE
    except (psutil.NoSuchProcess, FileNotFoundError, ProcessLookupError):
        return True


def _start_of(process: psutil.Process) -> str:
    if sys.platform != "linux":
        return f"{process.create_time():.2f}"
    # In ticks since the machine's start (proc_pid_stat(5)): psutil adds the clock's idea of that start,
    # which changes when the clock is set, and every process would seem to be another one.
    return Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[19]
