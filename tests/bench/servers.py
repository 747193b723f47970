"""Servers to measure the webhook against, set up as `bot.web` is.

`python -m tests.bench.servers KIND PORT URL`.

`bare` verifies the signature and stores nothing. `rq` verifies it and calls `rq.Queue.enqueue` in Starlette's
thread pool, as one would write it at first.
"""

import hmac
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn
from redis import Redis
from rq import Queue
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.web import PatientProtocol
from tests.web import SECRET

Take = Callable[[bytes, str], Awaitable[None]]


async def _nothing(_body: bytes, _guid: str) -> None:
    pass


def _enqueuing(url: str) -> Take:
    # RQ leaves its arguments without types.
    queue: Any = Queue("bench", connection=Redis.from_url(url))

    async def take(body: bytes, guid: str) -> None:
        await run_in_threadpool(queue.enqueue, "jobs.intake.intake", json.loads(body), job_id=guid)

    return take


def _app(take: Take) -> Starlette:
    async def hook(request: Request) -> Response:
        body = await request.body()
        expected = "sha256=" + hmac.digest(SECRET, body, "sha256").hex()
        if not hmac.compare_digest(expected, request.headers.get("x-hub-signature-256", "")):
            return Response(status_code=401)
        guid = request.headers["x-github-delivery"]
        await take(body, guid)
        return JSONResponse({"delivery": guid}, 202)

    return Starlette(routes=[Route("/webhooks/github", hook, methods=["POST"])])


def main(kind: str, port: int, url: str) -> None:
    """Serve until killed."""
    take = _enqueuing(url) if kind == "rq" else _nothing
    uvicorn.run(
        _app(take),
        port=port,
        loop="uvloop",
        http=PatientProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
