"""`/deliveries`: what GitHub told, what was decided and why, what is missing, and both once more."""

from collections.abc import Sequence

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bot.console.access import is_same_origin
from bot.console.desk import Desk, address_of
from bot.console.pages import Pages
from bot.domain.errand import ErrandKind
from bot.domain.ids import DeliveryId, DeploymentId
from bot.explain import explain_one
from bot.store import deliveries, delivery_list, deployments, gaps, polls
from bot.store.deliveries import DECIDED, FAILED, RECEIVED, StoredDecision
from bot.store.engine import reading

ROWS = 50
_GAPS = 50


class DeliveryPages:
    """The list of deliveries, the page of one, and the buttons of both."""

    def __init__(self, pages: Pages, desk: Desk) -> None:
        self._pages = pages
        self._desk = desk

    async def show(self, request: Request) -> Response:
        """The list; `?state=` narrows it, `?before=` pages through it."""
        state, before = request.query_params.get("state", ""), request.query_params.get("before", "")
        chosen = state if state in (RECEIVED, DECIDED, FAILED) else ""
        return await run_in_threadpool(self._list, chosen, _number(before))

    async def show_one(self, request: Request) -> Response:
        """One delivery, explained."""
        return await run_in_threadpool(self._one, request.path_params["delivery"])

    async def decide_again(self, request: Request) -> Response:
        """`POST /deliveries/{id}/replay`: decide about one that failed; a decided one stays as it is."""
        if not is_same_origin(request):
            return self._pages.problem(403)
        number: int = request.path_params["delivery"]
        if number < 2**62:
            await run_in_threadpool(self._desk.decide_again, DeliveryId(number), address_of(request))
        return _to(f"/deliveries/{number}")

    async def fetch(self, request: Request) -> Response:
        """`POST /deliveries/gaps/{guid}/replay`: have GitHub deliver what is missing here."""
        if not is_same_origin(request):
            return self._pages.problem(403)
        guid: str = request.path_params["guid"]
        if not await run_in_threadpool(self._is_gap, guid):
            return self._pages.problem(404)
        await run_in_threadpool(
            self._desk.ask, ErrandKind.REDELIVER, {"guid": guid}, origin=address_of(request)
        )
        return _to("/deliveries")

    def _list(self, state: str, before: int | None) -> Response:
        with reading(self._desk.engine) as tx:
            rows = delivery_list.page(tx, state=state, before=before, limit=ROWS)
            counts = delivery_list.counts(tx)
            check, poll = gaps.last_check(tx), polls.last(tx)
        missing = sorted(check.open.items(), key=lambda pair: pair[1].delivered_at, reverse=True)
        return self._pages.show(
            "deliveries.html",
            rows=rows,
            state=state,
            counts=counts,
            check=check,
            missing=missing[:_GAPS],
            poll=poll,
            polls=self._desk.settings.intake == "poll",
            fetching=self._desk.newest(ErrandKind.REDELIVER),
            last=rows[-1].id if len(rows) == ROWS else None,
        )

    def _one(self, number: int) -> Response:
        with reading(self._desk.engine) as tx:
            found = deliveries.get(tx, DeliveryId(number)) if number < 2**62 else None
            if found is None:
                return self._pages.problem(404)
            sentences = explain_one(tx, found)
            decided = deliveries.decisions_of(tx, found.id)
            listed = [one for number in _made(decided) if (one := deployments.find(tx, number)) is not None]
            told = next(iter(delivery_list.page(tx, before=number + 1, limit=1)), None)
        return self._pages.show(
            "delivery.html",
            delivery=found,
            told=told,
            sentences=sentences,
            decisions=decided,
            deployments=listed,
        )

    def _is_gap(self, guid: str) -> bool:
        with reading(self._desk.engine) as tx:
            return guid in gaps.last_check(tx).open


def _made(decided: Sequence[StoredDecision]) -> list[DeploymentId]:
    found: list[DeploymentId] = []
    for decision in decided:
        made: list[DeploymentId] = decision.facts.get("deployments") or []
        found += made
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _to(path: str) -> Response:
    return RedirectResponse(path, 303, headers={"Cache-Control": "no-store"})
