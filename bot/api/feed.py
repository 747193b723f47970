"""One feed per watched deployment and process: a reader of its log, and many viewers.

A viewer holds a position in the shared ring and nothing else, so that a slow one costs no memory and
2,000 fast ones cost one join of bytes for each tick.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from itertools import islice
from typing import Protocol, cast

from redis.asyncio import Redis
from redis.exceptions import RedisError
from starlette.concurrency import run_in_threadpool

from bot.api.frames import HEARTBEAT, done_frame, left_out_frame, log_frame, status_frame
from bot.api.ring import Ring
from bot.api.standing import Standings
from bot.domain.deployment import Deployment
from bot.domain.ids import DeploymentId
from bot.log import logger
from bot.logs.line import Line, stream_key
from bot.logs.reader import Entry, LogReader, line_of
from bot.store.steps import Step

TICK = 0.1
"""Least seconds between two wakings of the viewers."""
SLICE = 0.005
"""Seconds that viewers may take at a time, before others have their turn."""
HEARTBEAT_PAUSE = 15.0
# A log whose last word comes later than this after the deployment's will not get one.
GRACE = 2.0
_FIRST_LINES = 5000
_BATCH = 1000
_BLOCK_MILLISECONDS = 1000

_Found = list[Entry]
Send = Callable[[bytes], Awaitable[None]]


class Follower(Protocol):
    """Who watches."""

    def go_on(self) -> None:
        """Take what is new. Must not block."""
        ...


class Feed:
    """What is known of one deployment while somebody watches it."""

    def __init__(
        self,
        deployment: DeploymentId,
        *,
        logs: LogReader,
        redis: Redis,
        standings: Standings,
        unwatched: Callable[["Feed"], None],
    ) -> None:
        self.ring = Ring()
        self.status = b""
        self.ended = False
        self.deployment = deployment
        self._entering = 0
        self._viewers: set[Follower] = set()
        self._unwatched = unwatched
        self._standings = standings
        self._logs = logs
        self._redis = redis
        self._position = b"0-0"
        self._complete = asyncio.Event()
        self._asked_log = asyncio.Event()
        self._saw_state = asyncio.Event()
        self._woken_at = 0.0
        self._waking: asyncio.TimerHandle | None = None
        self._waiting: Iterator[Follower] | None = None
        self._is_stale = False
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin to read."""
        self._work(self._read_log())
        self._work(self._beat())
        self._standings.follow(self.deployment, self._show)

    def enter(self) -> None:
        """Somebody comes."""
        self._entering += 1

    def leave(self) -> None:
        """Who came is a viewer now, or went."""
        self._entering -= 1
        self._look_who_is_left()

    def add(self, viewer: Follower) -> None:
        """Tell a viewer whenever something is new."""
        self._viewers.add(viewer)

    def remove(self, viewer: Follower) -> None:
        """Tell a viewer no more."""
        self._viewers.discard(viewer)
        self._look_who_is_left()

    def _look_who_is_left(self) -> None:
        if not self._entering and not self._viewers:
            self.stop()
            self._unwatched(self)

    def _work(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._note_failure)
        self._tasks.append(task)

    def stop(self) -> None:
        """End reading, and let every viewer go."""
        self.ended = True
        self._standings.forget(self.deployment, self._show)
        for task in self._tasks:
            task.cancel()
        self._asked_log.set()
        self._saw_state.set()
        self.wake()

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("a feed broke", deployment=self.deployment, exc_info=error)
            self.stop()

    async def ready(self) -> None:
        """Wait until the present state is known and the log was asked for once."""
        await self._asked_log.wait()
        await self._saw_state.wait()

    def wake(self) -> None:
        """Let every viewer go on, some now and others a moment later."""
        self._waking = None
        self._woken_at = asyncio.get_running_loop().time()
        if self._waiting is not None:
            self._is_stale = True
            return
        self._waiting = iter(tuple(self._viewers))
        self._let_go_on()

    def _let_go_on(self) -> None:
        assert self._waiting is not None
        until = time.monotonic() + SLICE
        for viewer in self._waiting:
            viewer.go_on()
            if time.monotonic() > until:
                asyncio.get_running_loop().call_soon(self._let_go_on)
                return
        self._waiting = None
        if self._is_stale:
            self._is_stale = False
            self._wake_soon()

    async def catch_up(self, line: int, send: Send) -> int:
        """Send what the ring does not hold any more, from where the log is kept; the last line's number."""
        floor = self.ring.floor
        lines = self._logs.lines(self.deployment, line)
        try:
            while line < floor and (batch := await run_in_threadpool(batch_of, lines)):
                wanted = [one for one in batch if one.n <= floor]
                await send(b"".join(map(log_frame, wanted)))
                line = wanted[-1].n if wanted else line
                if len(wanted) < len(batch):
                    break
        except RedisError as error:
            logger.warning("part of a log can't be read", deployment=self.deployment, error=str(error))
        if line < floor:
            await send(left_out_frame(line, floor))
        return floor

    async def _read_log(self) -> None:
        pause = TICK
        asked = False
        while True:
            try:
                if not asked:
                    await self._read_newest()
                    asked = True
                self._asked_log.set()
                await self._read_on()
                pause = TICK
                await asyncio.sleep(TICK)
            except (RedisError, OSError, TimeoutError) as error:
                logger.warning("a live log waits for Redis", deployment=self.deployment, error=str(error))
                self._asked_log.set()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 2.0)

    async def _read_newest(self) -> None:
        key = stream_key(self.deployment)
        newest = cast("_Found", await self._redis.xrevrange(key, count=_FIRST_LINES))
        if newest:
            self._append(newest[::-1])

    async def _read_on(self) -> None:
        key = stream_key(self.deployment)
        answer = cast(
            "list[tuple[bytes, _Found]]",
            await self._redis.xread({key: self._position}, count=_FIRST_LINES, block=_BLOCK_MILLISECONDS),
        )
        for _key, found in answer:
            self._append(found)

    def _append(self, found: _Found) -> None:
        for entry in found:
            self._position = entry[0]
            if (line := line_of(entry)) is None:
                self._complete.set()
                continue
            self._complete.clear()
            if line.n > self.ring.last_line + 1:
                # Lines that Redis does not have: each viewer gets them from where the log is kept.
                self.ring.restart(line.n - 1)
            self._add(line)
        if found:
            self._wake_soon()

    def _add(self, line: Line) -> None:
        if line.n > self.ring.last_line:
            self.ring.append(log_frame(line), line.n)

    def _wake_soon(self) -> None:
        if self._waking is None:
            loop = asyncio.get_running_loop()
            self._waking = loop.call_at(max(loop.time(), self._woken_at + TICK), self.wake)

    def _show(self, deployment: Deployment | None, steps: list[Step]) -> None:
        if deployment is None:
            self.stop()
            return
        frame = status_frame(deployment, steps)
        if frame != self.status:
            self.status = frame
            self.ring.append(frame)
            self._wake_soon()
        self._saw_state.set()
        if deployment.state.is_final:
            self._standings.forget(self.deployment, self._show)
            self._work(self._end(deployment))

    async def _end(self, deployment: Deployment) -> None:
        await self.ready()
        if deployment.started_at is not None and not self._logs.is_archived(self.deployment):
            await self._wait_for_last_line()
        self._tasks[0].cancel()
        await self._add_rest()
        self.ring.append(done_frame(deployment))
        self.ended = True
        self.wake()

    async def _wait_for_last_line(self) -> None:
        try:
            await asyncio.wait_for(self._complete.wait(), GRACE)
        except TimeoutError:
            logger.warning("a log has no end", deployment=self.deployment)

    async def _add_rest(self) -> None:
        lines = self._logs.lines(self.deployment, self.ring.last_line)
        try:
            while batch := await run_in_threadpool(batch_of, lines):
                for line in batch:
                    self._add(line)
        except RedisError as error:
            logger.warning("the end of a log can't be read", deployment=self.deployment, error=str(error))

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(HEARTBEAT_PAUSE)
            self.ring.append(HEARTBEAT)
            self._wake_soon()


def batch_of(lines: Iterator[Line]) -> list[Line]:
    """The next lines of a log; empty at its end. Blocks."""
    return list(islice(lines, _BATCH))
