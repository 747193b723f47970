"""What a whole instance occupies at one moment: processes, descriptors, memory, disk, keys, boxes."""

import os
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil
from redis import Redis

from jobs.sandbox.box import attempt_prefix
from jobs.sandbox.cgroup import find
from tests.running import Slipway

MIB = 1024 * 1024
_ROLES = {
    "bot.cli.main up": "up",
    "bot.web": "web",
    "jobs.worker": "worker",
    "jobs.sweep": "sweep",
    "jobs.edge": "edge",
    "caddy": "caddy",
    "valkey": "valkey",
    "redis": "valkey",
    "git": "git",
}


@dataclass(frozen=True)
class Footprint:
    """Figures by name. Those of memory and disk are bytes."""

    processes: dict[str, float]
    descriptors: dict[str, float]
    memory: dict[str, float]
    disk: dict[str, float]
    keys: dict[str, float]
    leftovers: dict[str, float]


def measure(slipway: Slipway) -> Footprint:
    """Measure a running instance that has nothing to do."""
    processes = _processes(slipway)
    roles = Counter(role.partition("/")[0] for role in processes)
    return Footprint(
        {role: float(count) for role, count in roles.items()},
        {role: float(one.num_fds()) for role, one in processes.items()},
        {role: float(_own_memory(one)) for role, one in processes.items()},
        disk(slipway.home),
        keys(slipway),
        leftovers(slipway),
    )


def _processes(slipway: Slipway) -> dict[str, psutil.Process]:
    assert slipway.process is not None
    found: dict[str, psutil.Process] = {}
    numbers: Counter[str] = Counter()
    whole = [psutil.Process(slipway.process.pid), *slipway.processes()]
    for one in sorted(whole, key=lambda process: process.create_time()):
        role = _role(one)
        if role:
            found[f"{role}/{numbers[role]}"] = one
            numbers[role] += 1
    return found


def _role(process: psutil.Process) -> str:
    try:
        words = process.cmdline()
    except psutil.Error:
        return ""
    line = " ".join([Path(words[0]).name, *words[1:]]) if words else process.name()
    return next((role for mark, role in _ROLES.items() if mark in line), line[:40])


def _own_memory(process: psutil.Process) -> int:
    # What the forked processes of the worker share is counted with none of them.
    return process.memory_full_info().uss


def disk(home: Path) -> dict[str, float]:
    """Bytes on disk by part of the home; a file with several names counts once, where it is found first."""
    seen: set[tuple[int, int]] = set()
    sizes = {"store": float(sum(_allocated(path) for path in home.glob("slipway.db*")))}
    for part in sorted(path for path in home.iterdir() if path.is_dir()):
        sizes[part.name] = float(_folder(part, seen))
    return sizes


def _folder(top: Path, seen: set[tuple[int, int]]) -> int:
    size = 0
    for folder, _, names in os.walk(top):
        for path in (Path(folder), *(Path(folder, name) for name in names)):
            try:
                status = path.lstat()
            except FileNotFoundError:
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                size += status.st_blocks * 512
    return size


def _allocated(path: Path) -> int:
    try:
        return path.stat().st_blocks * 512
    except FileNotFoundError:
        return 0


def keys(slipway: Slipway) -> dict[str, float]:
    """Keys of the queue: those that stay, those that lapse by themselves, and the bytes of the former."""
    redis = Redis.from_url(slipway.settings.redis)
    names = [name.decode() for name in cast("Iterator[bytes]", redis.scan_iter(count=1000))]
    staying = [name for name in names if redis.ttl(name) == -1]
    lapsing = [name for name in names if name not in set(staying)]
    longest = max((int(str(redis.ttl(name))) for name in lapsing), default=0)
    memory: Any = redis.info("memory")
    sizes = {name: int(str(redis.memory_usage(name, samples=0) or 0)) for name in names}
    redis.close()
    return {
        "that stay": float(len(staying)),
        "bytes of those that stay": float(sum(sizes[name] for name in staying)),
        "that lapse": float(len(lapsing)),
        "bytes of those that lapse": float(sum(sizes[name] for name in lapsing)),
        "longest time to live, s": float(longest),
        "bytes in all": float(memory["used_memory"]),
    }


def leftovers(slipway: Slipway) -> dict[str, float]:
    """What a deploy makes and must take away again."""
    home = slipway.home
    groups = find()
    prefix = attempt_prefix(slipway.settings.instance, 0, 0).partition("-")[0]
    return {
        "work trees of attempts": float(len(_entries(home / "work"))),
        "kept work trees": float(len(_entries(home / "trees"))),
        "open logs": float(len(_entries(home / "logs" / "spool"))),
        "packagings begun": float(len(_entries(slipway.settings.artifacts / "staging"))),
        "edge's entries": float(sum(1 for _ in (home / "edge" / "hosts").glob("*/*"))),
        "edge's older links": float(sum(1 for _ in (home / "edge" / "older").glob("*/*"))),
        "edge's trash": float(len(_entries(home / "edge" / "trash"))),
        "control groups": float(len(groups.named(prefix)) if groups else 0),
        "boxes": float(sum("bwrap" in one.name() for one in slipway.processes())),
        "mirrors' refs": float(sum(_refs(one) for one in (home / "mirrors").glob("*.git"))),
        "mirrors' packs": float(sum(1 for _ in (home / "mirrors").glob("*/objects/pack/*.pack"))),
    }


def _refs(mirror: Path) -> int:
    command = ["git", f"--git-dir={mirror}", "for-each-ref", "refs/deploy/"]
    return len(subprocess.run(command, check=True, capture_output=True).stdout.splitlines())


def _entries(folder: Path) -> list[Path]:
    return list(folder.iterdir()) if folder.is_dir() else []
