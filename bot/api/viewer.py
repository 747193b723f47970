"""One reader of a log: a connection and a place in its feed's ring. Nothing else is held, no task either."""

import asyncio

from bot.api.feed import Feed
from bot.api.handover import Taker
from bot.api.ring import Chunk, chunked
from bot.log import logger

_END = b"0\r\n\r\n"


class Viewer(Taker):
    """Writes what the feed has to its connection, as fast as the reader takes it. `line`: the last it has."""

    __slots__ = ("_catching", "_feed", "_is_ahead", "_is_paused", "_line", "_position", "_resumed")

    def __init__(self, feed: Feed, line: int) -> None:
        super().__init__()
        self._feed = feed
        self._line = line
        self._position = -1
        self._is_paused = False
        # Whether it has seen lines that the feed does not know yet: those are left out when they come.
        self._is_ahead = False
        # What reads for it where the log is kept, and what that waits for.
        self._catching: asyncio.Task[None] | None = None
        self._resumed: asyncio.Future[None] | None = None

    def begin(self, opening: bytes) -> None:
        """Say what comes first, then go on with the feed."""
        if self.transport is not None:
            self.transport.write(chunked(opening))
            self._feed.add(self)
            self.go_on()

    def go_on(self) -> None:
        """Write what is new, unless the reader has not taken what is old."""
        if self.transport is None or self.transport.is_closing() or self._catching is not None:
            return
        if self._position < self._feed.ring.start and not self._find_place():
            return
        while not self._is_paused:
            if (chunk := self._take()) is None:
                if self._feed.ended:
                    self._end()
                return
            self._position = chunk.position
            self._line = max(self._line, chunk.line)
            if chunk.data:
                self.transport.write(chunk.data)

    def pause_writing(self) -> None:
        """The reader is slower than the log."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """The reader took most of what was written."""
        self._is_paused = False
        if self._resumed is not None and not self._resumed.done():
            self._resumed.set_result(None)
        self.go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        """The reader left, or was let go."""
        super().connection_lost(exc)
        if self._catching is not None:
            self._catching.cancel()
        self._feed.remove(self)

    def _take(self) -> Chunk | None:
        ring = self._feed.ring
        if not self._is_ahead:
            return ring.take(self._position)
        chunk = ring.take_past(self._position, self._line)
        self._is_ahead = chunk is None or chunk.line < self._line
        return chunk

    def _find_place(self) -> bool:
        """Where to go on in the ring; False when it lacks lines that are now read where the log is kept."""
        ring = self._feed.ring
        if self._line < ring.floor:
            self._catching = asyncio.get_running_loop().create_task(self._catch_up())
            return False
        self._position = ring.position_after(self._line)
        self._is_ahead = self._line > ring.last_line
        return True

    async def _catch_up(self) -> None:
        try:
            self._line = await self._feed.catch_up(self._line, self._give)
        except Exception as error:  # noqa: BLE001 a reader whose stream breaks comes back
            logger.error("a log can't be read", exc_info=error)
            self.shutdown()
        self._catching = None
        self.go_on()

    async def _give(self, data: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            raise asyncio.CancelledError
        self.transport.write(chunked(data))
        if self._is_paused:
            self._resumed = asyncio.get_running_loop().create_future()
            await self._resumed
            self._resumed = None

    def _end(self) -> None:
        assert self.transport is not None
        self.transport.write(_END)
        self.transport.close()
