"""Reads what is kept of releases: manifests and files by their digests, from the folder of the artifacts."""

from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

import msgspec

from bot.domain.contents import Manifest, decode
from bot.domain.ids import Digest


class GoneError(Exception):
    """What a digest names is not kept any more, or is not what it was."""

    def __init__(self, digest: Digest) -> None:
        self.digest = digest
        super().__init__(f"{digest} is gone or damaged")


def blob_path(folder: Path | str, digest: Digest) -> str:
    """Where a blob is, or would be."""
    return f"{folder}/blobs/{digest[:2]}/{digest}"


@dataclass(frozen=True)
class Shelf:
    """The artifacts of one instance, for reading."""

    folder: Path

    def manifest(self, digest: Digest) -> Manifest:
        """A release's manifest. Raises `GoneError`."""
        data = self.read(digest, 1 << 28)
        if sha256(data).hexdigest() != digest:
            raise GoneError(digest)
        try:
            return decode(data)
        except msgspec.DecodeError as error:
            raise GoneError(digest) from error

    def read(self, digest: Digest, most: int) -> bytes:
        """The first bytes of a blob. Raises `GoneError`."""
        with self.open(digest) as file:
            return file.read(most)

    def open(self, digest: Digest) -> BinaryIO:
        """A blob, to be read and closed. Raises `GoneError`."""
        try:
            return Path(blob_path(self.folder, digest)).open("rb")
        except OSError as error:
            raise GoneError(digest) from error

    def size(self, digest: Digest) -> int:
        """Bytes of a blob. Raises `GoneError`."""
        try:
            return Path(blob_path(self.folder, digest)).stat().st_size
        except OSError as error:
            raise GoneError(digest) from error
