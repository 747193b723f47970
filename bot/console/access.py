"""Who may see the console: whoever holds the instance's console key, or a cookie that was given for it."""

import hashlib
import hmac
import re
from datetime import timedelta

from starlette.requests import HTTPConnection
from starlette.responses import Response

from bot.clock import Clock, utc_now
from bot.keys import kept_secret
from bot.origin import from_this_host
from bot.settings import Settings

LIFETIME = timedelta(days=7)
# ASCII without blanks and backslashes: browsers read '/\evil' and '/<tab>/evil' as another host.
_LOCAL_PATH = re.compile(r"/(?!/)[!-\[\]-~]*")


def console_key(settings: Settings) -> str:
    """The instance's console key, made in `keys/console.key` of the home (0600) at first use."""
    return kept_secret(settings.home / "keys" / "console.key")


def sign_in_link(settings: Settings) -> str:
    """Address that signs in whoever opens it; the key is a fragment, which no server or log ever sees."""
    return f"{settings.url}/sign-in#{console_key(settings)}"


def local_path(text: str | None) -> str:
    """A path of this site to go on to; `/` for anything else."""
    return text if text and len(text) <= 2000 and _LOCAL_PATH.fullmatch(text) else "/"


def is_same_origin(request: HTTPConnection) -> bool:
    """Whether a form was sent by a page of this very host; yes where the browser does not say."""
    return from_this_host(request) is not False


class Access:
    """Checks keys and cookies. A token is its end in Unix seconds and an HMAC of that, made with the key."""

    def __init__(self, key: str, *, public_url: str, clock: Clock = utc_now) -> None:
        self._key = key.encode()
        self._clock = clock
        self._secure = public_url.startswith("https:")
        # With this prefix no deployed site of the same domain can set the cookie (RFC 6265bis, 4.1.3.2).
        self.cookie = "__Host-slipway" if self._secure else "slipway"

    def allows(self, connection: HTTPConnection) -> bool:
        """Whether a request carries a valid cookie, or the key as a bearer token."""
        scheme, _, presented = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_key(presented.strip()):
            return True
        return self._is_token(connection.cookies.get(self.cookie, ""))

    def is_key(self, text: str) -> bool:
        """Whether the text is the console key."""
        return hmac.compare_digest(text.encode(), self._key)

    def sign_in(self, response: Response) -> None:
        """Give the cookie."""
        seconds = int(LIFETIME.total_seconds())
        end = int(self._clock().timestamp()) + seconds
        token = f"{end}.{self._signature(str(end))}"
        response.set_cookie(
            self.cookie, token, max_age=seconds, secure=self._secure, httponly=True, samesite="lax"
        )

    def sign_out(self, response: Response) -> None:
        """Take the cookie away."""
        response.delete_cookie(self.cookie, secure=self._secure, httponly=True, samesite="lax")

    def state(self, purpose: str, connection: HTTPConnection | None, life: timedelta) -> str:
        """A text that allows a purpose for a while, to whoever has this connection's cookie.

        Without a connection it is made for the command line, and good for whoever is signed in.
        """
        end = str(int((self._clock() + life).timestamp()))
        whose = connection.cookies.get(self.cookie, "") if connection is not None else ""
        return f"{end}.{self._sign(purpose, whose, end)}"

    def is_state(self, purpose: str, connection: HTTPConnection, text: str) -> bool:
        """Whether the text was made here for that purpose, for this visitor, and still counts."""
        end, _, signature = text.partition(".")
        for whose in (connection.cookies.get(self.cookie, ""), ""):
            if hmac.compare_digest(signature.encode(), self._sign(purpose, whose, end).encode()):
                return int(end) > self._clock().timestamp()
        return False

    def _sign(self, purpose: str, whose: str, end: str) -> str:
        text = f"{purpose} until {end} by {whose}"
        return hmac.digest(self._key, text.encode(), hashlib.sha256).hex()

    def _is_token(self, token: str) -> bool:
        end, _, signature = token.partition(".")
        if not hmac.compare_digest(signature.encode(), self._signature(end).encode()):
            return False
        return int(end) > self._clock().timestamp()

    def _signature(self, end: str) -> str:
        return hmac.digest(self._key, f"console until {end}".encode(), hashlib.sha256).hex()
