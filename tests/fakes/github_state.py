"""What the fake GitHub knows, and the rules by which it refuses."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

LEVELS = {"read": 1, "write": 2}


class Refusal(Exception):  # noqa: N818
    """An answer that is no success. `expected`: GitHub may well say this to a bot that does all right."""

    def __init__(
        self, status: int, message: str, *, headers: dict[str, str] | None = None, expected: bool = False
    ) -> None:
        self.status, self.message, self.headers, self.expected = status, message, headers or {}, expected
        super().__init__(message)


@dataclass
class Repository:
    id: int
    full_name: str
    installation: int | None
    commits: set[str] | None = None
    archived: bool = False
    private: bool = False
    statuses: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    deployments: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    check_runs: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    comments: list[Any] = field(default_factory=list[Any])
    pulls: dict[int, dict[str, Any]] = field(default_factory=dict[int, dict[str, Any]])
    collaborators: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class Installation:
    id: int
    permissions: dict[str, str]
    suspended: bool = False


@dataclass
class Token:
    installation: int | None
    repositories: set[str] | None
    permissions: dict[str, str]
    expires_at: datetime


@dataclass
class Attempt:
    id: int
    guid: str
    event: str
    delivered_at: datetime
    status: str
    status_code: int
    redelivery: bool
    body: bytes

    def public(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "guid": self.guid,
            "delivered_at": f"{self.delivered_at:%Y-%m-%dT%H:%M:%SZ}",
            "redelivery": self.redelivery,
            "duration": 0.2,
            "status": self.status,
            "status_code": self.status_code,
            "event": self.event,
            "action": None,
            "installation_id": None,
            "repository_id": None,
            "throttled_at": None,
        }


@dataclass
class World:
    """Repositories, installations, tokens, deliveries; and what was refused against expectation."""

    key: rsa.RSAPrivateKey
    app_id: str = "4711"
    repositories: dict[str, Repository] = field(default_factory=dict[str, Repository])
    installations: dict[int, Installation] = field(default_factory=dict[int, Installation])
    tokens: dict[str, Token] = field(default_factory=dict[str, Token])
    attempts: list[Attempt] = field(default_factory=list[Attempt])
    said: list[str] = field(default_factory=list[str])
    minted: int = 0
    numbers: int = 1000
    token_life: timedelta = timedelta(hours=1)

    @property
    def pem(self) -> str:
        private = serialization.PrivateFormat.TraditionalOpenSSL
        plain = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, private, plain).decode()

    def number(self) -> int:
        self.numbers += 1
        return self.numbers

    def mint(self, installation: Installation, body: dict[str, Any]) -> dict[str, Any]:
        if installation.suspended:
            raise Refusal(403, "This installation has been suspended", expected=True)
        wanted = body.get("permissions") or installation.permissions
        for name, level in wanted.items():
            if LEVELS[level] > LEVELS.get(installation.permissions.get(name, ""), 0):
                raise Refusal(
                    422, "The permissions requested are not granted to this installation.", expected=True
                )
        token = f"ghs_{self.app_id}_{secrets.token_urlsafe(180)}.{secrets.token_urlsafe(190)}"
        expires = datetime.now(UTC) + self.token_life
        self.tokens[token] = Token(installation.id, self._scope(installation, body), wanted, expires)
        self.minted += 1
        return {"token": token, "expires_at": f"{expires:%Y-%m-%dT%H:%M:%SZ}", "permissions": wanted}

    def _scope(self, installation: Installation, body: dict[str, Any]) -> set[str] | None:
        names, ids = body.get("repositories"), body.get("repository_ids")
        if names is None and ids is None:
            return None
        mine = [one for one in self.repositories.values() if one.installation == installation.id]
        chosen = {
            one.full_name
            for one in mine
            if one.id in (ids or []) or one.full_name.partition("/")[2] in (names or [])
        }
        if not chosen:
            raise Refusal(422, "There is at least one repository that does not exist or is not accessible")
        return chosen

    def check_app(self, authorization: str) -> None:
        """Accept a JWT as GitHub does: RS256, our issuer, issued in the past, ten minutes at most."""
        scheme, _, token = authorization.partition(" ")
        try:
            claims = jwt.decode(
                token, self.key.public_key(), algorithms=["RS256"], issuer=self.app_id, leeway=5
            )
        except jwt.PyJWTError as error:
            raise Refusal(401, f"A JSON web token could not be decoded: {error}", expected=True) from error
        if scheme.lower() != "bearer" or claims["exp"] - datetime.now(UTC).timestamp() > 600:
            raise Refusal(401, "'Expiration time' claim ('exp') is too far in the future")

    def check_token(self, authorization: str, repository: Repository, needs: dict[str, str]) -> None:
        """Accept a token that lives, covers the repository and has the permissions."""
        token = self.tokens.get(authorization.partition(" ")[2])
        if token is None or token.expires_at < datetime.now(UTC):
            raise Refusal(401, "Bad credentials", expected=True)
        installation = self.installations.get(token.installation or 0)
        if installation is not None and installation.suspended:
            raise Refusal(403, "This installation has been suspended", expected=True)
        covered = token.repositories is None or repository.full_name in token.repositories
        if not covered or (installation and repository.installation != installation.id):
            raise Refusal(404, "Not Found")
        for name, level in needs.items():
            if LEVELS[level] > LEVELS.get(token.permissions.get(name, ""), 0):
                wanted = {"X-Accepted-GitHub-Permissions": f"{name}={level}"}
                raise Refusal(403, "Resource not accessible by integration", headers=wanted)


def text(body: dict[str, Any], name: str, *, longest: int = 255, required: bool = False) -> str:
    """A string field, as GitHub validates it."""
    value = body.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str) or (required and not value):
        raise Refusal(422, f"Validation Failed: {name} is missing or no string")
    if len(value) > longest:
        raise Refusal(422, f"Validation Failed: {name} is too long (maximum is {longest} characters)")
    return value


def url(body: dict[str, Any], name: str) -> str:
    """A web address or nothing."""
    value = text(body, name, longest=2048)
    if value and not value.startswith(("http://", "https://")):
        raise Refusal(422, f"Validation Failed: {name} must use http(s) scheme")
    return value


def choice(body: dict[str, Any], name: str, allowed: set[str]) -> str:
    """One of some words."""
    value = body.get(name)
    if value not in allowed:
        raise Refusal(422, f"Validation Failed: {name} is {value!r}, not one of {sorted(allowed)}")
    return str(value)
