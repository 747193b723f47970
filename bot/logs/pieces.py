"""Rows in pieces that are compressed one by one, so that whoever looks for a line skips those before it.

A piece is a gzip member whose extra field says how long it is and which line it begins with; any gzip
program reads all of them as one file (RFC 1952, sections 2.2 and 2.3.1.1).
"""

import gzip
import os
import struct
import zlib
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

SIZE = 128 * 1024
"""Bytes of rows in a piece, before they are compressed."""
_HEAD = struct.Struct("<4sIBBH2sHIQ")
_TAIL = struct.Struct("<II")
_BEGIN, _MARK = b"\x1f\x8b\x08\x04", b"SL"
_UNKNOWN_SYSTEM = 255
_OWN = struct.calcsize("<IQ")
_LEVEL = 6
_GZIP = 16 + zlib.MAX_WBITS


def write(file: BinaryIO, rows: Iterable[tuple[int, bytes]]) -> None:
    """Write rows, each with its number; numbers grow."""
    gathered: list[bytes] = []
    first = size = 0
    for number, row in rows:
        first = first if gathered else number
        gathered.append(row)
        size += len(row)
        if size >= SIZE:
            file.write(_piece(first, b"".join(gathered)))
            gathered, size = [], 0
    # Without any row, too: what is empty is no gzip file.
    if gathered or not first:
        file.write(_piece(first, b"".join(gathered)))


def read(path: Path, after: int) -> Iterator[list[bytes]]:
    """The rows of each piece that may have numbers behind one. Raises `FileNotFoundError`, or `OSError`."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        index = _index(path, (status.st_ino, status.st_mtime_ns, status.st_size))
        if not index.places:
            yield list(gzip.GzipFile(fileobj=file))
        begin = max(0, bisect_right(index.firsts, after + 1) - 1)
        for place, end in pairwise((*index.places[begin:], status.st_size)):
            try:
                rows = zlib.decompress(os.pread(file.fileno(), end - place, place), wbits=_GZIP)
            except zlib.error as error:
                raise OSError(f"{path} can't be read: {error}") from error
            yield rows.splitlines(keepends=True)


@dataclass(frozen=True)
class _Index:
    """Where pieces begin, and with which number; neither in files of other make."""

    places: Sequence[int]
    firsts: Sequence[int]


@lru_cache(maxsize=64)
def _index(path: Path, mark: tuple[int, int, int]) -> _Index:
    """The pieces of a file, remembered: a long log has a thousand. `mark` changes when the file does."""
    size = mark[-1]
    places, firsts = array("Q"), array("Q")
    with path.open("rb") as file:
        place = 0
        while (here := _head(file.fileno(), place)) is not None:
            places.append(place)
            firsts.append(here[1])
            place += here[0]
    return _Index(places, firsts) if place == size else _Index((), ())


def _piece(first: int, rows: bytes) -> bytes:
    squeeze = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS)
    body = squeeze.compress(rows) + squeeze.flush() + _TAIL.pack(zlib.crc32(rows), len(rows))
    extra = (4 + _OWN, _MARK, _OWN, _HEAD.size + len(body), first)
    return _HEAD.pack(_BEGIN, 0, 0, _UNKNOWN_SYSTEM, *extra) + body


def _head(descriptor: int, place: int) -> tuple[int, int] | None:
    """How long the piece there is, and its first number."""
    found = os.pread(descriptor, _HEAD.size, place)
    if len(found) < _HEAD.size or found[:4] != _BEGIN:
        return None
    _begin, _time, _flags, _system, _extra, mark, _own, length, first = _HEAD.unpack(found)
    return (length, first) if mark == _MARK and length else None
