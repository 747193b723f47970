"""`/invitation`: where the link of an invitation leads. Its secret is the fragment, which a script takes."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.attempts import Attempts
from bot.console.access import Access, is_same_origin
from bot.console.desk import Desk
from bot.console.forms import read_form
from bot.console.pages import Pages
from bot.domain.audit import Act
from bot.domain.session import SignedInBy
from bot.invitations import InvitationEndedError, accept, find_open
from bot.sessions import Sessions
from bot.store import audit, people
from bot.store.engine import writing


class InvitationPages:
    """The page, and its button. The link proves who one is: it was sent to the address alone."""

    def __init__(self, pages: Pages, desk: Desk, access: Access, sessions: Sessions) -> None:
        self._pages = pages
        self._desk = desk
        self._access = access
        self._sessions = sessions
        self._attempts = Attempts()

    async def show(self, _request: Request) -> Response:
        """`GET /invitation`."""
        return self._pages.show("invitation.html", problem="")

    async def take(self, request: Request) -> Response:
        """`POST /invitation`: become a member, and begin a session in that organisation."""
        if not is_same_origin(request):
            return self._pages.problem(403)
        form = await read_form(request)
        address = request.client.host if request.client else ""
        if pause := self._attempts.pause(address):
            problem = f"Too many attempts. Try again in {int(pause) + 1} seconds."
            return self._pages.show("invitation.html", status=429, problem=problem)
        try:
            return await run_in_threadpool(self._join, request, form.get("secret", ""), form.get("name", ""))
        except InvitationEndedError as error:
            self._attempts.failed(address)
            return self._pages.show("invitation.html", status=403, problem=str(error))

    def _join(self, request: Request, secret: str, name: str) -> Response:
        present, now = self._sessions.find(request), self._desk.clock()
        begun = None
        with writing(self._desk.engine) as tx:
            found = find_open(tx, secret.strip(), now)
            user = accept(tx, found, name=" ".join(name.split())[:100], now=now)
            act = Act(
                "invitation.accepted",
                user.email,
                f"user:{user.id}",
                request.client.host if request.client else "",
                tenant_id=found.tenant_id,
                subject=f"invitation of {found.email}",
                after={"role": found.role},
            )
            audit.record(tx, act, now)
            has_own = present is not None and present.user_id == user.id and not present.is_bound
            if not has_own:
                tenant = people.tenant_by_id(tx, found.tenant_id).id
                begun = self._sessions.begin(tx, request, user, SignedInBy.INVITATION, tenant=tenant)
        response = RedirectResponse("/", 303, headers={"Cache-Control": "no-store"})
        if begun is not None:
            self._access.sign_out(response)
            self._sessions.give(response, begun)
        return response
