"""`GET /api/v1/deployments/{deployment}/stream`: a deployment's log and state as Server-Sent Events."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from bot.api.envelope import failure
from bot.api.feed import Feed, Feeds, batch_of
from bot.api.frames import OPENING, done_frame, log_frame, status_frame
from bot.api.reading import request_id_of
from bot.api.refusals import RefusalError, not_found
from bot.api.ring import Chunk
from bot.domain.deployment import Deployment
from bot.domain.ids import DeploymentId, parse_reference
from bot.store import deployments, steps
from bot.store.engine import reading
from bot.store.steps import Step

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    # nginx would gather the frames otherwise.
    (b"x-accel-buffering", b"no"),
]


class Stream:
    """The endpoint, without a response object: that would more than double what a viewer costs.

    `admit` raises `RefusalError` unless the caller of a request may see its deployment. It blocks.
    """

    def __init__(self, feeds: Feeds, admit: Callable[[Request], object]) -> None:
        self._feeds = feeds
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one viewer until the log ends or the viewer leaves."""
        request = Request(scope)
        found = await self._find(request)
        if isinstance(found, Response):
            await found(scope, receive, send)
            return
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        if found.state.is_final and self._feeds.logs.is_archived(found.id):
            await self._replay(found, _last_seen(request), send)
        else:
            await self._follow(found, request, receive, send)

    async def _replay(self, deployment: Deployment, line: int, send: Send) -> None:
        steps = await run_in_threadpool(self._steps, deployment.id)
        await send(_body(OPENING + status_frame(deployment, steps)))
        lines = self._feeds.logs.lines(deployment.id, line)
        while batch := await run_in_threadpool(batch_of, lines):
            await send(_body(b"".join(map(log_frame, batch))))
        await send(_body(done_frame(deployment), more=False))

    async def _follow(self, deployment: Deployment, request: Request, receive: Receive, send: Send) -> None:
        async with self._feeds.watch(deployment.id) as feed:
            viewer = _Viewer(feed, send, _last_seen(request))
            leaving = asyncio.create_task(_notice_leaving(viewer, receive))
            try:
                await viewer.serve()
            finally:
                leaving.cancel()
        if not viewer.is_gone:
            await send(_body(b"", more=False))

    async def _find(self, request: Request) -> Deployment | Response:
        try:
            return await run_in_threadpool(self._admitted, request)
        except RefusalError as refusal:
            return failure(refusal, request_id=request_id_of(request))

    def _admitted(self, request: Request) -> Deployment:
        self._admit(request)
        word = request.path_params["deployment"]
        named = parse_reference(word)
        found = self._deployment(named) if named is not None else None
        if found is None:
            raise not_found("deployment", word)
        return found

    def _deployment(self, named: DeploymentId) -> Deployment | None:
        with reading(self._feeds.engine) as tx:
            return deployments.find(tx, named)

    def _steps(self, deployment: DeploymentId) -> list[Step]:
        with reading(self._feeds.engine) as tx:
            return steps.of_deployment(tx, deployment)


class _Viewer:
    def __init__(self, feed: Feed, send: Send, line: int) -> None:
        self.feed = feed
        self.is_gone = False
        self._send = send
        self._line = line

    async def serve(self) -> None:
        await self.give(OPENING + self.feed.status)
        position = -1
        while not self.is_gone:
            if position < self.feed.ring.start:
                position = await self._find_place()
            elif chunk := self._take(position):
                position, self._line = chunk.position, max(self._line, chunk.line)
                await self.give(chunk.data)
            elif self.feed.ended:
                return
            else:
                await self.feed.news()

    def _take(self, position: int) -> Chunk | None:
        ring = self.feed.ring
        if self._line > ring.line_before(position):
            return ring.take_past(position, self._line)
        return ring.take(position)

    async def give(self, data: bytes) -> None:
        if data:
            await self._send(_body(data))

    async def _find_place(self) -> int:
        if self._line < self.feed.ring.floor:
            self._line = await self.feed.catch_up(self._line, self.give)
        if self._line < self.feed.ring.floor:
            return -1
        return self.feed.ring.position_after(self._line)


async def _notice_leaving(viewer: _Viewer, receive: Receive) -> None:
    with suppress(asyncio.CancelledError):
        while (await receive())["type"] != "http.disconnect":
            pass
        viewer.is_gone = True
        viewer.feed.wake()


def _body(data: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _last_seen(request: Request) -> int:
    """Number of the last line that a viewer has; a browser that comes back says so in a header."""
    for text in (request.headers.get("last-event-id"), request.query_params.get("after")):
        if text and text.isascii() and text.isdigit() and len(text) <= 15:
            return int(text)
    return 0
