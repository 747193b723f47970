"""The frames of one log that viewers share: an append-only list, of which each viewer holds a position."""

from bisect import bisect_right
from dataclasses import dataclass

MAX_FRAMES = 20_000
MAX_BYTES = 8 * 1024 * 1024
MAX_CHUNK = 256 * 1024
"""Bytes that one viewer is sent at once; bounds what a slow one holds."""
_STRIDE = 512
_KEPT_JOINS = 8


@dataclass(frozen=True, slots=True)
class Chunk:
    """Frames joined for sending, the position after them, and the last line's number among them.

    `data` is one chunk of an HTTP body (RFC 9112, section 7.1): made once, whoever reads it.
    """

    data: bytes
    position: int
    line: int


class Ring:
    """Frames by position. Positions only grow; those below `start` are gone.

    `floor` is the number of the last line that is not held here any more, or never was: whoever has
    seen it, or a later one, can go on from here.
    """

    def __init__(self, *, max_frames: int = MAX_FRAMES, max_bytes: int = MAX_BYTES) -> None:
        self.start = 0
        self.floor = 0
        self._frames: list[bytes] = []
        self._lines: list[int] = []
        self._size = 0
        self._max_frames = max_frames
        self._max_bytes = max_bytes
        # Of whole chunks, to which nothing can be added; and of those that reach to the end.
        self._whole: dict[int, Chunk] = {}
        self._open: dict[int, Chunk] = {}

    @property
    def end(self) -> int:
        """The position after the last frame."""
        return self.start + len(self._frames)

    @property
    def last_line(self) -> int:
        """Number of the last line that is known here."""
        return self._lines[-1] if self._lines else self.floor

    def append(self, frame: bytes, line: int | None = None) -> None:
        """Add a frame: of a line with its number, or between lines."""
        self._frames.append(frame)
        self._lines.append(self.last_line if line is None else line)
        self._size += len(frame)
        self._open.clear()
        if len(self._frames) > self._max_frames or self._size > self._max_bytes:
            self._trim()

    def restart(self, floor: int) -> None:
        """Begin anew after a line; every viewer has to find its place again."""
        # One more than there were frames: a viewer that had seen all must notice too.
        self.start += len(self._frames) + 1
        self.floor = floor
        self._frames.clear()
        self._lines.clear()
        self._whole.clear()
        self._open.clear()
        self._size = 0

    def position_after(self, line: int) -> int:
        """Where a viewer goes on that has seen a line, which is not below `floor`."""
        return self.start + bisect_right(self._lines, line)

    def take(self, position: int) -> Chunk | None:
        """The frames from a position on, joined once for all who stand there; None at the end.

        Chunks end at the same positions for all, so that those who fell behind share what they wait for.
        """
        if position >= self.end:
            return None
        if (known := self._open.get(position) or self._whole.get(position)) is not None:
            return known
        first, last = self._extent(position)
        made = self._join(self._frames[first:last], last)
        kept = self._open if last == len(self._frames) else self._whole
        if len(kept) >= _KEPT_JOINS:
            del kept[next(iter(kept))]
        kept[position] = made
        return made

    def _extent(self, position: int) -> tuple[int, int]:
        """Where the chunk begins and ends that begins at a position, as indices."""
        first = last = position - self.start
        furthest = min(len(self._frames), (position // _STRIDE + 1) * _STRIDE - self.start)
        size = 0
        while last < furthest and size < MAX_CHUNK:
            size += len(self._frames[last])
            last += 1
        return first, last

    def _join(self, frames: list[bytes], last: int) -> Chunk:
        return Chunk(chunked(b"".join(frames)), self.start + last, self._lines[last - 1])

    def take_past(self, position: int, line: int) -> Chunk | None:
        """What `take` gives, but for lines up to one: for a viewer that has seen more than was known here."""
        if position >= self.end:
            return None
        first, last = self._extent(position)
        kept = [
            frame
            for frame, number in zip(self._frames[first:last], self._lines[first:last], strict=True)
            if number > line or not frame.startswith(b"id:")
        ]
        return self._join(kept, last)

    def _trim(self) -> None:
        drop = max(1, len(self._frames) // 4)
        self.floor = self._lines[drop - 1]
        self.start += drop
        self._size -= sum(map(len, self._frames[:drop]))
        del self._frames[:drop]
        del self._lines[:drop]


def chunked(data: bytes) -> bytes:
    """Bytes as one chunk of an HTTP body; nothing of nothing, since an empty chunk would be the end."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
