"""The console's addresses, and who may open them."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bot.console.access import Access
from bot.console.deliveries import DeliveryPages
from bot.console.deployment import DeploymentPages
from bot.console.desk import Desk
from bot.console.overview import Overview
from bot.console.pages import Pages
from bot.console.setup import SetupPages
from bot.console.sign_in import SignIn
from bot.logs import LogReader
from bot.store.engine import Engine

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(*, pages: Pages, engine: Engine, logs: LogReader, access: Access, desk: Desk) -> list[BaseRoute]:
    """Every route of the console; all but sign-in and assets need its key."""
    overview, sign_in = Overview(engine, pages), SignIn(access, pages, desk)
    deployments = DeploymentPages(engine, pages, logs)
    setup, deliveries = SetupPages(pages, access, desk), DeliveryPages(pages, desk)
    private = {
        "/": overview.show,
        "/apps/{slug}": overview.show_app,
        "/deployments/{reference}": deployments.show,
        "/deployments/{reference}/standing": deployments.standing,
        "/deployments/{reference}/log.txt": deployments.download,
        "/setup": setup.show,
        "/setup/github": setup.come_back,
        "/setup/apps/{errand:int}": setup.show_app,
        "/deliveries": deliveries.show,
        "/deliveries/{delivery:int}": deliveries.show_one,
    }
    changing = {
        "/setup/refresh": setup.refresh,
        "/setup/apps": setup.make_app,
        "/deliveries/{delivery:int}/replay": deliveries.decide_again,
        "/deliveries/gaps/{guid}/replay": deliveries.fetch,
    }
    return [
        *(Route(path, _guarded(access, endpoint), methods=["GET"]) for path, endpoint in private.items()),
        *(Route(path, _guarded(access, endpoint), methods=["POST"]) for path, endpoint in changing.items()),
        Route("/sign-in", sign_in.show, methods=["GET"]),
        Route("/sign-in", sign_in.take, methods=["POST"]),
        Route("/sign-out", sign_in.leave, methods=["POST"]),
        Route("/assets/{tag}/{name}", _asset_of(pages), methods=["GET"]),
    ]


def _guarded(access: Access, endpoint: Endpoint) -> Endpoint:
    async def guarded(request: Request) -> Response:
        if access.allows(request):
            return await endpoint(request)
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        if request.method != "GET":
            path = "/"
        return RedirectResponse(f"/sign-in?next={quote(path, safe='/')}", 303, {"Cache-Control": "no-store"})

    return guarded


def _asset_of(pages: Pages) -> Endpoint:
    async def asset(request: Request) -> Response:
        found = pages.assets.get(request.path_params["name"])
        if found is None or found.tag != request.path_params["tag"]:
            return pages.problem(404)
        return found.response()

    return asset
