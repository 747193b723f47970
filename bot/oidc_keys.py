"""What an OpenID Connect issuer publishes: where to sign in, and the keys of its signatures.

Fetched in a thread of its own, so that an issuer that hangs holds up nobody for long: few wait for it,
and not more than a few seconds. Keys are used for an hour after the issuer was reached last; then nobody
gets in by it until it answers again.
"""

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYetError
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from bot.fetching import FetchError, fetch
from bot.late import Late
from bot.log import logger

if TYPE_CHECKING:
    import jwt
else:
    jwt = Late("jwt")

FRESH_SECONDS = 900.0
LONGEST_SECONDS = 3600.0
PAUSE_SECONDS = 15.0
"""At least so long between two questions, whatever tokens name as their key."""
WAIT_SECONDS = 4.0
WAITING = 4
"""How many wait for an answer; others are told to come again."""
ALGORITHMS: Mapping[str, tuple[str, ...]] = {
    "RSA": ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    "EC": ("ES256", "ES384", "ES512"),
    "OKP": ("EdDSA",),
}
"""Signatures that count, by kind of key: those that only the issuer can make."""


class IssuerAwayError(Exception):
    """The issuer does not answer, or not as an issuer does; nobody can be let in by it."""


@dataclass(frozen=True)
class Key:
    """One key, and the algorithms that it may be used with."""

    key: Any
    algorithms: tuple[str, ...]


@dataclass(frozen=True)
class Published:
    """What an issuer publishes."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    keys: Mapping[str, Key]


class Keys:
    """The issuer's publications, remembered and renewed."""

    def __init__(self, issuer: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._issuer = issuer
        self._clock = clock
        self._lock = threading.Lock()
        self._known: Published | None = None
        self._read_at = self._asked_at = float("-inf")
        self._flight: Future[None] | None = None
        self._waiting = 0

    def published(self) -> Published:
        """What it publishes. Raises `IssuerAwayError`."""
        age = self._clock() - self._read_at
        if self._known is None or age > LONGEST_SECONDS:
            self._wait()
        elif age > FRESH_SECONDS:
            self._fly()
        known = self._known
        if known is None or self._clock() - self._read_at > LONGEST_SECONDS:
            raise IssuerAwayError
        return known

    def key(self, kid: str | None) -> Key | None:
        """The key of that id; asked for anew when there is none. Raises `IssuerAwayError`."""
        found = _of(self.published(), kid)
        if found is None and self._clock() - self._asked_at >= PAUSE_SECONDS:
            self._wait()
            found = _of(self.published(), kid)
        return found

    def _wait(self) -> None:
        with self._lock:
            if self._waiting >= WAITING:
                raise IssuerAwayError
            self._waiting += 1
        try:
            if (flight := self._fly()) is not None:
                flight.result(WAIT_SECONDS)
        except NotYetError as error:
            raise IssuerAwayError from error
        finally:
            with self._lock:
                self._waiting -= 1

    def _fly(self) -> Future[None] | None:
        """The question that is under way; None when one was asked a moment ago."""
        with self._lock:
            if self._flight is not None:
                return self._flight
            if self._clock() - self._asked_at < PAUSE_SECONDS:
                return None
            self._asked_at = self._clock()
            flight = self._flight = Future[None]()
        threading.Thread(target=self._ask, args=(flight,), daemon=True, name="oidc").start()
        return flight

    def _ask(self, flight: Future[None]) -> None:
        try:
            known = _published(self._issuer)
            with self._lock:
                self._known, self._read_at = known, self._clock()
        except (FetchError, IssuerAwayError) as error:
            logger.warning("the OIDC issuer can't be asked", issuer=self._issuer, error=str(error))
        finally:
            with self._lock:
                self._flight = None
            flight.set_result(None)


class _Document(msgspec.Struct):
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


def _published(issuer: str) -> Published:
    try:
        told = msgspec.convert(fetch(f"{issuer.rstrip('/')}/.well-known/openid-configuration"), _Document)
        if told.issuer.rstrip("/") != issuer.rstrip("/"):
            raise IssuerAwayError(f"its discovery document is of {told.issuer}")
        scheme = issuer.partition("://")[0]
        addresses = (told.authorization_endpoint, told.token_endpoint, told.jwks_uri)
        if not all(one.startswith(("https://", f"{scheme}://")) for one in addresses):
            raise IssuerAwayError("its discovery document names addresses without TLS")
        keys = msgspec.convert(fetch(told.jwks_uri), _KeySet)
    except msgspec.ValidationError as error:
        raise IssuerAwayError(f"it does not answer as an issuer does: {error}") from None
    return Published(told.issuer, told.authorization_endpoint, told.token_endpoint, _keys(keys.keys))


def _keys(rows: list[dict[str, Any]]) -> dict[str, Key]:
    """Keys by id; without those of other uses, and those that not only the issuer has."""
    found: dict[str, Key] = {}
    for row in rows:
        usual = ALGORITHMS.get(str(row.get("kty")), ())
        named = _fitting(row, tuple(one for one in usual if row.get("alg") in (None, one)))
        if not named or row.get("use", "sig") != "sig":
            continue
        try:
            found[str(row.get("kid", ""))] = Key(jwt.PyJWK(row, named[0]).key, named)
        except jwt.PyJWTError as error:
            logger.warning("a key of the OIDC issuer can't be used", kid=row.get("kid"), error=str(error))
    return found


def _fitting(row: Mapping[str, Any], named: tuple[str, ...]) -> tuple[str, ...]:
    if row.get("kty") != "EC":
        return named
    of_curve = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}.get(str(row.get("crv")))
    return tuple(one for one in named if one == of_curve)


def _of(known: Published, kid: str | None) -> Key | None:
    if kid is None:
        return next(iter(known.keys.values())) if len(known.keys) == 1 else None
    return known.keys.get(kid)
