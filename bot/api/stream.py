"""`GET /api/v1/deployments/{deployment}/stream`: a deployment's log and state as Server-Sent Events."""

from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from bot.api.envelope import failure
from bot.api.feed import batch_of
from bot.api.feeds import Feeds
from bot.api.frames import OPENING, StreamQuery, done_frame, log_frame, status_frame
from bot.api.handover import HandOver, hand_over_of
from bot.api.reading import parameters, request_id_of
from bot.api.refusals import RefusalError, not_found
from bot.api.viewer import Viewer
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
    """The endpoint. Who follows a log that goes on leaves the machinery of requests (`bot.api.handover`).

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
        line, told = _last_seen(request), (b"x-request-id", request_id_of(request).encode())
        if request.method == "HEAD":
            await send(_head(told))
            await send(_body(b"", more=False))
        elif found.state.is_final and self._feeds.logs.is_archived(found.id):
            await send(_head(told))
            await self._replay(found, line, send)
        else:
            await send(_head(told, (b"connection", b"close")))
            await self._follow(found, line, hand_over_of(scope))

    async def _replay(self, deployment: Deployment, line: int, send: Send) -> None:
        steps = await run_in_threadpool(self._steps, deployment.id)
        await send(_body(OPENING + status_frame(deployment, steps)))
        lines = self._feeds.logs.lines(deployment.id, line)
        while batch := await run_in_threadpool(batch_of, lines):
            await send(_body(b"".join(map(log_frame, batch))))
        await send(_body(done_frame(deployment), more=False))

    async def _follow(self, deployment: Deployment, line: int, hand_over: HandOver) -> None:
        async with self._feeds.watch(deployment.id) as feed:
            viewer = Viewer(feed, line)
            hand_over(viewer)
            viewer.begin(OPENING + feed.status)

    async def _find(self, request: Request) -> Deployment | Response:
        try:
            return await run_in_threadpool(self._admitted, request)
        except RefusalError as refusal:
            return failure(refusal, request_id=request_id_of(request))

    def _admitted(self, request: Request) -> Deployment:
        self._admit(request)
        parameters(request, StreamQuery)
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


def _head(*more: tuple[bytes, bytes]) -> Message:
    return {"type": "http.response.start", "status": 200, "headers": [*_HEADERS, *more]}


def _body(data: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def _last_seen(request: Request) -> int:
    """Number of the last line that a viewer has; a browser that comes back says so in a header."""
    for text in (request.headers.get("last-event-id"), request.query_params.get("after")):
        if text and text.isascii() and text.isdigit() and len(text) <= 15:
            return int(text)
    return 0
