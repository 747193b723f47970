"""Webhooks of others that Slipway calls."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter, ValidationError

from bot import signing
from bot.api import outgoing
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page
from bot.api.outgoing import TAG, Chosen, MessageQuery, MessageView, Name, ReceiverQuery, ReceiverView, Word
from bot.domain.outgoing import Receiver, ReceiverKind
from bot.domain.roles import Verb
from bot.store import receivers

KIND = ReceiverKind.WEBHOOK
_HTTP = TypeAdapter(HttpUrl)


def _url(value: str) -> str:
    try:
        found = _HTTP.validate_python(value)
    except ValidationError as error:
        raise ValueError("This is not an http:// or https:// URL.") from error
    if found.username or found.password or found.fragment or not value.isascii():
        raise ValueError("Write it without a user, a password and a fragment, in ASCII.")
    return str(found)


Url = Annotated[
    str, AfterValidator(_url), Field(max_length=2000, examples=["https://board.example.org/slipway"])
]


class WebhookView(ReceiverView):
    """A webhook."""

    url: str = Field(examples=["https://board.example.org/slipway"])


class WebhookSecret(WebhookView):
    """A webhook with its secret."""

    secret: str = Field(examples=["whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDHRmMMMMMMMM="])
    """Shown this once."""


class CreateWebhook(Model):
    """A new webhook."""

    name: Name
    url: Url
    events: Chosen = []  # noqa: RUF012 pydantic copies defaults
    """What it is told; empty: everything."""
    project: Annotated[Word, Field(examples=["default"])] | None = None
    """Only what concerns this project."""
    app: Annotated[Word, Field(examples=["shop"])] | None = None
    """Only what concerns this app."""


class UpdateWebhook(Model):
    """What of a webhook can be changed; what is left out stays."""

    name: Name = "webhook"
    url: Url = "https://localhost/"
    events: Chosen = []  # noqa: RUF012 pydantic copies defaults
    enabled: bool = Field(default=True, examples=[True])


def _view(call: Call, one: Receiver) -> dict[str, Any]:
    return {**outgoing.base_view(call, one), "url": one.address}


def _list(call: Call) -> Page:
    rows, total = outgoing.listed(call, KIND)
    return Page([WebhookView(**_view(call, one)) for one in rows], total)


def _create(call: Call) -> WebhookSecret:
    given, made = call.given(CreateWebhook), signing.mint()
    sealed = signing.seal(call.services.vault, [made])
    one = outgoing.create(call, KIND, given, address=given.url, sealed=sealed)
    return WebhookSecret(**_view(call, one), secret=made.text)


def _read(call: Call) -> WebhookView:
    return WebhookView(**_view(call, outgoing.named(call, KIND)))


def _update(call: Call) -> WebhookView:
    one, given = outgoing.named(call, KIND), call.given(UpdateWebhook)
    changes = given.model_dump(include=given.model_fields_set)
    if "url" in changes:
        changes["address"] = changes.pop("url")
    return WebhookView(**_view(call, outgoing.update(call, one, changes)))


def _delete(call: Call) -> None:
    outgoing.remove(call, outgoing.named(call, KIND))


def _rotate(call: Call) -> WebhookSecret:
    one, vault, made = outgoing.named(call, KIND), call.services.vault, signing.mint()
    kept = signing.rotated(signing.unseal(vault, one.sealed), made, call.writing.now)
    call.note(f"webhook {one.name}")
    changed = receivers.change(call.tx, one.id, {"sealed": signing.seal(vault, kept)})
    return WebhookSecret(**_view(call, changed), secret=made.text)


def _test(call: Call) -> MessageView:
    return outgoing.test(call, outgoing.named(call, KIND))


def _messages(call: Call) -> Page:
    return outgoing.messages(call, outgoing.named(call, KIND))


def _again(call: Call) -> MessageView:
    return outgoing.send_again(call, outgoing.named(call, KIND))


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.TENANT, verb=Verb.CONFIGURE, **more)


_ONE = "/webhooks/{webhook}"
OPERATIONS = (
    _about(
        id="listWebhooks",
        method="GET",
        path="/webhooks",
        summary="List webhooks",
        handle=_list,
        answer=WebhookView,
        lists=True,
        query=ReceiverQuery,
    ),
    _about(
        id="createWebhook",
        method="POST",
        path="/webhooks",
        summary="Make a webhook",
        handle=_create,
        answer=WebhookSecret,
        body=CreateWebhook,
        status=201,
        description="Each event is POSTed as JSON `{type, timestamp, data}`, signed as Standard Webhooks has "
        "it: headers `webhook-id`, `webhook-timestamp`, `webhook-signature`. It is tried again for 28 hours "
        "until it is answered with 2xx within 10 seconds. The secret is shown this once.",
        refusals={409: "There are too many.", 422: "There is no such project or app."},
    ),
    _about(
        id="getWebhook",
        method="GET",
        path=_ONE,
        summary="Read a webhook",
        handle=_read,
        answer=WebhookView,
    ),
    _about(
        id="updateWebhook",
        method="PATCH",
        path=_ONE,
        summary="Change a webhook",
        handle=_update,
        answer=WebhookView,
        body=UpdateWebhook,
        description="With `enabled: true` one that was switched off is as good as new.",
    ),
    _about(
        id="deleteWebhook",
        method="DELETE",
        path=_ONE,
        summary="Delete a webhook",
        handle=_delete,
    ),
    _about(
        id="rotateWebhookSecret",
        method="POST",
        path=f"{_ONE}/rotate-secret",
        summary="Give a webhook another secret",
        handle=_rotate,
        answer=WebhookSecret,
        status=201,
        description="The one before signs beside it for 24 hours.",
    ),
    _about(
        id="testWebhook",
        method="POST",
        path=f"{_ONE}/test",
        summary="Test a webhook",
        handle=_test,
        answer=MessageView,
        status=201,
        description="Sends the event `test` once, at once. What came of it stands in its deliveries.",
        refusals={409: "It is switched off."},
    ),
    _about(
        id="listWebhookDeliveries",
        method="GET",
        path=f"{_ONE}/deliveries",
        summary="List what was sent to a webhook",
        handle=_messages,
        answer=MessageView,
        lists=True,
        query=MessageQuery,
    ),
    _about(
        id="redeliverWebhook",
        method="POST",
        path=f"{_ONE}/deliveries/{{message}}/redeliver",
        summary="Send a message to a webhook again",
        handle=_again,
        answer=MessageView,
        status=201,
        description="Under the same `webhook-id`.",
        refusals={409: "It waits already, or the webhook is switched off."},
    ),
)
