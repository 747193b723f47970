"""What a sandbox is asked to run, and what came of it; the drivers stand beside this file."""

import re
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path
from typing import Protocol

MIB = 1024 * 1024
GATE = ("127.0.0.1", 3128)
"""Where a box reaches its gate."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def attempt_prefix(instance: str, deployment: int, attempt: int) -> str:
    """How the names of an attempt's boxes begin; other instances of the machine count from 1 too."""
    return f"{instance}-dep-{deployment}.{attempt}."


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


class Gate(Protocol):
    """What answers a box that has no network of its own."""

    def serve(self, listener: socket.socket) -> AbstractContextManager[None]:
        """Serve on a socket that listens inside of the box; close it at the end."""
        ...


@dataclass(frozen=True)
class Box:
    """One command in a box. `name` is unique per attempt and command, and finds what runs in it.

    `directory` and the values of `environ` are paths inside. `user` is the uid that the command
    runs as and that the writable mounts belong to, as `Sandbox.user` said; None is Slipway's own. With
    `network` it has the machine's; else `gate` may serve what it connects to at `GATE` inside.
    Raises `ValueError` for a name with other characters than letters, digits, `.`, `_` and `-`.
    """

    name: str
    argv: Sequence[str]
    directory: str
    limits: Limits
    mounts: Sequence[Mount]
    environ: Mapping[str, str] = field(default_factory=dict[str, str])
    network: bool = True
    gate: Gate | None = None
    user: int | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"'{self.name}' can't name a box")


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
    unfit: str | None
    """Why boxes are no good for strangers' code; None when they are."""

    def run(self, box: Box, output: Output, stopped: Callable[[], bool]) -> Outcome:
        """Run a command to its end, its time-out, or until `stopped()` is true (asked every 0.1 s).

        Raises `PlatformError` SANDBOX_FAILED when the box could not be made or emptied.
        """
        ...

    def user(self, slot: int) -> int | None:
        """The uid that a slot's boxes run as, or None when they run as Slipway's own user."""
        ...

    def sweep(self, prefix: str) -> int:
        """Kill whatever still runs in boxes whose name begins so; how many processes that were.

        The prefix ends where the name's part ends: `dep-1.` rather than `dep-1`, which is `dep-12` too.
        """
        ...
