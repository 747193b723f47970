"""Takes away what no release needs any more: blobs, manifests, remembered variants, release folders."""

import os
import shutil
import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bot.domain.contents import decode
from bot.domain.ids import Digest
from jobs.artifacts.disk import KEPT_FOR, DiskStore


@dataclass(frozen=True)
class Swept:
    """What was taken away."""

    manifests: int
    blobs: int
    size: int


def sweep(store: DiskStore, keep: Collection[Digest], *, older_than: float = KEPT_FOR) -> Swept:
    """Delete all that neither the manifests in `keep` nor a young manifest names.

    May run beside packagings. What was put or asked for within `older_than` seconds stays, since the
    release that uses it may not be known yet; so does all that a manifest of that age names. Less than half
    an hour is safe only while nothing is packed.
    """
    if not (store.folder / "staging").is_dir():
        return Swept(0, 0, 0)
    deadline = time.time() - older_than
    with store.lock(exclusive=True):
        # From here on nobody builds on a manifest that is not in `roots`: their marks are gone.
        roots, dropped = _drop_marks(store, keep, deadline)
        _drop_dead_stagings(store, deadline)
    needed = _needed(store, roots)
    blobs = size = 0
    for folder in sorted((store.folder / "blobs").iterdir()):
        # Lock by lock, so that no packaging waits long. One that came between has made what it needs young.
        with store.lock(exclusive=True):
            count, bytes_there = _drop_blobs(folder, needed, deadline)
        blobs, size = blobs + count, size + bytes_there
    _forget_variants(store)
    return Swept(dropped, blobs, size)


def dispensable(store: DiskStore, keep: Collection[Digest], *, older_than: float = KEPT_FOR) -> int:
    """Bytes on disk of the blobs that `sweep` would delete now; nothing is changed."""
    if not (store.folder / "staging").is_dir():
        return 0
    deadline = time.time() - older_than
    young = {
        Digest(entry.name)
        for entry in os.scandir(store.folder / "manifests")
        if entry.stat().st_mtime > deadline
    }
    needed = _needed(store, {*keep, *young})
    total = 0
    for entry in (one for folder in (store.folder / "blobs").iterdir() for one in os.scandir(folder)):
        with suppress(FileNotFoundError):
            status = entry.stat()
            if entry.name not in needed and status.st_ctime <= deadline:
                total += status.st_blocks * 512
    return total


def sweep_folders(releases: Path, keep: Collection[str], *, older_than: float = KEPT_FOR) -> int:
    """Delete release folders whose names are not in `keep`, and drafts of killed processes; how many.

    A folder younger than `older_than` seconds stays: its release may not be known yet.
    """
    if not releases.is_dir():
        return 0
    deadline = time.time() - older_than
    gone = [
        entry
        for entry in releases.iterdir()
        if entry.name not in keep and entry.lstat().st_ctime <= deadline and entry.is_dir()
    ]
    for folder in gone:
        # Away under one name at once: a half-deleted release must never be taken for a whole one.
        doomed = (
            folder
            if folder.name.startswith(".")
            else folder.rename(releases / f".gone-{folder.name}-{time.time_ns()}")
        )
        shutil.rmtree(doomed, ignore_errors=True)
    return len(gone)


def _drop_marks(store: DiskStore, keep: Collection[Digest], deadline: float) -> tuple[set[Digest], int]:
    roots, dropped = set(keep), 0
    for entry in os.scandir(store.folder / "manifests"):
        if entry.stat().st_mtime > deadline:
            roots.add(Digest(entry.name))
        elif entry.name not in roots:
            os.unlink(entry.path)  # noqa: PTH108
            dropped += 1
    return roots, dropped


def _drop_dead_stagings(store: DiskStore, deadline: float) -> None:
    # The lock is ours alone, so whoever made these is dead; the age only spares a look at the new ones.
    for entry in os.scandir(store.folder / "staging"):
        if entry.stat().st_mtime <= deadline:
            shutil.rmtree(entry.path, ignore_errors=True)


def _needed(store: DiskStore, roots: Collection[Digest]) -> set[Digest]:
    needed = set(roots)
    for root in roots:
        # A kept release whose manifest is gone can't be helped here.
        with suppress(FileNotFoundError):
            needed |= decode(store.read(root)).digests()
    return needed


def _drop_blobs(folder: Path, needed: Collection[str], deadline: float) -> tuple[int, int]:
    count = size = 0
    for entry in os.scandir(folder):
        if entry.name in needed:
            continue
        status = entry.stat()
        if status.st_ctime <= deadline:
            os.unlink(entry.path)  # noqa: PTH108
            count, size = count + 1, size + status.st_size
    return count, size


def _forget_variants(store: DiskStore) -> None:
    for path in (store.folder / "variants").glob("??/*.json"):
        if not store.has(Digest(path.stem)):
            path.unlink(missing_ok=True)
