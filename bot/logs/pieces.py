"""Rows in pieces that are compressed one by one, so that whoever looks for a line skips those before it.

A piece is a gzip member whose extra field says how long it is and which line it begins with; any gzip
program reads all of them as one file (RFC 1952, sections 2.2 and 2.3.1.1).
"""

import gzip
import os
import struct
import zlib
from collections.abc import Iterable, Iterator
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


def read(path: Path, after: int) -> Iterator[bytes]:
    """The rows of the pieces that may have numbers behind one. Raises `FileNotFoundError`, or `OSError`."""
    with path.open("rb") as file:
        file.seek(_place(file.fileno(), after))
        yield from gzip.GzipFile(fileobj=file)


def _piece(first: int, rows: bytes) -> bytes:
    squeeze = zlib.compressobj(_LEVEL, wbits=-zlib.MAX_WBITS)
    body = squeeze.compress(rows) + squeeze.flush() + _TAIL.pack(zlib.crc32(rows), len(rows))
    extra = (4 + _OWN, _MARK, _OWN, _HEAD.size + len(body), first)
    return _HEAD.pack(_BEGIN, 0, 0, _UNKNOWN_SYSTEM, *extra) + body


def _place(descriptor: int, after: int) -> int:
    """Where the last piece begins before which no row is wanted; 0 in files of other make."""
    place, here = 0, _head(descriptor, 0)
    while here is not None:
        following = _head(descriptor, place + here[0])
        if following is None or following[1] > after + 1:
            break
        place, here = place + here[0], following
    return place


def _head(descriptor: int, place: int) -> tuple[int, int] | None:
    """How long the piece there is, and its first number."""
    found = os.pread(descriptor, _HEAD.size, place)
    if len(found) < _HEAD.size or found[:4] != _BEGIN:
        return None
    _begin, _time, _flags, _system, _extra, mark, _own, length, first = _HEAD.unpack(found)
    return (length, first) if mark == _MARK and length else None
