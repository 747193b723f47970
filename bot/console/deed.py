"""Forms of pages: what they ask for of the API, and where one goes on to."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.api.refusals import RefusalError
from bot.console.clerk import Clerk
from bot.console.desk import address_of
from bot.console.forms import Form, read_form
from bot.console.notice import say_no
from bot.console.pages import Pages

Endpoint = Callable[[Request], Awaitable[Response]]


def _nothing(_form: Form) -> Mapping[str, Any]:
    return {}


@dataclass(frozen=True)
class Deed:
    """One form. It posts to `path`, whose parts are the operation's.

    `back` is the page that it is on, which shows why it was refused; `to` is where one goes on to, which
    may name fields of the answer. With `reveals` the answer's field of that name is shown, this once.
    """

    path: str
    operation: str
    back: str
    said: str
    body: Callable[[Form], Mapping[str, Any]] = _nothing
    to: str = ""
    reveals: str = ""


class Deeds:
    """Carries out forms."""

    def __init__(self, pages: Pages, clerk: Clerk, shown: Mapping[str, Endpoint]) -> None:
        """`shown` has the endpoints of pages by their paths."""
        self._pages = pages
        self._clerk = clerk
        self._shown = shown

    def endpoint(self, deed: Deed) -> Endpoint:
        """What a form posts to."""
        page = self._shown[deed.back]

        async def act(request: Request) -> Response:
            form = await read_form(request)
            path: dict[str, str] = {name: str(value) for name, value in request.path_params.items()}
            try:
                made = await run_in_threadpool(
                    self._clerk.do, deed.operation, path, deed.body(form), origin=address_of(request)
                )
            except RefusalError as refusal:
                return await self._refused(request, page, refusal, form=form)
            facts = {**path, **(_facts(made))}
            secret = getattr(made, deed.reveals, None) if deed.reveals else None
            if secret is not None:
                return self._pages.show(
                    "secret.html", kind=deed.reveals, secret=secret, made=made, back=deed.back.format(**path)
                )
            return _to(f"{(deed.to or deed.back).format(**facts)}?said={deed.said}")

        return act

    async def _refused(
        self, request: Request, page: Endpoint, refusal: RefusalError, *, form: Form
    ) -> Response:
        say_no(refusal, form)
        if refusal.status == 404:
            return self._pages.refused(refusal)
        answer = await page(request)
        if answer.status_code == 200:
            answer.status_code = refusal.status
        return answer


def _facts(made: object) -> dict[str, str]:
    return {name: str(getattr(made, name)) for name in ("id", "reference") if hasattr(made, name)}


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})
