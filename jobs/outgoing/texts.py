"""What is sent: the JSON of a webhook, and the words of a notice."""

from typing import Any

import msgspec

from bot import render
from bot.clock import stamp, utc_now
from bot.domain.outgoing import Event, Message
from bot.markdown import inert
from bot.settings import Settings

MAX_BODY = 64 * 1024
"""Bytes of a webhook's body. Only what was before and after a change can be long: it is left out then."""
_LONG = ("before", "after")


def body(settings: Settings, message: Message) -> bytes:
    """The body of a webhook: the same bytes at every attempt."""
    data = {**message.facts, **_addresses(settings, message.facts)}
    at = stamp(message.created_at)
    encoded = _encode(message.event, at, data)
    if len(encoded) > MAX_BODY:
        encoded = _encode(message.event, at, {key: data[key] for key in data if key not in _LONG})
    return encoded


def notice(settings: Settings, message: Message) -> tuple[str, str]:
    """Title and text of a notice. Texts of strangers call nobody and are no links."""
    facts = {**message.facts, **_addresses(settings, message.facts)}
    safe = {
        key: inert(value) if isinstance(value, str) and key not in _OURS else value
        for key, value in facts.items()
    }
    template = f"notice/{_TEMPLATES.get(message.event, message.event.partition('.')[0])}.txt.j2"
    text = render.text(template, {"event": message.event, "now": utc_now(), "facts": safe, **safe})
    title, _, rest = text.partition("\n")
    return title.strip(), rest.strip()


_OURS = ("url", "page", "event")
_TEMPLATES = {
    Event.RELEASE_ACTIVATED: "deployment",
    Event.RELEASE_ROLLED_BACK: "deployment",
    Event.WEBHOOK_DISABLED: "webhook-disabled",
    Event.TEST: "test",
    **dict.fromkeys(
        (
            Event.APP_CHANGED,
            Event.VARIABLE_CHANGED,
            Event.DOMAIN_CHANGED,
            Event.MEMBER_CHANGED,
            Event.TOKEN_CHANGED,
        ),
        "change",
    ),
}


def _addresses(settings: Settings, facts: dict[str, Any]) -> dict[str, str]:
    found: dict[str, str] = {}
    if hostname := facts.get("hostname"):
        found["url"] = settings.site_url(hostname)
    if deployment := facts.get("deployment"):
        found["page"] = f"{settings.url}/deployments/{deployment}"
    return found


def _encode(event: Event, at: str, data: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": event, "timestamp": at, "data": data})
