"""Secrets of outgoing webhooks, and signatures by them, as Standard Webhooks has them.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from datetime import datetime

import msgspec

from bot.domain.outgoing import SECRET_LIFE
from bot.vault import Vault

_PREFIX = "whsec_"


class Secret(msgspec.Struct, frozen=True):
    """One secret, `whsec_` and base64 of 32 random bytes; one that was replaced signs until a moment."""

    text: str
    until: datetime | None = None

    def __repr__(self) -> str:
        """Nothing of it."""
        return "Secret(...)"


def mint() -> Secret:
    """Make a secret."""
    return Secret(_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode())


def seal(vault: Vault, kept: Sequence[Secret]) -> bytes:
    """Secrets as they are stored."""
    return vault.seal(msgspec.json.encode(kept))


def unseal(vault: Vault, sealed: bytes) -> list[Secret]:
    """Stored secrets, the newest first. Raises `PlatformError` when they can't be opened."""
    return msgspec.json.decode(vault.open(sealed), type=list[Secret])


def rotated(kept: Sequence[Secret], made: Secret, now: datetime) -> list[Secret]:
    """A new secret, and for a day the one that it replaces; two at a time."""
    return [made, Secret(kept[0].text, now + SECRET_LIFE)]


def sign(kept: Sequence[Secret], uid: str, body: bytes, now: datetime) -> dict[str, str]:
    """The headers of a signed message: a signature by each secret that is valid at a moment."""
    at = str(int(now.timestamp()))
    said = b".".join((uid.encode(), at.encode(), body))
    valid = [one for one in kept if one.until is None or now < one.until]
    signatures = " ".join(f"v1,{_signature(one, said)}" for one in valid)
    return {"webhook-id": uid, "webhook-timestamp": at, "webhook-signature": signatures}


def _signature(secret: Secret, said: bytes) -> str:
    key = base64.b64decode(secret.text.removeprefix(_PREFIX))
    return base64.b64encode(hmac.digest(key, said, hashlib.sha256)).decode()
