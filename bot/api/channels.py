"""Channels that people read: mail, Slack, Discord, Teams, Telegram and others."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bot.api import outgoing
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation, Page
from bot.api.outgoing import TAG, Chosen, MessageQuery, MessageView, Name, ReceiverQuery, ReceiverView, Word
from bot.domain.outgoing import SCHEMES, Event, Receiver, ReceiverKind
from bot.domain.roles import Verb

KIND = ReceiverKind.CHANNEL
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


class CreateChannel(Model):
    """A new channel."""

    name: Name
    url: Url
    """As apprise has it: https://github.com/caronc/apprise/wiki. Stored encrypted."""
    events: Chosen = USUAL
    """What it is told; empty: everything."""
    project: Annotated[Word, Field(examples=["default"])] | None = None
    """Only what concerns this project."""
    app: Annotated[Word, Field(examples=["shop"])] | None = None
    """Only what concerns this app."""


class UpdateChannel(Model):
    """What of a channel can be changed; what is left out stays."""

    name: Name = "channel"
    url: Url = "json://localhost"
    events: Chosen = USUAL
    enabled: bool = Field(default=True, examples=[True])


def _view(call: Call, one: Receiver) -> ChannelView:
    return ChannelView(**outgoing.base_view(call, one), service=one.address)


def _list(call: Call) -> Page:
    rows, total = outgoing.listed(call, KIND)
    return Page([_view(call, one) for one in rows], total)


def _sealed(call: Call, url: str) -> tuple[str, bytes]:
    return url.partition("://")[0], call.services.vault.seal(url.encode())


def _create(call: Call) -> ChannelView:
    given = call.given(CreateChannel)
    address, sealed = _sealed(call, given.url)
    return _view(call, outgoing.create(call, KIND, given, address=address, sealed=sealed))


def _read(call: Call) -> ChannelView:
    return _view(call, outgoing.named(call, KIND))


def _update(call: Call) -> ChannelView:
    one, given = outgoing.named(call, KIND), call.given(UpdateChannel)
    changes: dict[str, Any] = given.model_dump(include=given.model_fields_set)
    if "url" in changes:
        changes["address"], changes["sealed"] = _sealed(call, changes.pop("url"))
    return _view(call, outgoing.update(call, one, changes))


def _delete(call: Call) -> None:
    outgoing.remove(call, outgoing.named(call, KIND))


def _test(call: Call) -> MessageView:
    return outgoing.test(call, outgoing.named(call, KIND))


def _messages(call: Call) -> Page:
    return outgoing.messages(call, outgoing.named(call, KIND))


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.TENANT, verb=Verb.CONFIGURE, **more)


_ONE = "/channels/{channel}"
OPERATIONS = (
    _about(
        id="listChannels",
        method="GET",
        path="/channels",
        summary="List channels",
        handle=_list,
        answer=ChannelView,
        lists=True,
        query=ReceiverQuery,
    ),
    _about(
        id="createChannel",
        method="POST",
        path="/channels",
        summary="Make a channel",
        handle=_create,
        answer=ChannelView,
        body=CreateChannel,
        status=201,
        refusals={409: "There are too many.", 422: "There is no such project or app."},
    ),
    _about(
        id="getChannel",
        method="GET",
        path=_ONE,
        summary="Read a channel",
        handle=_read,
        answer=ChannelView,
    ),
    _about(
        id="updateChannel",
        method="PATCH",
        path=_ONE,
        summary="Change a channel",
        handle=_update,
        answer=ChannelView,
        body=UpdateChannel,
        description="With `enabled: true` one that was switched off is as good as new.",
    ),
    _about(
        id="deleteChannel",
        method="DELETE",
        path=_ONE,
        summary="Delete a channel",
        handle=_delete,
    ),
    _about(
        id="testChannel",
        method="POST",
        path=f"{_ONE}/test",
        summary="Test a channel",
        handle=_test,
        answer=MessageView,
        status=201,
        description="Sends a notice once, at once. What came of it stands in its notices.",
        refusals={409: "It is switched off."},
    ),
    _about(
        id="listChannelNotices",
        method="GET",
        path=f"{_ONE}/notices",
        summary="List what was sent to a channel",
        handle=_messages,
        answer=MessageView,
        lists=True,
        query=MessageQuery,
    ),
)
