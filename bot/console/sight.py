"""Pages that show what operations of the API answer."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from bot.api.refusals import RefusalError
from bot.console.clerk import Clerk
from bot.console.pages import Pages
from bot.console.visitor import visitor
from bot.domain.roles import Verb

Endpoint = Callable[[Request], Awaitable[Response]]
MANY = 100
"""Rows of a list that has no pages of its own."""


class _Asked(dict[str, str]):
    """What a page's address asks for; empty texts for the rest."""

    def __missing__(self, name: str) -> str:
        return ""


@dataclass(frozen=True)
class Read:
    """One operation that a page shows.

    `asks` names the parameters that the page's own address may give it. Without the verb the page shows
    nothing of it.
    """

    operation: str
    query: Mapping[str, Any] = field(default_factory=dict[str, Any])
    asks: tuple[str, ...] = ()
    verb: Verb | None = None


@dataclass(frozen=True)
class Sight:
    """One page: its address, its template, and what the template is given by name."""

    path: str
    template: str
    reads: Mapping[str, Read]
    constants: Mapping[str, Any] = field(default_factory=dict[str, Any])


def all_of(operation: str, verb: Verb | None = None, **query: Any) -> Read:
    """A list, as far as one answer goes."""
    return Read(operation, {"pageSize": MANY, **query}, verb=verb)


class Sights:
    """Shows pages."""

    def __init__(self, pages: Pages, clerk: Clerk) -> None:
        self._pages = pages
        self._clerk = clerk

    def endpoint(self, sight: Sight) -> Endpoint:
        """What shows a page; an answer that says no is shown as one."""

        async def show(request: Request) -> Response:
            return await run_in_threadpool(self._show, sight, request)

        return show

    def _show(self, sight: Sight, request: Request) -> Response:
        path: dict[str, str] = {name: str(value) for name, value in request.path_params.items()}
        asked = _Asked(request.query_params if request.method == "GET" else {})
        try:
            found = {name: self._read(one, path, asked) for name, one in sight.reads.items()}
        except RefusalError as refusal:
            return self._pages.refused(refusal)
        return self._pages.show(
            sight.template, path=path, address=request.url.path, asked=asked, **sight.constants, **found
        )

    def _read(self, one: Read, path: Mapping[str, str], asked: Mapping[str, str]) -> Any:
        if one.verb is not None and not visitor().may(one.verb):
            return None
        given = {name: asked[name] for name in one.asks if asked[name]}
        return self._clerk.read(one.operation, path, {**one.query, **given})


PAGED = ("page",)
"""What lists with pages take from the page's address."""
