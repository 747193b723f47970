"""What packaging, releasing and sweeping ask of a place that keeps artifacts; disk is the first one."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol

from bot.domain.ids import Digest


class DamagedError(Exception):
    """The bytes that are kept under a digest are not the bytes that it names."""

    def __init__(self, digest: Digest) -> None:
        self.digest = digest
        super().__init__(f"the stored file {digest} is damaged")


@dataclass(frozen=True, slots=True)
class Stored:
    """Some bytes that are kept now. `new`: they were not there before."""

    digest: Digest
    size: int
    new: bool


class Batch(Protocol):
    """What one packaging puts into the store; its methods may be called from several threads.

    Nothing is swept away while a batch is open. What was put shows only when the batch ends well,
    all of it, and then survives the loss of power; a batch that ends with an exception leaves nothing.
    """

    def has(self, digest: Digest) -> bool:
        """Whether these bytes are kept already; if so they stay for an hour at least."""
        ...

    def put_bytes(self, data: bytes) -> Stored:
        """Keep these bytes."""
        ...

    def put_file(self, source: BinaryIO) -> Stored:
        """Keep the rest of an open file; for files that are too large to be held in memory."""
        ...

    def put_manifest(self, data: bytes) -> Digest:
        """Keep a manifest. It shows only after everything that it names."""
        ...

    def build_on(self, manifest: Digest) -> bytes | None:
        """An earlier manifest, if it is still there: all that it names then stays for an hour at least."""
        ...


class ArtifactStore(Protocol):
    """Immutable bytes by the SHA-256 of their content."""

    def batch(self) -> AbstractContextManager[Batch]:
        """Begin to put things."""
        ...

    def has(self, digest: Digest) -> bool:
        """Whether these bytes are kept. Promises nothing about later; `Batch.has` does."""
        ...

    def read(self, digest: Digest) -> bytes:
        """The bytes. Raises `FileNotFoundError` when they are not kept."""
        ...

    def forget(self, digest: Digest) -> None:
        """Take away bytes that are damaged, or lack what they name: the next batch keeps them anew."""
        ...

    def link(self, digest: Digest, target: Path | str) -> None:
        """Make the bytes a new file, without a copy where possible; it must not be written to.

        Raises `FileNotFoundError` when they are not kept.
        """
        ...
