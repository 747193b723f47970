"""What an environment's last packaging saw and made, so that the next one reads only what changed.

Only sources are looked up by `stat`: a build rewrites its whole output. A file is taken for unchanged
when device, inode, size, mtime and ctime are all as they were. Nobody can forge the ctime: any write,
rename, link or `touch` sets it to the present. Two things make it worth believing:

* the clock's tick (10 ms at most) is shorter than the time between a file's last change and the scan, else
  a second write in the same tick would not show: fresher files are not remembered;
* the file system keeps fractions of a second: where it does not, nothing is remembered.

Builds must not be able to write where the indexes are.
"""

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from bot.domain.contents import Encoding, File, Manifest, decode
from bot.domain.ids import Digest, EnvironmentId
from jobs.artifacts.store import Batch
from jobs.artifacts.tree import Seen
from jobs.artifacts.variants import is_compressible

INDEXES = "index"
"""The folder of indexes, below that of the caches."""
_SETTLED = 100_000_000
_SECOND = 1_000_000_000


class Index(msgspec.Struct, frozen=True):
    """The manifest that was packed last, and the files whose entries in it may be believed."""

    manifest: Digest
    seen: dict[str, Seen] = {}


@dataclass(frozen=True)
class Last:
    """The last packaging, as far as its manifest is still there."""

    manifest: Manifest = field(default_factory=lambda: Manifest({}))
    seen: dict[str, Seen] = field(default_factory=dict[str, Seen])

    def unchanged(self, files: Mapping[str, Seen]) -> dict[str, File]:
        """The entries of files that are as they were."""
        known = self.manifest.files
        same = (path for path, seen in self.seen.items() if files.get(path) == seen)
        return {path: known[path] for path in same if path in known}

    def variants(self) -> dict[Digest, dict[Encoding, Digest]]:
        """The variants of each content, all of which are still there."""
        files = self.manifest.files.items()
        return {file.digest: dict(file.encodings) for path, file in files if is_compressible(path, file.size)}


def path_of(caches: Path, environment: EnvironmentId) -> Path:
    """Where an environment's index is."""
    return caches / INDEXES / f"{environment}.msgpack"


def recall(path: Path, batch: Batch) -> Last:
    """The last packaging; an empty one when there was none, or when it can't be built on any more."""
    with suppress(FileNotFoundError, msgspec.DecodeError):
        index = msgspec.msgpack.decode(path.read_bytes(), type=Index)
        data = batch.build_on(index.manifest)
        return Last(decode(data), index.seen) if data is not None else Last()
    return Last()


def remember(path: Path, manifest: Digest, files: Mapping[str, Seen], scanned: int) -> None:
    """Replace the index after a packaging whose scan began at that time (nanoseconds since 1970).

    It is a cache: it may be lost with the power.
    """
    settled = {name: seen for name, seen in files.items() if _is_settled(seen, scanned)}
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_bytes(msgspec.msgpack.encode(Index(manifest, settled)))
    fresh.replace(path)


def _is_settled(seen: Seen, scanned: int) -> bool:
    return seen.ctime < scanned - _SETTLED and seen.ctime % _SECOND != 0
