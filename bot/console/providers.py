"""Where people sign in: GitHub, by the App that was made for this instance, or an OpenID Connect issuer.

Both by an authorization code with PKCE (RFC 6749, 4.1; RFC 7636); our answer to GitHub's refusals is a
sentence for whoever signs in.
"""

import base64
import hashlib
import secrets
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import quote, urlencode

import msgspec

from bot import github_app
from bot.domain.session import SignedInBy
from bot.fetching import FetchError, fetch
from bot.oidc import IdTokenError, Issuer, IssuerAwayError
from bot.settings import Settings
from bot.store.engine import Engine, reading
from bot.vault import Vault

_VERSION = "2022-11-28"


class NotSignedInError(Exception):
    """Nobody can be signed in; the text says why."""


class Asked(msgspec.Struct, frozen=True):
    """What we asked a provider for.

    `following` is where to go on; `installation` is what is to be bound to `tenant`.
    """

    provider: str
    state: str
    verifier: str
    nonce: str
    following: str
    until: float
    installation: int | None = None
    tenant: int | None = None

    @property
    def challenge(self) -> str:
        """What of the verifier is told beforehand."""
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def new_asked(provider: str, following: str, until: float) -> Asked:
    """A new question."""
    state, verifier, nonce = (secrets.token_urlsafe(32) for _ in range(3))
    return Asked(provider, state, verifier, nonce, following, until)


@dataclass(frozen=True)
class Person:
    """Who a provider says that somebody is: verified addresses, the best first."""

    emails: tuple[str, ...]
    name: str
    github_id: int | None = None
    token: str = field(default="", repr=False)


class Provider(Protocol):
    """One place to sign in."""

    @property
    def via(self) -> SignedInBy:
        """What it proves by."""
        ...

    @property
    def label(self) -> str:
        """As the button names it."""
        ...

    def address(self, asked: Asked, back: str) -> str:
        """Where the browser is sent. Raises `NotSignedInError`."""
        ...

    def person(self, asked: Asked, code: str, back: str) -> Person:
        """Who came back with a code. Raises `NotSignedInError`."""
        ...


@dataclass(frozen=True)
class ByIssuer:
    """Signs in by the OpenID Connect issuer of the settings."""

    issuer: Issuer
    settings: Settings
    via: SignedInBy = SignedInBy.OIDC
    label: str = "your organisation's account"

    def address(self, asked: Asked, back: str) -> str:
        """Where the browser is sent."""
        query = {
            "response_type": "code",
            "client_id": self.settings.oidc_audience[0],
            "redirect_uri": back,
            "scope": "openid email profile",
            "state": asked.state,
            "nonce": asked.nonce,
            "code_challenge": asked.challenge,
            "code_challenge_method": "S256",
        }
        where = self._published().authorization_endpoint
        return f"{where}{'&' if '?' in where else '?'}{urlencode(query)}"

    def person(self, asked: Asked, code: str, back: str) -> Person:
        """Who came back with a code."""
        client, secret = self.settings.oidc_audience[0], self.settings.oidc_client_secret
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": back}
        form |= {"client_id": client, "code_verifier": asked.verifier}
        headers: dict[str, str] = {}
        if secret is not None:
            # RFC 6749, 2.3.1: both are encoded like a form's values first.
            pair = f"{quote(client, safe='')}:{quote(secret.get_secret_value(), safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        try:
            told = fetch(self._published().token_endpoint, form=form, headers=headers)
            claims = self.issuer.read(str(told["id_token"]), nonce=asked.nonce)
        except (FetchError, IssuerAwayError) as error:
            raise NotSignedInError(f"The sign-in could not be finished: {error or 'no answer'}.") from error
        except IdTokenError as error:
            raise NotSignedInError(str(error)) from error
        except (KeyError, TypeError) as error:
            raise NotSignedInError(f"{self.issuer.name} gave no ID token.") from error
        return Person((claims.email,), claims.name)

    def _published(self) -> Any:
        try:
            return self.issuer.published()
        except IssuerAwayError as error:
            raise NotSignedInError(f"{self.issuer.name} does not answer. Try again in a moment.") from error


@dataclass(frozen=True)
class ByGitHub:
    """Signs in by the GitHub App of this instance."""

    settings: Settings
    client_id: str
    client_secret: str = field(repr=False)
    via: SignedInBy = SignedInBy.GITHUB
    label: str = "GitHub"

    def address(self, asked: Asked, back: str) -> str:
        """Where the browser is sent."""
        query = {
            "client_id": self.client_id,
            "redirect_uri": back,
            "state": asked.state,
            "code_challenge": asked.challenge,
            "code_challenge_method": "S256",
        }
        return f"{self._pages}/login/oauth/authorize?{urlencode(query)}"

    def person(self, asked: Asked, code: str, back: str) -> Person:
        """Who came back with a code."""
        form = {"client_id": self.client_id, "client_secret": self.client_secret, "code": code}
        form |= {"redirect_uri": back, "code_verifier": asked.verifier}
        try:
            told = fetch(f"{self._pages}/login/oauth/access_token", form=form)
            token = str(told["access_token"])
            user = self.ask("user", token)
            rows: list[dict[str, Any]] = self.ask("user/emails?per_page=100", token)
            name, number = str(user.get("name") or user["login"]), int(user["id"])
            verified = [one for one in rows if one["verified"] is True]
        except FetchError as error:
            raise NotSignedInError(f"GitHub did not answer as it should: {error}.") from error
        except (KeyError, TypeError, ValueError) as error:
            raise NotSignedInError("GitHub does not take the code: it works once. Sign in anew.") from error
        verified.sort(key=lambda one: not one.get("primary"))
        return Person(tuple(str(one["email"]).lower() for one in verified), name, number, token)

    def ask(self, path: str, token: str) -> Any:
        """Ask GitHub's API on behalf of a person. Raises `FetchError`."""
        headers = {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": _VERSION,
        }
        return fetch(f"{self.settings.github_api_url.rstrip('/')}/{path}", headers=headers)

    @property
    def _pages(self) -> str:
        return self.settings.github_url.rstrip("/")


@dataclass(frozen=True)
class Ways:
    """Every way to sign in that there is now: an App may be made, or forgotten, at any time."""

    settings: Settings
    engine: Engine
    vault: Vault
    issuer: Issuer | None

    def all(self) -> dict[str, Provider]:
        """By name, as addresses have it."""
        found: dict[str, Provider] = {}
        if (github := self.github()) is not None:
            found["github"] = github
        if self.issuer is not None:
            found["oidc"] = ByIssuer(self.issuer, self.settings)
        return found

    def github(self) -> ByGitHub | None:
        """GitHub, when an App was made for this instance."""
        with reading(self.engine) as tx:
            shown = github_app.shown(tx, self.settings)
            known = github_app.secrets_of(tx, self.settings, self.vault)
        if shown is None or known is None:
            return None
        return ByGitHub(self.settings, shown.client_id, known.client_secret)
