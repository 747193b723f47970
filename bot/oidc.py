"""ID tokens of the configured OpenID Connect issuer: who somebody is, as the issuer says.

OpenID Connect Core 1.0, section 3.1.3.7, and RFC 8725; Cognito's `token_use` as its documentation says.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, cast

from bot.late import Late
from bot.oidc_keys import IssuerAwayError, Key, Keys, Published
from bot.settings import Settings

if TYPE_CHECKING:
    import jwt
else:
    # With what it verifies by it takes 9 MB, and only tokens of an issuer need it.
    jwt = Late("jwt")

LEEWAY_SECONDS = 30
"""How far the issuer's clock may be from ours."""
_NEEDED = ("exp", "iat", "iss", "aud", "sub")

__all__ = ["Claims", "IdTokenError", "Issuer", "IssuerAwayError", "Wrong", "issuer_of", "looks_like_one"]


class Wrong(StrEnum):
    """What can be wrong with a token."""

    INVALID = "id-token-invalid"
    EXPIRED = "token-expired"
    ACCESS_TOKEN = "access-token-refused"  # noqa: S105 a code, no secret


class IdTokenError(Exception):
    """A token does not say who somebody is. The text says why, and what to send."""

    def __init__(self, code: Wrong, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Claims:
    """Who somebody is."""

    email: str
    name: str


def looks_like_one(text: str) -> bool:
    """Whether a bearer's text is a JSON Web Token."""
    return text.startswith("eyJ") and text.count(".") == 2


def issuer_of(settings: Settings) -> "Issuer | None":
    """The issuer of the settings."""
    if settings.oidc_issuer is None or not settings.oidc_audience:
        return None
    return Issuer(
        settings.oidc_issuer,
        tuple(settings.oidc_audience),
        takes_unverified=settings.oidc_unverified_email,
        keys=Keys(settings.oidc_issuer),
    )


class Issuer:
    """Reads ID tokens of one issuer for some audiences."""

    def __init__(
        self, issuer: str, audiences: tuple[str, ...], *, keys: Keys, takes_unverified: bool = False
    ) -> None:
        self.name = issuer
        self._audiences = audiences
        self._takes_unverified = takes_unverified
        self._keys = keys

    def published(self) -> Published:
        """Where it signs people in. Raises `IssuerAwayError`."""
        return self._keys.published()

    def read(self, token: str, *, nonce: str | None = None) -> Claims:
        """Who a token says somebody is. Raises `IdTokenError`, or `IssuerAwayError`."""
        header = _header(token)
        key = self._keys.key(header.get("kid"))
        if key is None:
            raise IdTokenError(Wrong.INVALID, f"{self.name} publishes no key that signed this token.")
        claims = self._verified(token, key)
        self._check_kind(header, claims)
        self._check_audience(claims)
        if nonce is not None and claims.get("nonce") != nonce:
            raise IdTokenError(Wrong.INVALID, "This token was made for another sign-in.")
        return Claims(self._email(claims), str(claims.get("name") or ""))

    def _verified(self, token: str, key: Key) -> dict[str, Any]:
        try:
            # The audience is looked at after the kind: access tokens often have none.
            needed = [one for one in _NEEDED if one != "aud"]
            return jwt.decode(
                token,
                key.key,
                algorithms=list(key.algorithms),
                issuer=self._keys.published().issuer,
                leeway=LEEWAY_SECONDS,
                options={"require": needed, "verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise IdTokenError(Wrong.EXPIRED, "The ID token has expired. Sign in anew for another.") from None
        except jwt.InvalidIssuerError:
            raise IdTokenError(Wrong.INVALID, f"The token is not of {self.name}.") from None
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise IdTokenError(Wrong.INVALID, f"The ID token is not valid: {error}.") from None

    def _check_kind(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
        # RFC 9068, section 2.1; Cognito's claim; and Keycloak's.
        is_access = str(header.get("typ", "")).lower().removeprefix("application/") == "at+jwt"
        is_access |= claims.get("token_use", "id") != "id" or claims.get("typ", "ID") != "ID"
        if is_access:
            message = "This is an access token. Send the ID token of the same sign-in (scope 'openid email')."
            raise IdTokenError(Wrong.ACCESS_TOKEN, message)

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        told = claims.get("aud")
        audiences = cast("list[Any]", told) if isinstance(told, list) else [told]
        party = claims.get("azp")
        if not any(one in self._audiences for one in audiences) or (
            party is not None and party not in self._audiences
        ):
            raise IdTokenError(Wrong.INVALID, "The token was made for another application than this one.")

    def _email(self, claims: Mapping[str, Any]) -> str:
        email = claims.get("email")
        if not isinstance(email, str) or "@" not in email.strip("@") or len(email) > 254:
            message = "The token has no 'email' claim. Ask the issuer for the scope 'openid email'."
            raise IdTokenError(Wrong.INVALID, message)
        # Cognito, and some others, write the flag as a text.
        if not self._takes_unverified and claims.get("email_verified") not in (True, "true"):
            raise IdTokenError(Wrong.INVALID, f"{self.name} does not say that it verified {email}.")
        return email.lower()


def _header(token: str) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise IdTokenError(Wrong.INVALID, f"This is not an ID token: {error}.") from None
    return header
