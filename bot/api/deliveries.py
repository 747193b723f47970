"""Deliveries: what GitHub told, and what was decided about it."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.refusals import not_found
from bot.domain.ids import DeploymentId, TenantId, reference
from bot.domain.roles import Verb
from bot.explain import explain
from bot.store import places
from bot.store.places import Decided, Received

TAG = "Deliveries"


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
)
