"""Started by path in front of every box's command: joins its cgroups, limits itself, becomes the command.

It is a program of its own, without any import of Slipway, because the alternatives are worse:
`preexec_fn` runs Python between fork and exec of a process with threads, and a limit that is set
after the start comes too late for a command that forks at once.

    python -I -S launch.py '{"cgroups": [...], "nice": 19, "limits": {"RLIMIT_CORE": 0}}' COMMAND...
"""

import json
import os
import resource
import sys
from pathlib import Path


def main(order: str, *command: str) -> None:
    """Carry out the order, then replace this process by the command."""
    wanted = json.loads(order)
    for folder in wanted["cgroups"]:
        Path(folder, "cgroup.procs").write_text("0")
    os.nice(wanted["nice"])
    for name, value in wanted["limits"].items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        limit = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (limit, limit))
    os.execvp(command[0], command)  # noqa: S606 - there is no shell to go without


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as error:
        sys.exit(f"slipway: {error}")
