"""Names the process that holds a lease, so that another on the same machine can see whether it lives."""

import socket

import psutil


def this_process() -> str:
    """Name of this process: host, pid and start, since pids come again."""
    process = psutil.Process()
    return f"{socket.gethostname()}/{process.pid}/{process.create_time():.2f}"


def is_gone(holder: str) -> bool:
    """Whether a holder is known to be dead. Of other machines nothing is known: False."""
    host, pid, started = holder.rsplit("/", 2)
    if host != socket.gethostname():
        return False
    try:
        process = psutil.Process(int(pid))
        return f"{process.create_time():.2f}" != started or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
