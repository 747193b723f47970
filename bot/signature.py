"""GitHub's signature of a delivery: HMAC-SHA256 over the raw body (pure).

https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries
"""

import hmac
import re
from collections.abc import Iterable

HEADER = b"x-hub-signature-256"

_SIGNATURE = re.compile(rb"sha256=([0-9a-fA-F]{64})")


def sign(body: bytes, secret: bytes) -> bytes:
    """The header's value for a body."""
    return b"sha256=" + hmac.digest(secret, body, "sha256").hex().encode()


def matching(body: bytes, header: bytes, secrets: Iterable[bytes]) -> int | None:
    """Which of the secrets made the signature, as its place in the row; None when none did.

    Whatever is not `sha256=` and 64 hexadecimal digits matches nothing; nor does an empty secret.
    """
    found = _SIGNATURE.fullmatch(header)
    if found is None:
        return None
    given = bytes.fromhex(found[1].decode("ascii"))
    for place, secret in enumerate(secrets):
        if secret and hmac.compare_digest(hmac.digest(secret, body, "sha256"), given):
            return place
    return None
