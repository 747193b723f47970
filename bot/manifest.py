"""The GitHub App that Slipway asks GitHub to make: its manifest, and where to send it. Pure.

https://docs.github.com/apps/sharing-github-apps/registering-a-github-app-from-a-manifest
"""

import ipaddress
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from bot.settings import Settings

CALLBACK = "/setup/github"
HOOK = "/webhooks/github"
SIGN_IN = "/sign-in/github/callback"
MAX_NAME = 34
"""Characters of an App's name (GitHub refuses more)."""
PERMISSIONS = {
    "metadata": "read",
    "contents": "read",
    "statuses": "write",
    "deployments": "write",
    # Read alone: Slipway makes no check runs.
    "checks": "read",
    "pull_requests": "write",
    # Comments on pull requests are events of issues, and need no more than that.
    "issues": "read",
    # So that people can sign in: of their account, asked for when they do.
    "emails": "read",
}
# Events of installations come to every App; GitHub refuses a manifest that asks for them.
EVENTS = ("push", "pull_request", "issue_comment", "check_run", "check_suite", "status", "repository")
_PRIVATE_SUFFIXES = (".localhost", ".local", ".internal", ".lan", ".home", ".test", ".invalid", ".home.arpa")


def is_public(url: str) -> bool:
    """Whether GitHub would take the address for a webhook: it refuses hosts that are not on the Internet."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    try:
        return ipaddress.ip_address(host).is_global
    except ValueError:
        return "." in host and not host.endswith(_PRIVATE_SUFFIXES)


def has_hook(settings: Settings) -> bool:
    """Whether the App is made with a webhook. A GitHub of one's own takes addresses of its own network."""
    own_host = urlsplit(settings.github_url).hostname != "github.com"
    named = urlsplit(settings.url).hostname not in ("localhost", "127.0.0.1", "::1")
    return settings.intake == "webhook" and (is_public(settings.url) or (own_host and named))


def manifest(settings: Settings) -> dict[str, Any]:
    """The manifest: an App of the owner's own, with the fewest permissions that everything needs."""
    host = urlsplit(settings.url).hostname or "slipway"
    wanted: dict[str, Any] = {
        "name": f"Slipway {host}"[:MAX_NAME].rstrip(" .-"),
        "url": settings.url,
        "description": "Deploys what is pushed, and says where it is live.",
        "public": False,
        "redirect_url": settings.url + CALLBACK,
        "callback_urls": [settings.url + SIGN_IN],
        "setup_url": f"{settings.url}/setup",
        "setup_on_update": True,
        "default_permissions": PERMISSIONS,
    }
    if has_hook(settings):
        wanted["hook_attributes"] = {"url": settings.url + HOOK, "active": True}
        wanted["default_events"] = list(EVENTS)
    return wanted


def creation_url(settings: Settings, state: str, organization: str = "") -> str:
    """Where the manifest is posted to: for oneself, or for an organization that one owns."""
    place = f"/organizations/{quote(organization, safe='')}" if organization else ""
    return f"{settings.github_url.rstrip('/')}{place}/settings/apps/new?{urlencode({'state': state})}"
