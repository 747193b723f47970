"""Brings the content of a scanned folder into a batch: reads, hashes, compresses, each file once."""

import os
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from bot.domain.contents import Encoding, File
from bot.domain.ids import Digest
from jobs.artifacts.store import Stored
from jobs.artifacts.tree import ChangedError, Seen, open_seen
from jobs.artifacts.variants import Variants, is_compressible

_SLICE = 16
_CHECKED_EVERY = 0.1
# Larger ones are streamed into the store and get no variants.
_IN_MEMORY = 32 << 20


@dataclass(frozen=True)
class Packing:
    """A file as it went into the batch, and whether its bytes were new there."""

    path: str
    file: File
    new: bool


def pack(
    root: str, files: Mapping[str, Seen], variants: Variants, check: Callable[[], None]
) -> dict[str, Packing | None]:
    """Put all files and their variants into the batch, on all cores; None for a file that can't be read.

    `check` is asked every 0.1 s and may raise, which ends the work after the files in hand. Raises
    `ChangedError` when a file is not the one that was scanned.
    """
    packer = _Packer(root, variants)
    slices = _slices(list(files.items()))
    if len(slices) <= 1:
        return dict(entry for part in slices for entry in packer.pack(part))
    pool = ThreadPoolExecutor(min(len(slices), os.cpu_count() or 1), "pack")
    try:
        futures = [pool.submit(packer.pack, part) for part in slices]
        _watch(futures, check)
        return dict(entry for future in futures for entry in future.result())
    finally:
        packer.halt.set()
        pool.shutdown(cancel_futures=True)


def _slices(files: list[tuple[str, Seen]]) -> list[list[tuple[str, Seen]]]:
    # A task per file costs more than the file (measured: 266 ms against 128 ms in slices).
    return [files[start : start + _SLICE] for start in range(0, len(files), _SLICE)]


def _watch(futures: Iterable["Future[list[tuple[str, Packing | None]]]"], check: Callable[[], None]) -> None:
    pending = set(futures)
    while pending:
        check()
        done, pending = wait(pending, _CHECKED_EVERY)
        for future in done:
            future.result()


class _Packer:
    def __init__(self, root: str, variants: Variants) -> None:
        self.halt = threading.Event()
        self._root = root
        self._batch = variants.batch
        self._variants = variants

    def pack(self, files: list[tuple[str, Seen]]) -> list[tuple[str, Packing | None]]:
        return [(path, self._one(path, seen)) for path, seen in files if not self.halt.is_set()]

    def _one(self, path: str, seen: Seen) -> Packing | None:
        try:
            descriptor = open_seen(f"{self._root}/{path}", seen)
        except PermissionError:
            return None
        with os.fdopen(descriptor, "rb", buffering=0) as source:
            if seen.size > _IN_MEMORY:
                stored = self._batch.put_file(source)
                _must_be_whole(path, seen, stored.size)
                return _packing(path, stored, {})
            data = source.read(seen.size)
            # A regular file gives all that it has in one reading.
            _must_be_whole(path, seen, len(data))
        stored = self._batch.put_bytes(data)
        encodings = self._variants.of(stored.digest, data) if is_compressible(path, seen.size) else {}
        return _packing(path, stored, encodings)


def _packing(path: str, stored: Stored, encodings: dict[Encoding, Digest]) -> Packing:
    return Packing(path, File(stored.digest, stored.size, encodings), stored.new)


def _must_be_whole(path: str, seen: Seen, size: int) -> None:
    if size != seen.size:
        raise ChangedError(path)
