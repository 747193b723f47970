"""Files by whose locks processes keep out of each other's way; the kernel drops them when a process dies."""

import fcntl
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

ALONE = fcntl.LOCK_EX
SHARED = fcntl.LOCK_SH
AT_ONCE = fcntl.LOCK_NB
"""Besides one of the others: don't wait."""


def take(path: Path, how: int) -> int:
    """Lock a file, made when missing; its descriptor. Raises `BlockingIOError` with `AT_ONCE`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, how)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def held(path: Path, how: int) -> Generator[None]:
    """Hold the lock of a file. Raises what `take` does."""
    descriptor = take(path, how)
    try:
        yield
    finally:
        os.close(descriptor)
