"""The audit log: who changed what, when, and from where."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BeforeValidator, Field

from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.patterns import LINE
from bot.api.refusals import not_found
from bot.domain.app import App
from bot.domain.audit import Row
from bot.domain.ids import AppId
from bot.domain.roles import Verb
from bot.store import apps, audit_pages, pages
from bot.store.audit_pages import AuditFilter

TAG = "Audit and activity"


def _written(value: str) -> str:
    # Else a number is taken for seconds since 1970.
    if "T" not in value.upper():
        raise ValueError("Write a moment with its time zone, such as 2026-01-31T12:00:00Z.")
    return value


Word = Annotated[str, Field(min_length=1, max_length=200, pattern=LINE)]
Moment = Annotated[AwareDatetime, BeforeValidator(_written, json_schema_input_type=AwareDatetime)]


class AuditView(Model):
    """One change. Names stand in it, never the values of secrets."""

    id: int = Field(examples=[1042])
    at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    action: str = Field(examples=["createDeployment"])
    """An operation of this API, or what was done elsewhere, such as `preview.approved`."""
    actor: str = Field(examples=["mona@example.org"])
    actor_key: str = Field(examples=["token:5"])
    """Who did it, unmistakably."""
    origin: str = Field(examples=["192.0.2.7 4f9c2d5e8a7b4c1f9e3d2b1a0c8f7e6d"])
    """From where: an address and the id of the request, a delivery, or the command line."""
    app: str | None = Field(examples=["shop"])
    app_id: int | None = Field(examples=[7])
    subject: str = Field(examples=["DEP-12"])
    before: dict[str, Any] = Field(examples=[{"role": "viewer"}])
    after: dict[str, Any] = Field(examples=[{"role": "developer"}])


class AuditWhich(Model):
    """Which changes."""

    actor: Annotated[Word, Field(examples=["mona@example.org"])] | None = None
    """A name, or a key such as `token:5`."""
    action: Annotated[Word, Field(examples=["createDeployment"])] | None = None
    app: Annotated[Word, Field(examples=["shop"])] | None = None
    """Id or slug."""
    subject: Annotated[Word, Field(examples=["DEP-12"])] | None = None
    since: Annotated[Moment, Field(examples=["2026-01-31T00:00:00Z"])] | None = None
    until: Annotated[Moment, Field(examples=["2026-02-01T00:00:00Z"])] | None = None
    """Before this moment."""
    search: Annotated[Word, Field(examples=["shop"])] | None = None
    """Only what mentions this text as subject, actor or action."""


class AuditQuery(AuditWhich, Paging):
    """Which changes, by page."""


class ExportQuery(AuditWhich):
    """Which changes, and how they are written."""

    format: Literal["ndjson", "csv"] = Field(default="ndjson", examples=["ndjson"])


def wanted(call: Call, asked: AuditWhich) -> AuditFilter:
    """What is asked for, of what the caller may see. Raises `RefusalError` 404 for an unknown app."""
    app = None if asked.app is None else _app(call, asked.app)
    return AuditFilter(
        tenant_id=call.tenant.id if call.tenant else None,
        app_id=app.id if app else None,
        actor=asked.actor,
        action=asked.action,
        subject=asked.subject,
        since=asked.since,
        until=asked.until,
        search=asked.search,
    )


def view(row: Row, slugs: dict[AppId, str]) -> AuditView:
    """A row as it is shown."""
    act = row.act
    return AuditView(
        id=row.id,
        at=row.at,
        action=act.action,
        actor=act.actor,
        actor_key=act.actor_key,
        origin=act.origin,
        app=slugs.get(act.app_id) if act.app_id is not None else None,
        app_id=act.app_id,
        subject=act.subject,
        before=dict(act.before),
        after=dict(act.after),
    )


def named_apps(call: Call, rows: list[Row]) -> dict[AppId, str]:
    """What the apps of some rows are called."""
    return pages.slugs(call.tx, sorted({row.act.app_id for row in rows if row.act.app_id is not None}))


def _app(call: Call, word: str) -> App:
    is_id = word.isascii() and word.isdigit() and len(word) <= 15
    found = apps.by_slug(call.tx, word) or (apps.find(call.tx, AppId(int(word))) if is_id else None)
    if found is None or (call.tenant is not None and found.tenant_id != call.tenant.id):
        raise not_found("app", word)
    return found


def _list(call: Call) -> Page:
    asked = call.asked(AuditQuery)
    found = audit_pages.page(call.tx, wanted(call, asked), asked.part(""))
    slugs = named_apps(call, found.rows)
    return Page([view(row, slugs) for row in found.rows], found.total)


def _streamed(_call: Call) -> None:
    """What streams is answered elsewhere."""


def _about(**more: Any) -> Operation:
    return Operation(method="GET", tag=TAG, about=About.TENANT, verb=Verb.MANAGE, **more)


OPERATIONS = (
    _about(
        id="listAudit",
        path="/audit",
        summary="List changes",
        handle=_list,
        answer=AuditView,
        lists=True,
        query=AuditQuery,
        description="Newest first: every change with who, what, when and from where. An organisation "
        "sees its own; the instance's operator sees all. `slipway audit verify` shows "
        "whether the log is whole.",
    ),
    _about(
        id="exportAudit",
        path="/audit/export",
        summary="Export changes",
        handle=_streamed,
        query=ExportQuery,
        streams=True,
        media={"application/x-ndjson": "A JSON object a line.", "text/csv": "A row each."},
        description="Oldest first, one JSON object a line, or CSV with `format=csv`.",
        refusals={400: "A parameter is not well formed."},
    ),
)
