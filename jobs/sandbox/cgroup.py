"""Control groups of boxes: limits on memory and processes, who is in a box, and whether memory ran out.

Version 2 as the kernel's `admin-guide/cgroup-v2.rst` describes it (needs a delegated subtree), else
version 1 (`admin-guide/cgroup-v1/memory.rst`, needs root). Boxes lie in a folder `slipway` below
the group that this process is in, so that the limits of a service or a container hold for them too.
"""

import contextlib
import errno
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from jobs.sandbox.box import MIB, Limits

WARNING = (
    "The memory of builds is not limited: Slipway's user may not make control groups. "
    "Run Slipway as a systemd service with Delegate=yes, or as root."
)
MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")
_FOLDER = "slipway"
_CONTROLLERS = ("memory", "pids")


@dataclass(frozen=True)
class Group:
    """The control group of one box: a folder in each hierarchy."""

    memory: Path
    pids: Path
    version: int

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder of the group, without repetition."""
        return tuple(dict.fromkeys((self.memory, self.pids)))

    def create(self, limits: Limits) -> None:
        """Make the group with its limits. Raises `OSError`."""
        for folder in self.folders:
            folder.mkdir(parents=True, exist_ok=True)
        limit = str(limits.memory * MIB)
        if self.version == 2:
            (self.memory / "memory.max").write_text(limit)
            _try_write(self.memory / "memory.swap.max", "0")
        else:
            (self.memory / "memory.limit_in_bytes").write_text(limit)
            _try_write(self.memory / "memory.memsw.limit_in_bytes", limit)
        (self.pids / "pids.max").write_text(str(limits.processes))

    def members(self) -> set[int]:
        """Pids of the processes in the group."""
        found: set[int] = set()
        for folder in self.folders:
            with contextlib.suppress(FileNotFoundError):
                found.update(int(pid) for pid in (folder / "cgroup.procs").read_text().split())
        return found

    def freeze_growth(self) -> None:
        """Let nothing in the group fork any more, so that killing it comes to an end."""
        _try_write(self.pids / "pids.max", "0")

    def out_of_memory(self) -> bool:
        """Whether the kernel killed something in the group because its memory ran out."""
        events = self.memory / ("memory.events" if self.version == 2 else "memory.oom_control")
        with contextlib.suppress(FileNotFoundError):
            pairs = (line.split() for line in events.read_text().splitlines())
            return any(name == "oom_kill" and value != "0" for name, value in pairs)
        return False

    def remove(self) -> None:
        """Remove the empty group. The kernel may need a moment after the last process is gone."""
        for folder in self.folders:
            _remove(folder)


@dataclass(frozen=True)
class Groups:
    """Where boxes' groups are made."""

    memory: Path
    pids: Path
    version: int

    def group(self, name: str) -> Group:
        """The group of one box, whether it exists or not."""
        return Group(self.memory / name, self.pids / name, self.version)

    def named(self, prefix: str) -> list[Group]:
        """The groups that exist whose name begins so."""
        names = {path.name for folder in (self.memory, self.pids) for path in folder.glob(f"{prefix}*")}
        return [self.group(name) for name in sorted(names) if (self.memory / name).is_dir()]


@contextmanager
def born(groups: Groups | None, name: str, limits: Limits) -> Generator[Group | None]:
    """A box's group, made and removed; None where there are none."""
    if groups is None:
        yield None
        return
    group = groups.group(name)
    try:
        group.create(limits)
        yield group
    finally:
        group.remove()


def find(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> Groups | None:
    """The hierarchy in which this process may make groups with limits; None when there is none."""
    try:
        lines = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError:
        return None
    paths = {controller: path for _, names, path in lines for controller in names.split(",")}
    return _version_2(mount, paths) or _version_1(mount, paths)


def _version_2(mount: Path, paths: dict[str, str]) -> Groups | None:
    own = _existing(mount, paths.get("", "/"))
    if not (own / "cgroup.subtree_control").exists():
        return None
    folder = own / _FOLDER
    try:
        folder.mkdir(exist_ok=True)
        for level in (own, folder):
            _delegate(level)
        return Groups(folder, folder, 2)
    except OSError:
        return None


def _delegate(level: Path) -> None:
    control = level / "cgroup.subtree_control"
    if set(_CONTROLLERS) <= set(control.read_text().split()):
        return
    order = " ".join(f"+{name}" for name in _CONTROLLERS)
    try:
        control.write_text(order)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        # A group that hands controllers on may not hold processes itself: they move one level down.
        below = level / "slipway-main"
        below.mkdir(exist_ok=True)
        for pid in (level / "cgroup.procs").read_text().split():
            _try_write(below / "cgroup.procs", pid)
        control.write_text(order)


def _version_1(mount: Path, paths: dict[str, str]) -> Groups | None:
    folders: list[Path] = []
    for controller in _CONTROLLERS:
        if controller not in paths:
            return None
        folder = _existing(mount / controller, paths[controller]) / _FOLDER
        try:
            folder.mkdir(exist_ok=True)
        except OSError:
            return None
        if not os.access(folder, os.W_OK):
            return None
        folders.append(folder)
    return Groups(folders[0], folders[1], 1)


def _existing(mount: Path, path: str) -> Path:
    # In a container the path is often the host's, and the mount already is our own group.
    own = mount / path.strip("/")
    return own if own.is_dir() else mount


def _try_write(file: Path, text: str) -> None:
    with contextlib.suppress(OSError):
        file.write_text(text)


def _remove(folder: Path) -> None:
    for pause in (0.001, 0.01, 0.05, 0.1, 0.2, 0.5, 0):
        try:
            folder.rmdir()
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(pause)
        else:
            return
