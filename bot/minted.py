"""Secrets that are shown once: a handle by which the row is found, and 256 random bits."""

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field

PERSONAL, OF_APP, HOOK = "slp", "sld", "slh"
"""What the secrets of people, of one app's deploy tokens and of deploy hooks begin with."""
_MINTED = re.compile(r"([a-z]+)_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True)
class Minted:
    """A new secret: the text that is shown once, and what is stored."""

    text: str = field(repr=False)
    handle: str
    digest: bytes


def mint(kind: str) -> Minted:
    """Make a secret, `<kind>_<handle>_<43 characters>`."""
    handle, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return Minted(f"{kind}_{handle}_{secret}", handle, digest_of(secret))


def read(text: str, *kinds: str) -> tuple[str, str] | None:
    """The handle and the secret of a text that `mint` makes for one of the kinds; None for any other text."""
    match = _MINTED.fullmatch(text)
    return (match[2], match[3]) if match is not None and match[1] in kinds else None


def digest_of(secret: str) -> bytes:
    """What is stored of a secret of 256 random bits: nothing would be gained by a slow hash."""
    return hashlib.sha256(secret.encode()).digest()


def fits(secret: str, digest: bytes) -> bool:
    """Whether a secret is the one of a digest."""
    return hmac.compare_digest(digest_of(secret), digest)
