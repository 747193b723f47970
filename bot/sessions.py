"""Sessions of people who signed in: the cookie, and what is behind it."""

import hashlib
import hmac
import secrets
from contextlib import suppress
from datetime import timedelta

from starlette.requests import HTTPConnection
from starlette.responses import Response

from bot.clock import Clock, utc_now
from bot.domain.ids import TenantId
from bot.domain.session import SignedInBy
from bot.minted import digest_of
from bot.store import sessions
from bot.store.due import is_use_due
from bot.store.engine import Engine, StoreError, Tx, reading, writing
from bot.store.people import User
from bot.store.sessions import NewSession, Session

LIFETIME = timedelta(days=7)
_AGENT = 200
_LENGTH = 43


class Sessions:
    """Begins, finds and ends sessions."""

    def __init__(self, engine: Engine, *, public_url: str, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._clock = clock
        self._secure = public_url.startswith("https:")
        # With this prefix no deployed site of the same domain can set the cookie (RFC 6265bis, 4.1.3.2).
        self.cookie = "__Host-slipway-session" if self._secure else "slipway-session"

    def begin(
        self,
        tx: Tx,
        connection: HTTPConnection,
        user: User,
        via: SignedInBy,
        *,
        tenant: TenantId | None = None,
    ) -> str:
        """Store a session and return its secret, which `give` puts into the cookie."""
        secret = secrets.token_urlsafe(32)
        new = NewSession(
            user_id=user.id,
            tenant_id=tenant,
            via=via,
            digest=digest_of(secret),
            address=connection.client.host if connection.client else "",
            agent=connection.headers.get("user-agent", "")[:_AGENT],
            expires_at=self._clock() + LIFETIME,
        )
        sessions.insert(tx, new, self._clock())
        return secret

    def give(self, response: Response, secret: str) -> None:
        """Set the cookie."""
        seconds = int(LIFETIME.total_seconds())
        response.set_cookie(
            self.cookie, secret, max_age=seconds, secure=self._secure, httponly=True, samesite="lax"
        )

    def take_back(self, response: Response) -> None:
        """Take the cookie away."""
        response.delete_cookie(self.cookie, secure=self._secure, httponly=True, samesite="lax")

    def find(self, connection: HTTPConnection) -> Session | None:
        """The session of a request's cookie, unless it ended."""
        secret = self._secret(connection)
        if len(secret) != _LENGTH:
            return None
        now = self._clock()
        with reading(self._engine) as tx:
            found = sessions.by_digest(tx, digest_of(secret), now)
        if found is not None and is_use_due(found.last_used_at, now):
            # Nobody is kept out because it could not be noted.
            with suppress(StoreError), writing(self._engine) as tx:
                sessions.note_use(tx, found.id, now)
        return found

    def form_token(self, connection: HTTPConnection) -> str:
        """What proves that a form, or a script, is of a page that was made for this very session."""
        # Of the secret, which pages elsewhere know as little as the cookie.
        return hmac.digest(self._secret(connection).encode(), b"form", hashlib.sha256).hex()

    def is_form_token(self, connection: HTTPConnection, text: str) -> bool:
        """Whether a text is that."""
        return hmac.compare_digest(text.encode(), self.form_token(connection).encode())

    def _secret(self, connection: HTTPConnection) -> str:
        return connection.cookies.get(self.cookie, "")
