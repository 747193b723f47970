"""The console's addresses, and who may open them."""

from collections.abc import Awaitable, Callable
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from bot.api.operation import Services
from bot.api.rates import Limiter
from bot.console.access import Access, is_same_origin
from bot.console.account import AccountPages
from bot.console.clerk import Clerk
from bot.console.deed import Deeds
from bot.console.deeds import OF_APPS, OF_DEPLOYMENTS, OF_ENVIRONMENTS
from bot.console.deliveries import DeliveryPages
from bot.console.deployment import DeploymentPages
from bot.console.desk import Desk
from bot.console.forms import MAX_OWN_FORM, read_form
from bot.console.invitation import InvitationPages
from bot.console.login import Login
from bot.console.notice import say
from bot.console.org_deeds import OF_ACCOUNTS, OF_ORGS
from bot.console.overview import Overview
from bot.console.pages import Pages
from bot.console.providers import Ways
from bot.console.setup import SetupPages
from bot.console.sight import Sights
from bot.console.sights import SIGHTS
from bot.console.sign_in import SignIn
from bot.console.visitor import Doors, Visitor, enter
from bot.oidc import Issuer
from bot.sessions import Sessions

Endpoint = Callable[[Request], Awaitable[Response]]
DEEDS = (*OF_DEPLOYMENTS, *OF_ENVIRONMENTS, *OF_APPS, *OF_ORGS, *OF_ACCOUNTS)


def routes(
    pages: Pages,
    services: Services,
    limiter: Limiter,
    *,
    access: Access,
    desk: Desk,
    issuer: Issuer | None = None,
) -> list[BaseRoute]:
    """Every route of the console; all but signing in and assets are for who is signed in."""
    engine = services.lifecycle.engine
    sessions = Sessions(engine, public_url=desk.settings.url, clock=desk.clock)
    ways = Ways(desk.settings, engine, desk.vault, issuer)
    guard = Guard(pages, Doors(engine, access, sessions), sessions)
    clerk = Clerk(services, limiter)
    account = AccountPages(pages, desk, access, sessions, clerk=clerk)
    return [
        *_of_everybody(pages, access, desk, sessions=sessions, ways=ways),
        *_of_people(guard, pages, services, account=account, clerk=clerk),
        *_of_operator(guard, pages, access, desk=desk, account=account),
    ]


def _of_everybody(
    pages: Pages, access: Access, desk: Desk, *, sessions: Sessions, ways: Ways
) -> list[BaseRoute]:
    sign_in = SignIn(access, pages, sessions=sessions, desk=desk, ways=ways)
    login = Login(pages, desk, access, sessions, ways)
    invitation = InvitationPages(pages, desk, access, sessions)
    return [
        Route("/sign-in", sign_in.show, methods=["GET"]),
        Route("/sign-in", sign_in.take, methods=["POST"]),
        Route("/sign-in/password", login.with_password, methods=["POST"]),
        Route("/sign-in/{provider}", login.leave_for, methods=["GET"]),
        Route("/sign-in/{provider}/callback", login.come_back, methods=["GET"]),
        Route("/sign-out", sign_in.leave, methods=["POST"]),
        Route("/invitation", invitation.show, methods=["GET"]),
        Route("/invitation", invitation.take, methods=["POST"]),
        Route("/assets/{tag}/{name}", _asset_of(pages), methods=["GET"]),
    ]


def _of_people(
    guard: "Guard", pages: Pages, services: Services, *, account: AccountPages, clerk: Clerk
) -> list[BaseRoute]:
    engine = services.lifecycle.engine
    overview, deployments = Overview(engine, pages), DeploymentPages(engine, pages, services.logs, clerk)
    sights = Sights(pages, clerk)
    shown = {
        "/": overview.show,
        "/apps/{app}": overview.show_app,
        "/deployments/{deployment}": deployments.show,
        "/deployments/{deployment}/standing": deployments.standing,
        "/deployments/{deployment}/log.txt": deployments.download,
        "/account": account.show,
        **{sight.path: sights.endpoint(sight) for sight in SIGHTS},
    }
    deeds = Deeds(pages, clerk, shown)
    changing = {
        "/account/organisation": account.choose,
        "/account/sessions": account.end,
        **{deed.path: deeds.endpoint(deed) for deed in DEEDS},
    }
    return [
        *(Route(path, guard.over(one), methods=["GET"]) for path, one in shown.items()),
        *(Route(path, guard.over(one), methods=["POST"]) for path, one in changing.items()),
    ]


def _of_operator(
    guard: "Guard", pages: Pages, access: Access, *, desk: Desk, account: AccountPages
) -> list[BaseRoute]:
    setup, deliveries = SetupPages(pages, access, desk), DeliveryPages(pages, desk)
    shown = {
        "/setup/github": setup.come_back,
        "/setup/apps/{errand:int}": setup.show_app,
        "/deliveries": deliveries.show,
        "/deliveries/{delivery:int}": deliveries.show_one,
        "/first-owner": account.first_owner,
    }
    changing = {
        "/setup/refresh": setup.refresh,
        "/setup/apps": setup.make_app,
        "/deliveries/{delivery:int}/replay": deliveries.decide_again,
        "/deliveries/gaps/{guid}/replay": deliveries.fetch,
        "/first-owner": account.make_first_owner,
    }
    return [
        # GitHub sends everybody there who installed the App.
        Route("/setup", guard.over(setup.show), methods=["GET"]),
        *(Route(path, guard.over(one, alone=True), methods=["GET"]) for path, one in shown.items()),
        *(Route(path, guard.over(one, alone=True), methods=["POST"]) for path, one in changing.items()),
    ]


class Guard:
    """Lets in who is signed in, and takes forms of our own pages alone."""

    def __init__(self, pages: Pages, doors: Doors, sessions: Sessions) -> None:
        self._pages = pages
        self._doors = doors
        self._sessions = sessions

    def over(self, endpoint: Endpoint, *, alone: bool = False) -> Endpoint:
        """An endpoint behind the guard; with `alone`, for the operator alone."""

        async def guarded(request: Request) -> Response:
            who = await run_in_threadpool(self._doors.visitor_of, request)
            if who is None:
                return _to_sign_in(request)
            enter(who)
            if alone and not who.is_operator:
                return self._pages.problem(404)
            if request.method not in ("GET", "HEAD") and not await self._is_ours(request, who):
                return self._pages.problem(403)
            say(request.query_params.get("said", ""))
            return await endpoint(request)

        return guarded

    async def _is_ours(self, request: Request, who: Visitor) -> bool:
        if not is_same_origin(request):
            return False
        token = (await read_form(request, MAX_OWN_FORM)).get("token", "")
        return who.is_operator or self._sessions.is_form_token(request, token)


def _to_sign_in(request: Request) -> Response:
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if request.method != "GET":
        path = "/"
    return RedirectResponse(f"/sign-in?next={quote(path, safe='/')}", 303, {"Cache-Control": "no-store"})


def _asset_of(pages: Pages) -> Endpoint:
    async def asset(request: Request) -> Response:
        found = pages.assets.get(request.path_params["name"])
        if found is None or found.tag != request.path_params["tag"]:
            return pages.problem(404)
        return found.response()

    return asset
