"""The store on disk: `blobs/ab/<digest>`, read-only files that never change once they have their name.

Beside them stand `manifests/<digest>`, an empty mark for each blob that is a manifest, and `staging/`,
where what a packaging writes stands until all of it is on the disk. A killed packaging therefore leaves
nothing but a staging folder, and a manifest that has its mark never lacks a blob.
"""

import errno
import os
import shutil
import tempfile
import time
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import BinaryIO

from bot.domain.ids import Digest
from bot.shelf import blob_path
from jobs import flocks
from jobs.artifacts.durable import settle
from jobs.artifacts.store import Stored

KEPT_FOR = 3600.0
"""Seconds for which a blob that nobody refers to is kept: a release that uses it may be on its way."""
_REFRESHED_AFTER = KEPT_FOR / 2
_CHUNK = 1 << 20
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_NO_LINK = (errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EACCES, errno.EOPNOTSUPP, errno.ENOSYS)


def moment_of(digest: Digest) -> int:
    """The modification time of a blob, in nanoseconds since 1970, at the latest 2006: 60 bits of its digest.

    Caddy's ETag is made of a file's modification time and size: so equal bytes have equal ETags,
    whichever release they come from, and different bytes different ones.
    """
    return int(digest[:15], 16)


class DiskStore:
    """Artifacts below one folder, for any number of processes of one machine."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, digest: Digest) -> str:
        """Where a blob is, or would be."""
        return blob_path(self.folder, digest)

    def mark(self, manifest: Digest) -> str:
        """Where a manifest's mark is, or would be."""
        return f"{self.folder}/manifests/{manifest}"

    @contextmanager
    def batch(self) -> Generator["DiskBatch"]:
        """Begin to put things; see `Batch`."""
        self._prepare()
        with self.lock(exclusive=False):
            staging = Path(tempfile.mkdtemp(dir=self.folder / "staging"))
            try:
                batch = DiskBatch(self, staging)
                yield batch
                batch.commit()
            finally:
                shutil.rmtree(staging, ignore_errors=True)

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there."""
        return os.path.exists(self.path(digest))  # noqa: PTH110  asked thousands of times

    def read(self, digest: Digest) -> bytes:
        """The blob's bytes."""
        return Path(self.path(digest)).read_bytes()

    def forget(self, digest: Digest) -> None:
        """Unlink the blob; a manifest's mark goes first, so that nobody builds on it."""
        for path in (self.mark(digest), self.path(digest)):
            Path(path).unlink(missing_ok=True)

    def link(self, digest: Digest, target: Path | str) -> None:
        """Give the blob one more name; where that can't be (other file system, 65,000 names), copy it."""
        source = self.path(digest)
        try:
            os.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            shutil.copyfile(source, target)
            _seal(target, digest)

    def lock(self, *, exclusive: bool) -> AbstractContextManager[None]:
        """Packagings share the lock, the sweep has it alone."""
        return flocks.held(self.folder / "lock", flocks.ALONE if exclusive else flocks.SHARED)

    def _prepare(self) -> None:
        if (self.folder / "staging").is_dir():
            return
        for number in range(256):
            (self.folder / "blobs" / f"{number:02x}").mkdir(parents=True, exist_ok=True)
        (self.folder / "manifests").mkdir(exist_ok=True)
        # Last, since its presence says that all the others are there.
        (self.folder / "staging").mkdir(exist_ok=True)


class DiskBatch:
    """One packaging's additions; see `Batch`."""

    def __init__(self, store: DiskStore, staging: Path) -> None:
        self._store = store
        self._staging = str(staging)
        self._manifests: list[Digest] = []
        self._numbers = count()

    def has(self, digest: Digest) -> bool:
        """Whether the blob is there or staged; an old one gets a new ctime, which the sweep looks at."""
        try:
            age = time.time() - os.stat(self._store.path(digest)).st_ctime  # noqa: PTH116
            if not 0 <= age < _REFRESHED_AFTER:
                moment = moment_of(digest)
                os.utime(self._store.path(digest), ns=(moment, moment))
        except FileNotFoundError:
            return os.path.exists(f"{self._staging}/{digest}")  # noqa: PTH110
        return True

    def put_bytes(self, data: bytes) -> Stored:
        """Stage these bytes unless they are there."""
        digest = Digest(sha256(data).hexdigest())
        new = not self.has(digest) and self._stage(digest, data)
        return Stored(digest, len(data), new)

    def put_file(self, source: BinaryIO) -> Stored:
        """Stage the rest of an open file, in one reading: it gets its name when its digest is known."""
        hashed, size = sha256(), 0
        # A name that no digest has.
        path = f"{self._staging}/incoming-{next(self._numbers)}"
        with open(path, "xb") as copy:  # noqa: PTH123
            while chunk := source.read(_CHUNK):
                hashed.update(chunk)
                size += copy.write(chunk)
        digest = Digest(hashed.hexdigest())
        if self.has(digest):
            os.unlink(path)  # noqa: PTH108
            return Stored(digest, size, new=False)
        _seal(path, digest)
        os.rename(path, f"{self._staging}/{digest}")  # noqa: PTH104
        return Stored(digest, size, new=True)

    def put_manifest(self, data: bytes) -> Digest:
        """Stage a manifest; it is marked as one after all blobs have their names."""
        digest = self.put_bytes(data).digest
        self._manifests.append(digest)
        return digest

    def build_on(self, manifest: Digest) -> bytes | None:
        """An earlier manifest that has its mark, which is made young again: the sweep then spares it."""
        try:
            os.utime(self._store.mark(manifest))
            return self._store.read(manifest)
        except FileNotFoundError:
            return None

    def commit(self) -> None:
        """Bring everything to the disk, then give it its names, then mark the manifests.

        In this order a blob that can be found is always whole, whatever happens to the power.
        """
        staged = [Digest(name) for name in os.listdir(self._staging)]  # noqa: PTH208
        settle([f"{self._staging}/{digest}" for digest in staged], self._store.folder)
        for digest in staged:
            os.rename(f"{self._staging}/{digest}", self._store.path(digest))  # noqa: PTH104
        folders = {f"{self._store.folder}/blobs/{digest[:2]}" for digest in staged}
        settle(folders, self._store.folder)
        for manifest in self._manifests:
            Path(self._store.mark(manifest)).touch()
        if self._manifests:
            settle([f"{self._store.folder}/manifests"], self._store.folder)

    def _stage(self, digest: Digest, data: bytes) -> bool:
        try:
            descriptor = os.open(f"{self._staging}/{digest}", _NEW, 0o600)
        except FileExistsError:
            # The same bytes under two paths, by two threads: the other stores them.
            return False
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            _seal(descriptor, digest)
        finally:
            os.close(descriptor)
        return True


def _seal(file: Path | str | int, digest: Digest) -> None:
    moment = moment_of(digest)
    os.chmod(file, 0o444)  # noqa: PTH101
    os.utime(file, ns=(moment, moment))
