"""Slots: numbers that running builds hold, one each, so that no two builds share a user."""

import itertools
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from jobs import flocks


@contextmanager
def take(home: Path) -> Generator[int]:
    """Hold the lowest free slot; the kernel frees it when the holder dies."""
    folder = home / "run" / "slots"
    for number in itertools.count():
        try:
            file = flocks.take(folder / str(number), flocks.ALONE | flocks.AT_ONCE)
        except BlockingIOError:
            continue
        try:
            yield number
        finally:
            os.close(file)
        return
