"""Signed texts that let a visitor see a protected preview: share links, hand-overs and cookies.

Each is made of words with dots between, safe in an address and in a cookie, and ends with an HMAC-SHA-256
over all the others and over what it is good for. Keys are derived from those of secrets at rest.

`l.<id>.<scope>.<end>`: a share link. `h.<nonce>.<end>`: a hand-over from the console to one hostname, which
is taken once. `c.<by>.<end>`: a cookie of one hostname of one app, since names pass to others; `by` is
`l<id>` of the link that it was given for, or `u` for who signed in. `end`: Unix seconds.
"""

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.clock import Clock, utc_now
from bot.domain.ids import AppId, ShareLinkId
from bot.domain.sharing import ShareLink
from bot.keys import encryption_keys
from bot.settings import Settings

PARAMETER = "_slipway_share"
"""The query parameter of a link's token."""
HEADER = "X-Slipway-Share"
"""The request header that takes a link's token, too, for programs that keep no cookies."""
PLAIN_COOKIE = "slipway-share"
SECURE_COOKIE = f"__Host-{PLAIN_COOKIE}"
"""With this prefix no other site of the same domain can set it (RFC 6265bis, 4.1.3.2)."""
HAND_OVER_LIFE = timedelta(seconds=60)
SIGNED_IN_LIFE = timedelta(hours=12)
SIGNED_IN = "u"
MAX_TOKEN = 300
_PURPOSE = b"slipway share links"


@dataclass(frozen=True)
class Pass:
    """What a valid text lets in: `by` is `SIGNED_IN`, or `l` and the id of a share link."""

    by: str
    until: datetime

    @property
    def link(self) -> ShareLinkId | None:
        """The link that it comes from, if it does from one."""
        return ShareLinkId(int(self.by[1:])) if self.by.startswith("l") else None


@dataclass(frozen=True)
class HandOver:
    """From the console to one hostname; whoever takes it first gets in, and nobody after."""

    nonce: str
    until: datetime


class Signer:
    """Signs with the first key, and takes what any of them signed."""

    def __init__(self, keys: Sequence[bytes], clock: Clock = utc_now) -> None:
        self._keys = [hmac.digest(key, _PURPOSE, hashlib.sha256) for key in keys]
        self._clock = clock

    def link(self, link: ShareLink) -> str:
        """The token of a share link."""
        return self._sealed(f"l.{link.id}.{link.scope}.{_seconds(link.expires_at)}", "")

    def read_link(self, token: str, scopes: Sequence[str]) -> Pass | None:
        """What a link's token lets in, if it is good for one of these scopes and its time is not over."""
        words = self._opened(token, "l", 4, "")
        return Pass(f"l{words[1]}", _moment(words[3])) if words and words[2] in scopes else None

    def hand_over(self, hostname: str) -> str:
        """A token that lets one browser into one hostname, for a minute."""
        end = _seconds(self._clock() + HAND_OVER_LIFE)
        return self._sealed(f"h.{secrets.token_hex(16)}.{end}", hostname)

    def read_hand_over(self, token: str, hostname: str) -> HandOver | None:
        """A hand-over to that hostname, if its time is not over."""
        words = self._opened(token, "h", 3, hostname)
        return HandOver(words[1], _moment(words[2])) if words else None

    def cookie(self, hostname: str, app: AppId, by: str, until: datetime) -> str:
        """A cookie that lets into one hostname, while it is an app's, until a moment."""
        return self._sealed(f"c.{by}.{_seconds(until)}", f"{hostname} {app}")

    def read_cookie(self, value: str, hostname: str, app: AppId) -> Pass | None:
        """What a cookie lets in, if it was given for that hostname of that app and its time is not over."""
        words = self._opened(value, "c", 3, f"{hostname} {app}")
        return Pass(words[1], _moment(words[2])) if words else None

    def _sealed(self, said: str, place: str) -> str:
        return f"{said}.{_signature(self._keys[0], said, place)}"

    def _opened(self, text: str, kind: str, count: int, place: str) -> list[str] | None:
        said, _, signature = text[:MAX_TOKEN].rpartition(".")
        words, given = said.split("."), signature.encode()
        fits = [hmac.compare_digest(_signature(key, said, place).encode(), given) for key in self._keys]
        if not any(fits) or words[0] != kind or len(words) != count:
            return None
        return words if _moment(words[-1]) > self._clock() else None


def open_signer(settings: Settings, clock: Clock = utc_now) -> Signer:
    """The signer of an instance. The key of its secrets is made at first use."""
    return Signer(encryption_keys(settings, _new_key), clock)


def _new_key() -> bytes:
    # As Fernet makes its keys, without cryptography's weight in a process that seals nothing.
    return base64.urlsafe_b64encode(os.urandom(32))


def _signature(key: bytes, said: str, place: str) -> str:
    digest = hmac.digest(key, f"{said} {place}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def _moment(seconds: str) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)
