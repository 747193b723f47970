"""Slots: numbers that running builds hold, one each, so that no two builds share a user."""

import fcntl
import itertools
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def take(home: Path) -> Generator[int]:
    """Hold the lowest free slot; the kernel frees it when the holder dies."""
    folder = home / "run" / "slots"
    folder.mkdir(parents=True, exist_ok=True)
    for number in itertools.count():
        file = os.open(folder / str(number), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            continue
        try:
            yield number
        finally:
            os.close(file)
        return
