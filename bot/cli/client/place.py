"""Which instance a command speaks to, and as whom: a remote one by address and token, else this machine's."""

import os
from dataclasses import dataclass
from importlib import import_module
from urllib.parse import urlsplit

from bot.errors import ErrorCode, PlatformError, UserError

URL, TOKEN = "SLIPWAY_API_URL", "SLIPWAY_TOKEN"
_PREFIX = "/api/v1"


@dataclass(frozen=True)
class Place:
    """An instance's address, and what to show there. `home` is None of one on another machine."""

    url: str
    token: str
    home: str | None = None

    @property
    def advice(self) -> str:
        """What to do when nothing answers there."""
        if self.home is None:
            return f"Check {URL}, the network, and that Slipway runs there: its `/health` tells."
        return (
            f"Start it with `slipway up`, or `slipway web` where parts run singly (its home is {self.home}, "
            f"`SLIPWAY_HOME` names another). To speak to one on another machine set {URL} and {TOKEN}."
        )


def find_place() -> Place:
    """The instance that SLIPWAY_API_URL names (`--url` sets it), else the one of this machine.

    Raises `UserError` for what is no address or has no token, `PlatformError` WEB_AWAY when this machine's
    web process never ran.
    """
    url = os.environ.get(URL, "").strip()
    return _remote(url) if url else _local()


def _remote(url: str) -> Place:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        expected = "an address such as https://deploys.example.org"
        raise UserError(ErrorCode.INVALID_VALUE, field=URL, value=url, expected=expected)
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        expected = f"set: a token of {url}. `slipway token create` on its machine makes the first one"
        raise UserError(ErrorCode.INVALID_VALUE, field=TOKEN, value="", expected=expected)
    return Place(url.rstrip("/").removesuffix(_PREFIX), token)


def _local() -> Place:
    # Settings take longer to load than a command for a remote instance takes.
    settings = import_module("bot.settings").Settings()
    place = Place(settings.web_url, os.environ.get(TOKEN, "").strip(), str(settings.home))
    if place.token:
        return place
    try:
        key = (settings.home / "keys" / "console.key").read_text().split()[0]
    except (OSError, IndexError) as error:
        raise PlatformError(ErrorCode.WEB_AWAY, url=place.url, advice=place.advice) from error
    return Place(place.url, key, place.home)
