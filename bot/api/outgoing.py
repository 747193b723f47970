"""What webhooks and channels have in common: whom they are for, what they choose, what was sent to them."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from bot.api.app_views import Line
from bot.api.envelope import Model
from bot.api.locate import app_of
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.reading import is_word
from bot.api.refusals import Code, conflict, not_found, unfit
from bot.domain.app import App
from bot.domain.outgoing import DESCRIBED, Event, Message, MessageState, Receiver, ReceiverKind
from bot.domain.roles import Verb
from bot.store import outbox, pages, people, receivers
from bot.store.outbox import Attempt
from bot.store.receivers import NewReceiver

TAG = "Webhooks and channels"
MAX_RECEIVERS = 100
"""Webhooks and channels that an organisation may have, together."""
Name = Annotated[Line, Field(min_length=1, max_length=100, examples=["Release board"])]
Chosen = Annotated[list[Event], Field(max_length=len(Event), examples=[["deployment.failed"]])]
Word = Annotated[str, Field(min_length=1, max_length=200)]


class ReceiverView(Model):
    """What a webhook and a channel show."""

    id: int = Field(examples=[4])
    name: str = Field(examples=["Release board"])
    events: list[Event] = Field(examples=[["deployment.succeeded", "deployment.failed"]])
    """What it is told; empty: everything."""
    project: str | None = Field(examples=[None])
    """With a project or an app: only what concerns that."""
    app: str | None = Field(examples=["shop"])
    enabled: bool = Field(examples=[True])
    notice: str = Field(examples=[""])
    """Why it was switched off."""
    failures: int = Field(examples=[0])
    """Attempts in a row that failed."""
    failing_since: datetime | None = Field(examples=[None])
    created_by: str = Field(examples=["mona@example.org"])
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])


class CreateReceiver(Model):
    """What is needed for either."""

    name: Name
    events: Chosen
    project: Annotated[Word, Field(examples=["default"])] | None = None
    """Only what concerns this project."""
    app: Annotated[Word, Field(examples=["shop"])] | None = None
    """Only what concerns this app."""


class ReceiverQuery(Paging):
    """Which ones."""

    app: Annotated[Word, Field(examples=["shop"])] | None = None
    """Only those that are for this app alone."""


class AttemptView(Model):
    """One attempt."""

    at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    ok: bool = Field(examples=[True])
    status: int | None = Field(examples=[200])
    milliseconds: int = Field(examples=[85])
    note: str = Field(examples=[""])
    """What went wrong."""
    answer: str = Field(examples=["ok"])
    """The start of what was answered."""


class MessageView(Model):
    """One event, as it was or will be sent."""

    id: str = Field(examples=["12"])
    uid: str = Field(examples=["msg_5c1f0a3e9d7b2c4e6f8a0b1d"])
    """The header `webhook-id`: the same whenever it is sent again."""
    event: Event = Field(examples=["deployment.succeeded"])
    status: MessageState = Field(examples=["delivered"])
    data: dict[str, Any] = Field(examples=[{"deployment": "DEP-12", "app": "shop"}])
    attempts: list[AttemptView]
    created_at: datetime = Field(examples=["2026-01-31T12:00:00Z"])
    next_attempt_at: datetime | None = Field(examples=[None])
    finished_at: datetime | None = Field(examples=["2026-01-31T12:00:01Z"])


class MessageQuery(Paging):
    """Which messages."""

    status: Literal["waiting", "delivered", "failed"] | None = Field(default=None, examples=["failed"])


class EventTypeView(Model):
    """Something that can be chosen."""

    type: Event = Field(examples=["deployment.failed"])
    description: str = Field(examples=["A deployment failed."])


def base_view(call: Call, one: Receiver) -> dict[str, Any]:
    """The fields that both have."""
    slugs = pages.slugs(call.tx, [one.app_id]) if one.app_id is not None else {}
    projects = {each.id: each.slug for each in people.projects_of(call.tx, one.tenant_id)}
    return {
        **{name: getattr(one, name) for name in _COPIED},
        "events": sorted(one.events),
        "notice": one.reason,
        "app": slugs.get(one.app_id) if one.app_id is not None else None,
        "project": projects.get(one.project_id) if one.project_id is not None else None,
    }


_COPIED = "id name enabled failures failing_since created_by created_at".split()


def listed(call: Call, kind: ReceiverKind) -> tuple[list[Receiver], int]:
    """A page of those that the caller may see."""
    asked = call.asked(ReceiverQuery)
    tenant = own_tenant(call)
    app = None if asked.app is None else _app(call, asked.app, tenant_id=tenant)
    found = receivers.of_tenant(call.tx, tenant, kind, asked.part(""), app=app.id if app else None)
    return found.rows, found.total


def own_tenant(call: Call) -> Any:
    """The organisation. Raises `RefusalError` 404 when the operator named none."""
    if call.tenant is None:
        raise not_found("organisation", "yours")
    return call.tenant.id


def named(call: Call, kind: ReceiverKind) -> Receiver:
    """The one that the path names. Raises `RefusalError` 404."""
    word, tenant = call.path[kind.value], own_tenant(call)
    is_id = word.isascii() and word.isdigit() and len(word) <= 15
    found = receivers.find(call.tx, int(word)) if is_id else None
    if found is None or found.kind is not kind or found.tenant_id != tenant:
        raise not_found(kind.value, word)
    return found


def create(call: Call, kind: ReceiverKind, given: CreateReceiver, *, address: str, sealed: bytes) -> Receiver:
    """Store a new one. Raises `RefusalError` 409 when there are too many, 422 for an unknown scope."""
    tenant = own_tenant(call)
    if receivers.count(call.tx, tenant) >= MAX_RECEIVERS:
        message = f"An organisation may have {MAX_RECEIVERS} webhooks and channels. Delete one first."
        raise conflict(Code.CONFLICT, message)
    app = None if given.app is None else _fitting(call, given.app, tenant)
    project = None if given.project is None else people.project(call.tx, tenant, given.project)
    if given.project is not None and project is None:
        raise unfit("project", f"There is no project '{given.project}'.")
    new = NewReceiver(
        tenant_id=tenant,
        project_id=project.id if project else None,
        app_id=app.id if app else None,
        kind=kind,
        name=given.name,
        address=address,
        sealed=sealed,
        events=frozenset(given.events),
        created_by=call.principal.name,
    )
    made = receivers.insert(call.tx, new, call.writing.now)
    call.note(f"{kind} {made.name}", after={"id": made.id, "address": address, "events": sorted(made.events)})
    return made


def update(call: Call, one: Receiver, changes: dict[str, Any]) -> Receiver:
    """Change one. Switching it on makes it as good as new; switching it off gives up what waits."""
    before = {name: _told(name, getattr(one, name)) for name in changes if name != "sealed"}
    after = {name: _told(name, value) for name, value in changes.items() if name != "sealed"}
    call.note(f"{one.kind} {one.name}", before=before, after=after)
    if "events" in changes:
        changes = {**changes, "events": frozenset(changes["events"])}
    if changes.get("enabled"):
        changes = {**changes, "reason": "", "failures": 0, "failing_since": None, "rest_until": None}
    elif changes.get("enabled") is False:
        outbox.give_up(call.tx, one.id, call.writing.now)
        changes = {**changes, "reason": f"switched off by {call.principal.name}"}
    return receivers.change(call.tx, one.id, changes)


def _told(name: str, value: Any) -> Any:
    return sorted(value) if name == "events" else value


def remove(call: Call, one: Receiver) -> None:
    """Delete one, with its messages."""
    call.note(f"{one.kind} {one.name}", before={"id": one.id, "address": one.address})
    receivers.delete(call.tx, one.id)


def test(call: Call, one: Receiver) -> MessageView:
    """Send a test. Raises `RefusalError` 409 when it is switched off."""
    _refuse_disabled(one)
    call.note(f"{one.kind} {one.name}")
    facts = {"organisation": call.of_tenant.slug, "actor": call.principal.name, "receiver": one.name}
    number = outbox.put(call.tx, [one], Event.TEST, facts, now=call.writing.now)
    # A test tells how it stands now: it does not wait for the pause after a failure.
    receivers.change(call.tx, one.id, {"rest_until": None})
    return _sent(call, number)


def messages(call: Call, one: Receiver) -> Page:
    """What was sent to one, newest first."""
    asked = call.asked(MessageQuery)
    state = MessageState(asked.status) if asked.status else None
    found = outbox.page(call.tx, one.id, asked.part(""), state)
    tried = outbox.attempts_of(call.tx, [row.id for row in found.rows])
    return Page([_message(row, tried[row.id]) for row in found.rows], found.total)


def send_again(call: Call, one: Receiver) -> MessageView:
    """Send a message once more. Raises `RefusalError` 404 or 409."""
    word = call.path["message"]
    is_id = word.isascii() and word.isdigit() and len(word) <= 15
    found = outbox.find(call.tx, int(word)) if is_id else None
    if found is None or found.receiver_id != one.id:
        raise not_found("message", word)
    _refuse_disabled(one)
    if outbox.again(call.tx, found.id) is None:
        raise conflict(Code.STILL_BUSY, "It waits to be sent already.")
    receivers.change(call.tx, one.id, {"rest_until": None})
    call.note(f"{one.kind} {one.name}", after={"message": found.uid})
    return _sent(call, found.id)


def _sent(call: Call, number: int) -> MessageView:
    change = call.writing
    change.message = max(change.message, number)
    found = outbox.find(call.tx, number)
    assert found is not None
    return _message(found, outbox.attempts_of(call.tx, [number])[number])


def _refuse_disabled(one: Receiver) -> None:
    if not one.enabled:
        raise conflict(Code.CONFLICT, f"{one.name} is switched off. Switch it on first: PATCH enabled.")


def _app(call: Call, word: str, *, tenant_id: Any) -> App:
    found = app_of(call.tx, word) if is_word(word) else None
    if found is None or found.tenant_id != tenant_id:
        raise not_found("app", word)
    return found


def _fitting(call: Call, word: str, tenant_id: Any) -> App:
    found = app_of(call.tx, word) if is_word(word) else None
    if found is None or found.tenant_id != tenant_id:
        raise unfit("app", f"There is no app '{word}'.")
    return found


def _message(one: Message, attempts: list[Attempt]) -> MessageView:
    return MessageView(
        id=str(one.id),
        uid=one.uid,
        event=one.event,
        status=one.state,
        data=one.facts,
        attempts=[AttemptView(**vars(each)) for each in attempts],
        created_at=one.created_at,
        next_attempt_at=one.ready_at,
        finished_at=one.finished_at,
    )


def _events(call: Call) -> Page:
    rows = [EventTypeView(type=event, description=text) for event, text in DESCRIBED.items()]
    part = call.asked(Paging).part("")
    return Page(rows[part.offset : part.offset + part.limit], len(rows))


OPERATIONS = (
    Operation(
        id="listEventTypes",
        method="GET",
        path="/event-types",
        summary="List what can be told",
        tag=TAG,
        about=About.TENANT,
        verb=Verb.READ,
        handle=_events,
        answer=EventTypeView,
        lists=True,
        query=Paging,
    ),
)
