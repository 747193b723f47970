"""`/account`: who one is, which organisation one looks at, one's sessions; and the first owner's password."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot import github_app, passwords
from bot.console.access import Access
from bot.console.clerk import Clerk
from bot.console.desk import Desk
from bot.console.forms import read_form
from bot.console.pages import Pages
from bot.console.sight import MANY
from bot.console.visitor import Visitor, visitor
from bot.domain.audit import Act
from bot.domain.roles import Role
from bot.domain.session import SignedInBy
from bot.sessions import Sessions
from bot.store import apps, audit, installations, people, sessions
from bot.store.engine import reading, writing


class AccountPages:
    """The pages of a person's own account, and the one that makes the first owner."""

    def __init__(self, pages: Pages, desk: Desk, access: Access, own: Sessions, *, clerk: Clerk) -> None:
        self._access = access
        self._clerk = clerk
        self._pages = pages
        self._desk = desk
        self._sessions = own

    async def show(self, _request: Request) -> Response:
        """`GET /account`; the operator has none, but may make the first owner."""
        if visitor().is_operator:
            return _to("/first-owner")
        return await run_in_threadpool(self._page, visitor())

    async def choose(self, request: Request) -> Response:
        """`POST /account/organisation`: look at another organisation."""
        form, who = await read_form(request), visitor()
        wanted = next((one for one in who.tenants if str(one.id) == form.get("organisation")), None)
        if who.session is None or wanted is None:
            return self._pages.problem(404)
        number = who.session.id

        def keep() -> None:
            with writing(self._desk.engine) as tx:
                sessions.choose(tx, number, wanted.id)

        await run_in_threadpool(keep)
        return _to("/")

    async def end(self, request: Request) -> Response:
        """`POST /account/sessions`: end one of one's own sessions."""
        form, who = await read_form(request), visitor()
        await run_in_threadpool(self._end, who, form.get("session", ""))
        return _to("/account")

    async def first_owner(self, _request: Request) -> Response:
        """`GET /first-owner`: for the operator."""
        return await run_in_threadpool(self._first, "")

    async def make_first_owner(self, request: Request) -> Response:
        """`POST /first-owner`: make the first owner, or give that one another password; and sign in so."""
        form = await read_form(request)
        return await run_in_threadpool(self._make_owner, request, form)

    def _page(self, who: Visitor) -> Response:
        assert who.tenant is not None
        assert who.principal.user_id is not None
        tokens = self._clerk.read("listTokens", {}, {"pageSize": MANY})
        with reading(self._desk.engine) as tx:
            return self._pages.show(
                "account.html",
                who=who,
                tokens=tokens,
                scopes=sorted(who.principal.verbs),
                sessions=sessions.of_user(tx, who.principal.user_id, self._desk.clock()),
                installations=installations.of_tenant(tx, who.tenant.id),
                made=github_app.shown(tx, self._desk.settings),
            )

    def _end(self, who: Visitor, word: str) -> None:
        assert who.principal.user_id is not None
        now = self._desk.clock()
        with writing(self._desk.engine) as tx:
            for one in sessions.of_user(tx, who.principal.user_id, now):
                if str(one.id) == word:
                    sessions.revoke(tx, one.id, now)
                    subject = f"session {one.id}"
                    act = Act("revokeSession", who.name, who.principal.key, "console", subject=subject)
                    audit.record(tx, act, now)

    def _first(self, problem: str, status: int = 200) -> Response:
        with reading(self._desk.engine) as tx:
            known, has_owner = people.with_password(tx), people.has_owner(tx)
        if known is None and has_owner:
            return self._pages.problem(404)
        return self._pages.show(
            "first_owner.html", status=status, known=known, problem=problem, shortest=passwords.SHORTEST
        )

    def _make_owner(self, request: Request, form: dict[str, str]) -> Response:
        email, password = form.get("email", "").strip().lower(), form.get("password", "")
        if not passwords.SHORTEST <= len(password) <= passwords.LONGEST:
            return self._first(f"The password needs {passwords.SHORTEST} characters at least.", 422)
        hashed, now = passwords.hashed(password), self._desk.clock()
        with writing(self._desk.engine) as tx:
            known = people.with_password(tx)
            if known is None and people.has_owner(tx):
                return self._pages.problem(404)
            if known is None:
                local, _, domain = email.rpartition("@")
                if not local or not domain or " " in email or len(email) > 254:
                    return self._first("That is not an e-mail address.", 422)
                tenant, _ = apps.ensure_default_scope(tx, now)
                people.ensure_member(tx, tenant, email, name="", role=Role.OWNER, now=now)
                known = people.user_by_email(tx, email)
                assert known is not None
            people.set_password(tx, known.id, hashed)
            # Who knew the old one is out.
            sessions.revoke_all(tx, known.id, now)
            act = Act("firstOwner", visitor().name, "operator", "console", subject=known.email)
            audit.record(tx, act, now)
            secret = self._sessions.begin(tx, request, known, SignedInBy.PASSWORD)
        response = _to("/")
        self._access.sign_out(response)
        self._sessions.give(response, secret)
        return response


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})
