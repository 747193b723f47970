"""An OpenID Connect issuer over HTTP, with real keys: what it publishes, signs and takes codes for."""

import base64
import json
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from tests.fakes.answering import Answers, Headers, answering
from tests.fakes.codes import Codes

Private = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
AUDIENCE = "console"


def new_ec() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def new_rsa() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@dataclass
class Issuer:
    """What the issuer is and does. Set `hangs` or `broken` to make it fail; `asked` is what came."""

    url: str = ""
    keys: dict[str, Private] = field(default_factory=lambda: {"first": new_ec()})
    person: dict[str, Any] = field(
        default_factory=lambda: {"email": "mona@acme.example", "email_verified": True, "sub": "mona"}
    )
    client_secret: str | None = None
    asked: list[str] = field(default_factory=list[str])
    broken: bool = False
    hangs: threading.Event | None = None
    extra_keys: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    document: dict[str, Any] = field(default_factory=dict[str, Any])
    codes: Codes = field(default_factory=Codes)

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(time.time())
        made = {"iss": self.url, "aud": AUDIENCE, "iat": now, "exp": now + 600, **self.person, **changes}
        return {name: value for name, value in made.items() if value is not None}

    def token(
        self, *, kid: str | None = None, headers: Mapping[str, Any] | None = None, **changes: Any
    ) -> str:
        """An ID token; a claim is left out by None."""
        kid = kid or next(reversed(self.keys))
        key = self.keys[kid]
        algorithm = "ES256" if isinstance(key, ec.EllipticCurvePrivateKey) else "RS256"
        return jwt.encode(self.claims(**changes), key, algorithm, {"kid": kid, **(headers or {})})

    def sign_in(self, address: str) -> str:
        """What the issuer does with a browser that comes to its sign-in: where it is sent on to."""
        asked, on = self.codes.give(address, f"{self.url}/authorize")
        assert asked["response_type"] == "code"
        return on

    def get(self, path: str) -> Any:
        if path == "/.well-known/openid-configuration":
            named = {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/authorize",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
            }
            return {**named, **self.document}
        if path == "/keys":
            return {"keys": [*(published(kid, key) for kid, key in self.keys.items()), *self.extra_keys]}
        return None

    def exchange(self, form: dict[str, str], basic: str) -> dict[str, Any] | None:
        asked = self.codes.take(form)
        if asked is None or form.get("grant_type") != "authorization_code":
            return None
        wanted = base64.b64encode(f"{AUDIENCE}:{self.client_secret}".encode()).decode()
        is_known = self.client_secret is None or basic == f"Basic {wanted}"
        same = asked["redirect_uri"] == form["redirect_uri"] and asked["client_id"] == AUDIENCE
        if not is_known or not same:
            return None
        return {
            "access_token": "x",
            "token_type": "Bearer",
            "id_token": self.token(nonce=self.person.get("nonce", asked["nonce"])),
        }


def published(kid: str, key: Private) -> dict[str, Any]:
    algorithm = ECAlgorithm if isinstance(key, ec.EllipticCurvePrivateKey) else RSAAlgorithm
    row = json.loads(algorithm.to_jwk(key.public_key()))  # pyright: ignore[reportArgumentType]
    return {**row, "kid": kid, "use": "sig"}


@contextmanager
def issuing() -> Generator[Issuer]:
    """An issuer that answers on a port of the loopback."""
    issuer = Issuer()

    def get(path: str, _headers: Headers) -> Any:
        issuer.asked.append(path)
        if issuer.hangs is not None:
            issuer.hangs.wait(30)
        return None if issuer.broken else issuer.get(path)

    def post(path: str, form: dict[str, str], headers: Headers) -> Any:
        issuer.asked.append(path)
        return issuer.exchange(form, headers.get("authorization", ""))

    with answering(Answers(get, post, (400, {"error": "invalid_grant"}))) as url:
        issuer.url = url
        try:
            yield issuer
        finally:
            if issuer.hangs is not None:
                issuer.hangs.set()
