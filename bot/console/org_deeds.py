"""Forms of organisations and of one's own account."""

from collections.abc import Mapping
from typing import Any

from bot.console.deed import Deed
from bot.console.deeds import given, token, variable_deeds
from bot.console.forms import Form

_ORG = "/orgs/{org}"
_WEBHOOKS, _CHANNELS = f"{_ORG}/webhooks", f"{_ORG}/channels"
_WEBHOOK, _CHANNEL = f"{_WEBHOOKS}/{{webhook}}", f"{_CHANNELS}/{{channel}}"


def _receiver(form: Form) -> Mapping[str, Any]:
    """A new webhook or channel. Without a box that is ticked it is told everything."""
    return {"name": "", "url": "", **given(form, "name", "url", "app"), "events": _events(form)}


def _changed(form: Form) -> Mapping[str, Any]:
    return {**given(form, "name", "url"), "events": _events(form)}


def _events(form: Form) -> list[str]:
    return list(form.every.get("events", []))


def _switched(form: Form) -> Mapping[str, Any]:
    return {"enabled": form.get("enabled") == "yes"}


OF_ORGS = (
    Deed("/orgs", "createOrg", "/orgs", "made", lambda form: given(form, "slug", "name")),
    Deed(
        f"{_ORG}/invitations",
        "invite",
        _ORG,
        "invited",
        lambda form: given(form, "email", "role"),
        reveals="link",
    ),
    Deed(f"{_ORG}/invitations/{{invitation}}/resend", "resendInvitation", _ORG, "invited", reveals="link"),
    Deed(f"{_ORG}/invitations/{{invitation}}/revoke", "revokeInvitation", _ORG, "revoked"),
    Deed(f"{_ORG}/members/{{member}}/role", "updateMember", _ORG, "changed", lambda f: given(f, "role")),
    Deed(f"{_ORG}/members/{{member}}/remove", "removeMember", _ORG, "removed"),
    *variable_deeds("Org", f"{_ORG}/variables", at=f"{_ORG}/variables"),
    Deed(_WEBHOOKS, "createWebhook", _WEBHOOKS, "made", _receiver, reveals="secret"),
    Deed(f"{_WEBHOOK}/change", "updateWebhook", _WEBHOOK, "changed", _changed),
    Deed(f"{_WEBHOOK}/switch", "updateWebhook", _WEBHOOK, "changed", _switched),
    Deed(f"{_WEBHOOK}/test", "testWebhook", _WEBHOOK, "tested"),
    Deed(f"{_WEBHOOK}/rotate", "rotateWebhookSecret", _WEBHOOK, "changed", reveals="secret"),
    Deed(f"{_WEBHOOK}/remove", "deleteWebhook", _WEBHOOK, "removed", to=_WEBHOOKS),
    Deed(f"{_WEBHOOK}/messages/{{message}}/again", "redeliverWebhook", _WEBHOOK, "tested"),
    Deed(_CHANNELS, "createChannel", _CHANNELS, "made", _receiver),
    Deed(f"{_CHANNEL}/change", "updateChannel", _CHANNEL, "changed", _changed),
    Deed(f"{_CHANNEL}/switch", "updateChannel", _CHANNEL, "changed", _switched),
    Deed(f"{_CHANNEL}/test", "testChannel", _CHANNEL, "tested"),
    Deed(f"{_CHANNEL}/remove", "deleteChannel", _CHANNEL, "removed", to=_CHANNELS),
)
OF_ACCOUNTS = (
    Deed("/account/tokens", "createToken", "/account", "made", token, reveals="token"),
    Deed("/account/tokens/{token}/revoke", "revokeToken", "/account", "revoked"),
)
