"""Channels that people read: mail, Slack, Discord, Teams, Telegram and others."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bot.api import outgoing
from bot.api.envelope import Model
from bot.api.operation import Call
from bot.api.outgoing import Chosen, CreateReceiver, Name, ReceiverView
from bot.api.receiver_operations import Sort, operations
from bot.domain.outgoing import SCHEMES, Event, Receiver, ReceiverKind

_URL = re.compile(r"([a-z0-9]+)://[\x21-\x7e]+")
USUAL = [
    Event.DEPLOYMENT_FAILED,
    Event.DEPLOYMENT_RECOVERED,
    Event.RELEASE_ROLLED_BACK,
    Event.WEBHOOK_DISABLED,
]
"""What a channel is told unless something else is chosen."""


def _url(value: str) -> str:
    match = _URL.fullmatch(value)
    if match is None:
        raise ValueError("Write a URL as apprise has it, such as slack://TokenA/TokenB/TokenC.")
    if match[1] not in SCHEMES:
        raise ValueError(
            f"'{match[1]}' is no service that can be used. There are: {', '.join(sorted(SCHEMES))}."
        )
    return value


Url = Annotated[str, AfterValidator(_url), Field(max_length=2000, examples=["slack://TokenA/TokenB/TokenC"])]


class ChannelView(ReceiverView):
    """A channel. Its URL is never shown again."""

    service: str = Field(examples=["slack"])


class CreateChannel(CreateReceiver):
    """A new channel."""

    url: Url
    """As apprise has it: https://github.com/caronc/apprise/wiki. Stored encrypted."""
    events: Chosen = USUAL
    """What it is told; empty: everything."""


class UpdateChannel(Model):
    """What of a channel can be changed; what is left out stays."""

    name: Name = "channel"
    url: Url = "json://localhost"
    events: Chosen = USUAL
    enabled: bool = Field(default=True, examples=[True])


def _view(call: Call, one: Receiver) -> ChannelView:
    return ChannelView(**outgoing.base_view(call, one), service=one.address)


def _sealed(call: Call, url: str) -> tuple[str, bytes]:
    return url.partition("://")[0], call.services.vault.seal(url.encode())


def _create(call: Call) -> ChannelView:
    given = call.given(CreateChannel)
    address, sealed = _sealed(call, given.url)
    return _view(call, outgoing.create(call, ReceiverKind.CHANNEL, given, address=address, sealed=sealed))


def _changes(call: Call, given: Model) -> dict[str, Any]:
    changes = given.model_dump(include=given.model_fields_set)
    if "url" in changes:
        changes["address"], changes["sealed"] = _sealed(call, changes.pop("url"))
    return changes


OPERATIONS = operations(
    Sort(
        kind=ReceiverKind.CHANNEL,
        view=ChannelView,
        show=_view,
        create=_create,
        created=ChannelView,
        creating=CreateChannel,
        changes=_changes,
        changing=UpdateChannel,
        sent="notices",
        tested="Sends a notice once, at once. What came of it stands in its notices.",
    )
)
