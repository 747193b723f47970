"""The sign-in page: a form for the console key, filled by a link's fragment."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.attempts import Attempts
from bot.console.access import Access, is_same_origin, local_path
from bot.console.desk import Desk
from bot.console.forms import read_form
from bot.console.pages import Pages
from bot.console.providers import Ways
from bot.sessions import Sessions
from bot.store import people, sessions
from bot.store.engine import reading, writing


class SignIn:
    """Shows the form, takes the key, and signs out."""

    def __init__(self, access: Access, pages: Pages, *, sessions: Sessions, desk: Desk, ways: Ways) -> None:
        self._sessions = sessions
        self._desk = desk
        self._ways = ways
        self._access = access
        self._pages = pages
        self._attempts = Attempts()

    async def show(self, request: Request) -> Response:
        """`GET /sign-in`."""
        following = local_path(request.query_params.get("next"))
        return await run_in_threadpool(self._form, following)

    async def take(self, request: Request) -> Response:
        """`POST /sign-in`: 303 with the cookie; 403 for a wrong key; 429 after several."""
        if not is_same_origin(request):
            return self._pages.problem(403)
        form = await read_form(request)
        following = local_path(form.get("next"))
        address = request.client.host if request.client else ""
        if pause := self._attempts.pause(address):
            return self._refuse_for(pause, following)
        if not self._access.is_key(form.get("key", "").strip()):
            self._attempts.failed(address)
            return self._form(following, status=403, problem="That is not this instance's console key.")
        self._attempts.succeeded(address)
        response = RedirectResponse(following, 303, headers={"Cache-Control": "no-store"})
        self._access.sign_in(response)
        self._sessions.take_back(response)
        return response

    async def leave(self, request: Request) -> Response:
        """`POST /sign-out`."""
        if not is_same_origin(request):
            return self._pages.problem(403)
        response = RedirectResponse("/sign-in", 303, headers={"Cache-Control": "no-store"})
        await run_in_threadpool(self._end_session, request)
        self._access.sign_out(response)
        self._sessions.take_back(response)
        return response

    def _end_session(self, request: Request) -> None:
        found = self._sessions.find(request)
        if found is not None:
            with writing(self._desk.engine) as tx:
                sessions.revoke(tx, found.id, self._desk.clock())

    def _form(self, following: str, *, status: int = 200, problem: str = "") -> Response:
        with reading(self._desk.engine) as tx:
            has_password = people.with_password(tx) is not None
        return self._pages.show(
            "sign_in.html",
            status=status,
            following=following,
            problem=problem,
            ways=self._ways.all(),
            has_password=has_password,
        )

    def _refuse_for(self, pause: float, following: str) -> Response:
        seconds = int(pause) + 1
        refused = self._form(
            following, status=429, problem=f"Too many attempts. Try again in {seconds} seconds."
        )
        refused.headers["Retry-After"] = str(seconds)
        return refused
