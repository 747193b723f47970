"""Ends what a killed worker left behind: processes of its boxes, and their control groups."""

from jobs.sandbox import processes
from jobs.sandbox.cgroup import Groups


def sweep(groups: Groups | None, prefix: str) -> int:
    """Kill whatever runs in boxes whose name begins so; how many processes that were.

    Raises `PlatformError` SANDBOX_FAILED when some do not die.
    """
    found = [] if groups is None else groups.named(prefix)
    for group in found:
        group.freeze_growth()

    def members() -> set[int]:
        grouped = {pid for group in found for pid in group.members()}
        return grouped | processes.marked(lambda name: name.startswith(prefix))

    ended = processes.end_all(members)
    for group in found:
        group.remove()
    return ended
