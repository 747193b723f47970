"""Pre-compressed variants of text: made once per content, so that the edge never compresses."""

import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import cast

import brotli  # pyright: ignore[reportMissingTypeStubs]  it comes without types
import msgspec
import zstandard

from bot.domain.contents import Encoding
from bot.domain.ids import Digest
from jobs.artifacts.store import Batch

_SUFFIXES = frozenset(
    """
    .atom .cjs .css .csv .geojson .htm .html .ico .ics .js .json .jsonld .map .md .mjs .otf .rss .svg .ttf
    .txt .vtt .wasm .webmanifest .xhtml .xml .yaml .yml
    """.split()
)
_SMALLEST = 1024
# Above this a variant takes more than a second; the edge may still compress on the way.
_LARGEST = 16 << 20
_WORTHWHILE = 0.95

# Levels after which more time buys little. On 8 MB of scripts brotli 5 leaves 22.9 % at 23 MB/s and core,
# gzip 6 25.1 % at 19, zstd 6 23.8 % at 47. Brotli 10 would leave 20.1 %, at 0.9 MB/s: 25 times the time.
_BROTLI, _GZIP, _ZSTD = 5, 6, 6
_GZIP_HEADER = 16


def _brotli(data: bytes) -> bytes:
    return cast("bytes", brotli.compress(data, quality=_BROTLI))


def _gzip(data: bytes) -> bytes:
    # zlib's own header has no time in it, so that equal bytes stay equal.
    packer = zlib.compressobj(_GZIP, zlib.DEFLATED, _GZIP_HEADER + zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


def _zstd(data: bytes) -> bytes:
    # A compressor of its own for each file: they are not safe to share between threads.
    return zstandard.ZstdCompressor(level=_ZSTD).compress(data)


# All three let go of the interpreter's lock while they work.
_CODECS: dict[Encoding, Callable[[bytes], bytes]] = {"br": _brotli, "gzip": _gzip, "zstd": _zstd}


def is_compressible(path: str, size: int) -> bool:
    """Whether variants of a file are worth trying."""
    return _SMALLEST < size <= _LARGEST and PurePosixPath(path).suffix.lower() in _SUFFIXES


class Variants:
    """Which variants each content has, remembered by digest in `variants/ab/<digest>.json`.

    `known` are those that need no look: of the manifest that the batch builds on.
    """

    def __init__(self, folder: Path, batch: Batch, known: dict[Digest, dict[Encoding, Digest]]) -> None:
        self._folder = folder
        self.batch = batch
        self._known = known

    def of(self, digest: Digest, data: bytes) -> dict[Encoding, Digest]:
        """The variants of these bytes that are at least 5 % smaller; made unless they were made before."""
        found = self._known.get(digest)
        if found is None:
            found = self._remembered(digest)
        if found is None:
            found = self._make(data)
            self._remember(digest, found)
        self._known[digest] = found
        return found

    def _make(self, data: bytes) -> dict[Encoding, Digest]:
        made: dict[Encoding, Digest] = {}
        for encoding, pack in _CODECS.items():
            packed = pack(data)
            if len(packed) <= len(data) * _WORTHWHILE:
                made[encoding] = self.batch.put_bytes(packed).digest
        return made

    def _path(self, digest: Digest) -> Path:
        return self._folder / digest[:2] / f"{digest}.json"

    def _remembered(self, digest: Digest) -> dict[Encoding, Digest] | None:
        try:
            found = msgspec.json.decode(self._path(digest).read_bytes(), type=dict[Encoding, Digest])
        except (FileNotFoundError, msgspec.DecodeError):
            return None
        return found if all(self.batch.has(variant) for variant in found.values()) else None

    def _remember(self, digest: Digest, made: dict[Encoding, Digest]) -> None:
        path = self._path(digest)
        # A torn write is read as none, so it needs neither a sync nor a rename.
        try:
            path.write_bytes(msgspec.json.encode(made))
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(msgspec.json.encode(made))
