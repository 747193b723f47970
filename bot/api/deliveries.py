"""Deliveries: what GitHub told, and what was decided about it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.refusals import Code, conflict, not_found
from bot.domain.ids import DeploymentId, TenantId, reference
from bot.domain.roles import Verb
from bot.explain import explain
from bot.store import deliveries, places
from bot.store.gaps import last_check
from bot.store.places import Decided, Received

TAG = "Deliveries"
_MOST = 100


class DecisionView(Model):
    """What a delivery meant for one app, and why."""

    app: str | None = Field(examples=["shop"])
    """Null: the decision is about the delivery as a whole."""
    kind: str = Field(examples=["deploy"])
    code: str = Field(examples=["branch-mapped"])
    """The rule that decided."""
    sentence: str = Field(examples=["main is brought into production."])
    deployments: list[str] = Field(examples=[["DEP-12"]])
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])


class DeliveryView(Model):
    """One webhook delivery."""

    guid: str = Field(examples=["72d3162e-cc78-11e3-81ab-4c9367dc0958"])
    event: str = Field(examples=["push"])
    source: str = Field(examples=["github"])
    status: Literal["received", "decided", "failed"] = Field(examples=["decided"])
    note: str = Field(examples=[""])
    """The last error, while it could not be decided."""
    attempts: int = Field(examples=[0])
    received_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    decided_at: datetime | None = Field(examples=["2026-01-31T12:00:00Z"])
    decisions: list[DecisionView]


class ExplainView(Model):
    """What became of a delivery, in sentences."""

    guid: str = Field(examples=["72d3162e-cc78-11e3-81ab-4c9367dc0958"])
    sentences: list[str] = Field(examples=[["Received: a 'push' event from github."]])


class GapView(Model):
    """A delivery that GitHub could not hand over."""

    guid: str = Field(examples=["72d3162e-cc78-11e3-81ab-4c9367dc0958"])
    event: str = Field(examples=["push"])
    delivered_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    asked_for: int = Field(examples=[1])
    """How often GitHub was asked to deliver it again."""


class GapsView(Model):
    """What GitHub could not deliver, by its own list of the last three days, and is not here yet."""

    gaps: int = Field(examples=[0])
    checked_at: datetime | None = Field(examples=["2026-01-31T12:00:00Z"])
    """When GitHub was asked last; null: never, as without a GitHub App."""
    note: str = Field(examples=[""])
    """Why that could not be done to the end, if it couldn't."""
    missing: list[GapView]
    """Each of them, for the instance's operator: whose they are is not known."""


class DeliveryQuery(Paging):
    """Which deliveries."""

    event: Annotated[str, Field(max_length=100, examples=["push"])] | None = None
    status: Literal["received", "decided", "failed"] | None = Field(default=None, examples=["decided"])


def _list(call: Call) -> Page:
    asked = call.asked(DeliveryQuery)
    tenant = _tenant(call)
    found = places.received(call.tx, tenant, asked.part(""), event=asked.event, state=asked.status)
    return Page(_views(call, tenant, found.rows), found.total)


def _read(call: Call) -> DeliveryView:
    return _views(call, _tenant(call), [_found(call)[0]])[0]


def _explain(call: Call) -> ExplainView:
    guid = _found(call)[0].guid
    return ExplainView(guid=guid, sentences=explain(call.tx, guid, _tenant(call)))


def _gaps(call: Call) -> GapsView:
    found = last_check(call.tx)
    missing = sorted(found.open.items(), key=lambda pair: pair[1].delivered_at, reverse=True)
    shown = missing[:_MOST] if _tenant(call) is None else []
    listed = [
        GapView(guid=guid, event=one.event, delivered_at=one.delivered_at, asked_for=one.times)
        for guid, one in shown
    ]
    return GapsView(gaps=found.gaps, checked_at=found.checked_at, note=found.note, missing=listed)


def _replay(call: Call) -> DeliveryView:
    for one in _found(call):
        if deliveries.take_up(call.tx, one.id):
            call.note(f"delivery {one.guid}", {"status": one.state, "note": one.note})
            return _read(call)
    raise conflict(Code.CONFLICT, "It is decided, or waits for that already: /explain tells.")


def _found(call: Call) -> list[Received]:
    guid = call.path["delivery"]
    if not (found := places.received_as(call.tx, _tenant(call), guid)):
        raise not_found("delivery", guid)
    return found


def _tenant(call: Call) -> TenantId | None:
    return call.tenant.id if call.tenant else None


def _views(call: Call, tenant: TenantId | None, rows: list[Received]) -> list[DeliveryView]:
    decided = places.decided(call.tx, tenant, [row.id for row in rows])
    return [_view(row, [one for one in decided if one.delivery_id == row.id]) for row in rows]


def _view(row: Received, decided: list[Decided]) -> DeliveryView:
    values: dict[str, Any] = {name: getattr(row, name) for name in _COPIED}
    return DeliveryView(**values, status=row.state, decisions=[_decision(one) for one in decided])  # pyright: ignore[reportArgumentType]


def _decision(one: Decided) -> DecisionView:
    return DecisionView(
        app=one.app,
        kind=one.kind,
        code=one.code,
        sentence=one.sentence,
        deployments=[reference(DeploymentId(number)) for number in one.facts.get("deployments") or ()],
        created_at=one.created_at,
    )


_COPIED = "guid event source note attempts received_at decided_at".split()


def _about(**more: Any) -> Operation:
    return Operation(method="GET", tag=TAG, about=About.TENANT, verb=Verb.READ, **more)


OPERATIONS = (
    _about(
        id="listDeliveries",
        path="/deliveries",
        summary="List webhook deliveries",
        handle=_list,
        answer=DeliveryView,
        lists=True,
        query=DeliveryQuery,
        description="Those that concern your apps; the instance's operator sees all, with those of nobody.",
    ),
    _about(
        id="getDelivery",
        path="/deliveries/{delivery}",
        summary="Read a delivery",
        handle=_read,
        answer=DeliveryView,
        description="By its GUID, as GitHub shows it.",
    ),
    _about(
        id="explainDelivery",
        path="/deliveries/{delivery}/explain",
        summary="Explain a delivery",
        handle=_explain,
        answer=ExplainView,
    ),
    _about(
        id="getGaps",
        path="/deliveries/gaps",
        summary="Read which deliveries are missing",
        handle=_gaps,
        answer=GapsView,
        description="GitHub repeats nothing by itself: every five minutes what failed is looked for and "
        "asked for again.",
    ),
    Operation(
        id="replayDelivery",
        method="POST",
        path="/deliveries/{delivery}/replay",
        summary="Decide about a delivery once more",
        tag=TAG,
        about=About.TENANT,
        verb=Verb.CONFIGURE,
        handle=_replay,
        answer=DeliveryView,
        refusals={409: "It is decided, or waits for that already."},
        description="One that was given up, or waits for its next attempt, is taken up within seconds.",
    ),
)
