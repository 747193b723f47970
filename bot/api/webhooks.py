"""Webhooks of others that Slipway calls."""

from ipaddress import ip_address
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, HttpUrl, TypeAdapter, ValidationError

from bot import signing
from bot.api import outgoing
from bot.api.envelope import Model
from bot.api.operation import Call
from bot.api.outgoing import Chosen, CreateReceiver, MessageView, Name, ReceiverView
from bot.api.receiver_operations import Sort, about, operations
from bot.api.refusals import unfit
from bot.domain.outgoing import Receiver, ReceiverKind
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


class CreateWebhook(CreateReceiver):
    """A new webhook."""

    url: Url
    events: Chosen = []  # noqa: RUF012 pydantic copies defaults
    """What it is told; empty: everything."""


class UpdateWebhook(Model):
    """What of a webhook can be changed; what is left out stays."""

    name: Name = "webhook"
    url: Url = "https://localhost/"
    events: Chosen = []  # noqa: RUF012 pydantic copies defaults
    enabled: bool = Field(default=True, examples=[True])


def _fields(call: Call, one: Receiver) -> dict[str, Any]:
    return {**outgoing.base_view(call, one), "url": one.address}


def _view(call: Call, one: Receiver) -> WebhookView:
    return WebhookView(**_fields(call, one))


def _create(call: Call) -> WebhookSecret:
    given, made = call.given(CreateWebhook), signing.mint()
    _refuse_private(call, given.url)
    sealed = signing.seal(call.services.vault, [made])
    one = outgoing.create(call, KIND, given, address=given.url, sealed=sealed)
    return WebhookSecret(**_fields(call, one), secret=made.text)


def _refuse_private(call: Call, url: str) -> None:
    """Refuse what would be sent to nobody. Where a name leads is looked at when something is sent."""
    try:
        address = ip_address((urlsplit(url).hostname or "").partition("%")[0])
    except ValueError:
        return
    if address.is_global or any(address in one for one in call.services.settings.outgoing_networks):
        return
    raise unfit("url", f"{address} is a private address, which the setting OUTGOING_NETWORKS does not allow.")


def _changes(call: Call, given: Model) -> dict[str, Any]:
    changes = given.model_dump(include=given.model_fields_set)
    if "url" in changes:
        _refuse_private(call, changes["url"])
        changes["address"] = changes.pop("url")
    return changes


def _rotate(call: Call) -> WebhookSecret:
    one, vault, made = outgoing.named(call, KIND), call.services.vault, signing.mint()
    kept = signing.rotated(signing.unseal(vault, one.sealed), made, call.writing.now)
    call.note(f"webhook {one.name}")
    changed = receivers.change(call.tx, one.id, {"sealed": signing.seal(vault, kept)})
    return WebhookSecret(**_fields(call, changed), secret=made.text)


def _again(call: Call) -> MessageView:
    return outgoing.send_again(call, outgoing.named(call, KIND))


_SORT = Sort(
    kind=KIND,
    view=WebhookView,
    show=_view,
    create=_create,
    created=WebhookSecret,
    creating=CreateWebhook,
    changes=_changes,
    changing=UpdateWebhook,
    sent="deliveries",
    tested="Sends the event `test` once, at once. What came of it stands in its deliveries.",
    made="Each event is POSTed as JSON `{type, timestamp, data}`, signed as Standard Webhooks has "
    "it: headers `webhook-id`, `webhook-timestamp`, `webhook-signature`. It is tried again for 28 hours "
    "until it is answered with 2xx within 10 seconds. The secret is shown this once.",
)
OPERATIONS = (
    *operations(_SORT),
    about(
        id="rotateWebhookSecret",
        method="POST",
        path=f"{_SORT.path}/rotate-secret",
        summary="Give a webhook another secret",
        handle=_rotate,
        answer=WebhookSecret,
        status=201,
        description="The one before signs beside it for 24 hours.",
    ),
    about(
        id="redeliverWebhook",
        method="POST",
        path=f"{_SORT.path}/deliveries/{{message}}/redeliver",
        summary="Send a message to a webhook again",
        handle=_again,
        answer=MessageView,
        status=201,
        description="Under the same `webhook-id`.",
        refusals={409: "It waits already, or the webhook is switched off."},
    ),
)
