"""Where a protected preview sends who wants to sign in, and what sends them back with a hand-over."""

from collections.abc import Callable
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.api.operation import Services
from bot.api.refusals import RefusalError
from bot.api.visitors import Visitors
from bot.domain.roles import Principal, Resource, Verb, Verdict, authorise
from bot.preview_sharing import app_of
from bot.share import PARAMETER, open_signer
from bot.store.engine import reading

PATH = "/previews/enter"
_MAX_TARGET = 2000
_KEPT = "/?[]@!$&'()*+,;=%:-._~"
_UNSEEN = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class PreviewDoor:
    """`GET /previews/enter?host=&to=`: 303 back to the preview, for whoever may read its app.

    Who has not signed in is asked to; what is another's is 404, as is what there is not.
    """

    def __init__(
        self, services: Services, identify: Callable[[Request], Principal], visitors: Visitors
    ) -> None:
        self._services = services
        self._identify = identify
        self._visitors = visitors

    async def enter(self, request: Request) -> Response:
        """Answer one request."""
        return await run_in_threadpool(self._enter, request)

    def _enter(self, request: Request) -> Response:
        host, to = request.query_params.get("host", ""), request.query_params.get("to", "/")
        try:
            may = self._may(request, host)
        except RefusalError as refusal:
            if refusal.status == 429:
                raise HTTPException(429, headers=dict(refusal.headers)) from refusal
            if refusal.status == 403:
                raise HTTPException(404) from refusal
            again = f"{PATH}?host={quote(host, safe='')}&to={quote(to, safe='')}"
            return RedirectResponse(f"/sign-in?next={quote(again, safe='')}", 303, _UNSEEN)
        if not may:
            raise HTTPException(404)
        settings = self._services.settings
        token = open_signer(settings, self._services.clock).hand_over(host)
        to = to.partition("#")[0]
        path = to if to.startswith("/") and len(to) <= _MAX_TARGET else "/"
        # Behind the preview's own address, whatever the path: it can lead to no other site.
        target = f"{settings.site_url(host)}{quote(path, safe=_KEPT)}"
        return RedirectResponse(f"{target}{'&' if '?' in path else '?'}{PARAMETER}={token}", 303, _UNSEEN)

    def _may(self, request: Request, host: str) -> bool:
        with reading(self._services.lifecycle.engine) as tx:
            app = app_of(tx, host, self._services.settings.preview_domain)
        # The preview led the browser here, and that is another site than the console.
        member = self._visitors.led_here(request, app.tenant_id) if app is not None else None
        principal = member or self._identify(request)
        if app is None:
            return False
        return authorise(principal, Verb.READ, Resource(app.tenant_id, app.id)) is Verdict.ALLOWED
