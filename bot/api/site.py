"""The API as a part of the web process: its routes, its document, its streams."""

from collections.abc import Callable

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from bot.api import openapi, preview_door
from bot.api.archive import Archive
from bot.api.audit_export import AuditExport
from bot.api.auth import Gate
from bot.api.dispatch import Dispatcher
from bot.api.feeds import Feeds
from bot.api.hook_door import HookDoor
from bot.api.operation import Services
from bot.api.preview_door import PreviewDoor
from bot.api.rates import Limiter
from bot.api.releases import DOWNLOAD
from bot.api.routes import OPERATIONS, PREFIX, Unknown, routes
from bot.api.stream import Stream
from bot.api.visitors import Visitors
from bot.shelf import Shelf

_SHARED = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}


def api_routes(
    services: Services,
    *,
    feeds: Feeds,
    limiter: Limiter,
    is_operator: Callable[[Request], bool],
    visitors: Visitors,
) -> list[BaseRoute]:
    """Every route below `/api/v1`, the door to protected previews, and the addresses of deploy hooks.

    `is_operator` says whether a request carries the instance's own key.
    """
    engine, clock = services.lifecycle.engine, services.clock
    gate = Gate(engine, is_operator=is_operator, visitors=visitors, clock=clock)
    dispatcher = Dispatcher(services, gate, limiter)
    shelf = Shelf(services.settings.artifacts)
    admit = {one.id: dispatcher.admission(one) for one in OPERATIONS if one.streams}
    streams: dict[str, ASGIApp] = {
        "streamDeployment": Stream(feeds, admit["streamDeployment"]),
        "exportAudit": AuditExport(services.lifecycle.engine, admit["exportAudit"]),
        DOWNLOAD: Archive(shelf, admit[DOWNLOAD]),
    }
    return [
        Route(preview_door.PATH, PreviewDoor(services, gate.identify, visitors).enter, methods=["GET"]),
        Route(f"{PREFIX}/openapi.json", _document, methods=["GET"]),
        *routes(dispatcher, streams),
        Route(PREFIX, Unknown()),
        Route(f"{PREFIX}/{{rest:path}}", Unknown()),
        Route("/hooks/{token}", HookDoor(services, limiter).answer, methods=["POST"]),
    ]


async def _document(_request: Request) -> Response:
    # Made at the first request: few processes are ever asked for it.
    text = await run_in_threadpool(lambda: msgspec.json.encode(openapi.document()))
    return Response(text, media_type="application/json", headers=_SHARED)
