"""Signing in as a person: at a provider and back, or by the first owner's password; and signing out."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
from anyio import CapacityLimiter, to_thread
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot import passwords
from bot.attempts import Attempts
from bot.console.access import Access, is_same_origin, local_path
from bot.console.binding import bind_installation
from bot.console.desk import Desk
from bot.console.forms import read_form
from bot.console.pages import Pages
from bot.console.providers import Asked, NotSignedInError, Person, Provider, Ways, new_asked
from bot.domain.audit import Act
from bot.domain.ids import TenantId
from bot.domain.session import SignedInBy
from bot.errors import PlatformError
from bot.sessions import Sessions
from bot.store import audit, people
from bot.store.engine import Tx, reading, writing
from bot.store.people import User

T = TypeVar("T")
LIFE = timedelta(minutes=10)
"""How long somebody may take at the provider."""
_AT_ONCE = 4


@dataclass(frozen=True)
class Login:
    """`/sign-in/...`: what begins a session."""

    pages: Pages
    desk: Desk
    access: Access
    sessions: Sessions
    ways: Ways
    attempts: Attempts = field(default_factory=Attempts)
    # Apart from the threads of all other requests: a provider may be slow.
    limiter: CapacityLimiter = field(default_factory=lambda: CapacityLimiter(_AT_ONCE))

    @property
    def cookie(self) -> str:
        """Where the browser keeps what we asked the provider for; sealed."""
        return f"{self.sessions.cookie}-login"

    @property
    def _is_secure(self) -> bool:
        return self.cookie.startswith("__Host-")

    async def leave_for(self, request: Request) -> Response:
        """`GET /sign-in/{provider}`: send the browser there."""
        name = request.path_params["provider"]
        provider = await self._provider(name)
        if provider is None:
            return self.pages.problem(404)
        asked = await run_in_threadpool(self._new_asked, request, name)
        try:
            where = await self._apart(lambda: provider.address(asked, self._back(name)))
        except NotSignedInError as error:
            return self._refuse(str(error), status=503)
        response = RedirectResponse(where, 303, headers={"Cache-Control": "no-store"})
        sealed = self.desk.vault.seal(msgspec.json.encode(asked)).decode()
        seconds = int(LIFE.total_seconds())
        response.set_cookie(
            self.cookie, sealed, max_age=seconds, secure=self._is_secure, httponly=True, samesite="lax"
        )
        return response

    def _new_asked(self, request: Request, name: str) -> Asked:
        until = (self.desk.clock() + LIFE).timestamp()
        asked = new_asked(name, local_path(request.query_params.get("next")), until)
        number = request.query_params.get("installation", "")
        if not (number.isascii() and number.isdigit() and len(number) < 19):
            return asked
        session = self.sessions.find(request)
        tenant = session.tenant_id if session is not None else None
        return msgspec.structs.replace(asked, installation=int(number), tenant=tenant)

    async def come_back(self, request: Request) -> Response:
        """`GET /sign-in/{provider}/callback`: the provider sends the browser here, with a code."""
        name, code = request.path_params["provider"], request.query_params.get("code", "")
        asked, provider = self._asked(request), await self._provider(name)
        known = asked is not None and asked.provider == name
        if asked is None or provider is None or not known or asked.state != request.query_params.get("state"):
            return self._refuse("This sign-in was not begun here within the last ten minutes. Try again.")
        if not 0 < len(code) < 2000:
            return self._refuse("You were not signed in there. Try again.")
        try:
            person = await self._apart(lambda: provider.person(asked, code, self._back(name)))
            return await run_in_threadpool(self._begin, request, person, asked, via=provider.via)
        except NotSignedInError as error:
            return self._refuse(str(error))

    async def with_password(self, request: Request) -> Response:
        """`POST /sign-in/password`: the first owner's."""
        if not is_same_origin(request):
            return self.pages.problem(403)
        form = await read_form(request)
        address = request.client.host if request.client else ""
        if pause := self.attempts.pause(address):
            refused = self._refuse(f"Too many attempts. Try again in {int(pause) + 1} seconds.", status=429)
            refused.headers["Retry-After"] = str(int(pause) + 1)
            return refused
        # Before it is looked at: many at once would be as many tries.
        self.attempts.failed(address)
        user = await run_in_threadpool(self._checked, form.get("email", ""), form.get("password", ""))
        if user is None:
            return self._refuse("The address or the password is wrong.")
        self.attempts.succeeded(address)
        following = local_path(form.get("next"))
        return await run_in_threadpool(self._enter, request, user, SignedInBy.PASSWORD, following=following)

    def _checked(self, email: str, password: str) -> User | None:
        with reading(self.desk.engine) as tx:
            user = people.user_by_email(tx, email.strip().lower())
            stored = people.password_of(tx, user.id) if user is not None else None
        return user if passwords.is_password(password[: passwords.LONGEST], stored) else None

    def _begin(self, request: Request, person: Person, asked: Asked, *, via: SignedInBy) -> Response:
        with reading(self.desk.engine) as tx:
            user = next((one for email in person.emails if (one := _member(tx, email)) is not None), None)
        if user is None:
            told = " or ".join(person.emails[:3]) or "no verified address"
            raise NotSignedInError(f"{told} belongs to no organisation here. Ask an owner for an invitation.")
        following = asked.following
        if asked.installation is not None:
            tenant = TenantId(asked.tenant) if asked.tenant is not None else None
            following = bind_installation(
                self.desk, self.ways, user, person=person, number=asked.installation, tenant=tenant
            )
        return self._enter(request, user, via, following=following)

    def _enter(self, request: Request, user: User, via: SignedInBy, *, following: str) -> Response:
        now = self.desk.clock()
        with writing(self.desk.engine) as tx:
            secret = self.sessions.begin(tx, request, user, via)
            origin = request.client.host if request.client else ""
            act = Act("console.signed-in", user.email, f"user:{user.id}", origin, subject=f"by {via}")
            audit.record(tx, act, now)
        response = RedirectResponse(following, 303, headers={"Cache-Control": "no-store"})
        self.access.sign_out(response)
        self.sessions.give(response, secret)
        response.delete_cookie(self.cookie, secure=self._is_secure, httponly=True, samesite="lax")
        return response

    async def _provider(self, name: str) -> Provider | None:
        try:
            return (await run_in_threadpool(self.ways.all)).get(name)
        except PlatformError:
            return None

    async def _apart(self, act: Callable[[], T]) -> T:
        return await to_thread.run_sync(act, limiter=self.limiter)

    def _asked(self, request: Request) -> Asked | None:
        try:
            content = self.desk.vault.open(request.cookies.get(self.cookie, "").encode())
            asked = msgspec.json.decode(content, type=Asked)
        except (PlatformError, msgspec.DecodeError):
            return None
        return asked if asked.until > self.desk.clock().timestamp() else None

    def _back(self, name: str) -> str:
        return f"{self.desk.settings.url}/sign-in/{name}/callback"

    def _refuse(self, problem: str, *, status: int = 403) -> Response:
        facts: dict[str, Any] = {"code": status, "title": "Not signed in", "advice": problem}
        return self.pages.show("problem.html", status=status, **facts)


def _member(tx: Tx, email: str) -> User | None:
    user = people.user_by_email(tx, email)
    return user if user is not None and people.memberships(tx, user.id) else None
