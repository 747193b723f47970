"""Started by path in front of every box's command: prepares its own process, then becomes the command.

It joins the box's cgroups, limits itself, dies with the worker, and for a box of another user than
Slipway's it becomes that user. It is a program of its own, without any import of Slipway, because
the alternatives are worse: `preexec_fn` runs Python between fork and exec of a process with
threads, and a limit that is set after the start comes too late for a command that forks at once.

    python -I -S launch.py '{"parent": 1, "cgroups": [], "nice": 19, "limits": {}, "reach": null}' COMMAND...

`reach` is `{"user": uid, "folder": path, "binds": [[host path, name in the folder], ...]}`: an
unprivileged user can't enter root's folders, so in a mount namespace of this process each bind is
put where that user can reach it, in a tmpfs over the folder.
"""

import ctypes
import json
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

# From <sched.h>, <sys/mount.h> and <sys/prctl.h>.
CLONE_NEWNS = 0x20000
MS_BIND = 4096
MS_PRIVATE = 1 << 18
MS_REC = 16384
PR_SET_PDEATHSIG = 1
MOST_READILY = 1000
"""Who is ended first (proc(5), oom_score_adj)."""
SESSION_NICE = 10
"""Nine tenths of a core for one process of others, a tenth for all of a build."""


def main(order: str, *command: str) -> None:
    """Carry out the order, then replace this process by the command."""
    wanted = json.loads(order)
    for folder in wanted["cgroups"]:
        Path(folder, "cgroup.procs").write_text("0")
    give_way(wanted["nice"])
    for name, value in wanted["limits"].items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (limit, limit))
    if wanted["reach"]:
        _become(**wanted["reach"])
    if sys.platform == "linux":
        # Only now: a change of user clears it, and root's word reaches any user.
        _call("prctl", PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != wanted["parent"]:
        sys.exit("slipway: the worker is gone")
    os.execvp(command[0], command)  # noqa: S606 - there is no shell to go without


def give_way(nice: int) -> None:
    """Let all other work go first. Whoever calls it is the first of a session of its own.

    Where the kernel groups processes by session, niceness counts within one alone (sched(7), the autogroup
    feature): so the session is nice, too. Not utterly: on a machine that is always busy builds must end, too.
    """
    os.nice(nice)
    if sys.platform == "linux":
        # When the machine runs out of memory, builds are what the kernel ends.
        with suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(str(MOST_READILY))
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(min(nice, SESSION_NICE)))
        with suppress(OSError):
            # It never takes the processor from who uses it just now.
            os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


def _become(user: int, folder: str, binds: list[list[str]]) -> None:
    _call("unshare", CLONE_NEWNS)
    _mount(None, "/", None, MS_REC | MS_PRIVATE)
    # Opened first: the folder may be above what is to be bound.
    sources = [(os.open(host, os.O_PATH), Path(host).is_dir(), name) for host, name in binds]
    _mount("tmpfs", folder, "tmpfs", 0, data="mode=0755")
    for source, is_folder, name in sources:
        target = f"{folder}/{name}"
        Path(target).mkdir() if is_folder else Path(target).touch()
        _mount(f"/proc/self/fd/{source}", target, None, MS_BIND)
        os.close(source)
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)


def _mount(source: str | None, target: str, kind: str | None, flags: int, *, data: str | None = None) -> None:
    texts = [text.encode() if text is not None else None for text in (source, target, kind, data)]
    _call("mount", texts[0], texts[1], texts[2], ctypes.c_ulong(flags), texts[3])


def _call(name: str, *arguments: Any) -> None:
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"slipway: {error}")
