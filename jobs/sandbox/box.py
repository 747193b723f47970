"""What a sandbox is asked to run, and what came of it; the drivers stand beside this file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Mount:
    """A host folder that the box may see under `inside`; read-only unless `writable`."""

    host: Path
    inside: str
    writable: bool = False


@dataclass(frozen=True)
class Limits:
    """What a box may use. Memory and file size in MiB, time in seconds."""

    seconds: int
    memory: int
    processes: int
    file_size: int


@dataclass(frozen=True)
class Box:
    """One command in a box. `name` is unique per attempt and command, and finds what runs in it."""

    name: str
    argv: Sequence[str]
    directory: str
    limits: Limits
    mounts: Sequence[Mount]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    network: bool = True


class End(Enum):
    """How a command in a box ended."""

    EXITED = auto()
    TIMED_OUT = auto()
    OUT_OF_MEMORY = auto()
    STOPPED = auto()


@dataclass(frozen=True)
class Outcome:
    """The end of a command. `code` is its exit code, or 128 + signal."""

    end: End
    code: int


Output = Callable[[str, bytes], None]
"""Is given each chunk of output as it comes: the stream (`stdout` or `stderr`) and the bytes."""


class Sandbox(Protocol):
    """Runs commands in boxes. When `run` returns or raises, no process of the box is left."""

    name: str
    warning: str | None

    def run(self, box: Box, output: Output, stopped: Callable[[], bool]) -> Outcome:
        """Run a command to its end, its time-out, or until `stopped()` is true (asked every 0.1 s)."""
        ...

    def sweep(self, prefix: str) -> int:
        """Kill whatever still runs in boxes whose name begins so; how many processes that were."""
        ...
