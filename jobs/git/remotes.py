"""How git is to reach a repository: the URL without secrets in it, and the secrets beside it. Pure."""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote, urlsplit

from bot.domain.app import App
from bot.domain.ids import TenantId

Credentials = Callable[[App], str | None]
"""Gives a token that may read an app's repository on GitHub, or None where there is none."""

_USERINFO = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]*@")
_HTTP = ("http", "https")


@dataclass(frozen=True)
class Remote:
    """A repository's address as git is given it, and settings of git that must not be seen in argv."""

    url: str
    secrets: tuple[tuple[str, str], ...]


def mask(text: str) -> str:
    """Take user names and passwords out of the URLs of a text."""
    return _USERINFO.sub("***@", text)


def passwords_of(app: App) -> list[str]:
    """What a user wrote into an app's clone URL to sign in with, as written and as meant."""
    parts = urlsplit(app.clone_url)
    return [parts.password, unquote(parts.password)] if parts.password else []


def remote_of(app: App, github_url: str, credentials: Credentials) -> Remote:
    """The remote of an app. A token is sent to GitHub's own host and to no other.

    Git hands a remote's URL to its helpers as an argument, for all of the machine to see; so what a
    user wrote into an http(s) URL goes into a header, too.
    """
    parts = urlsplit(app.clone_url)
    if parts.scheme not in _HTTP:
        return Remote(app.clone_url, ())
    host = parts.netloc.rpartition("@")[2]
    url = parts._replace(netloc=host).geturl()
    origin = f"{parts.scheme}://{host}/"
    if parts.password is not None or parts.username is not None:
        return Remote(url, (_basic(origin, unquote(parts.username or ""), unquote(parts.password or "")),))
    github = urlsplit(github_url)
    if (parts.scheme, host.lower()) != (github.scheme, github.netloc.lower()):
        return Remote(url, ())
    token = credentials(app)
    return Remote(url, (_basic(origin, "x-access-token", token),) if token else ())


def shown(app: App) -> str:
    """An app's clone URL for people."""
    parts = urlsplit(app.clone_url)
    if parts.scheme not in _HTTP or "@" not in parts.netloc:
        return mask(app.clone_url)
    return parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]).geturl()


def _basic(origin: str, user: str, password: str) -> tuple[str, str]:
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return f"http.{quote(origin, safe=':/[]@')}.extraHeader", f"Authorization: Basic {pair}"


def mirror_name(clone_url: str, tenant: TenantId) -> str:
    """The name of the mirror's folder. Each tenant has its own: what one may fetch another may not read."""
    return f"{hashlib.sha256(f'{tenant} {clone_url}'.encode()).hexdigest()}.git"
