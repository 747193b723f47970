"""Passwords: hashed by scrypt, with what OWASP's password storage cheat sheet asks for (32 MiB, 3 times)."""

import base64
import hashlib
import hmac
import secrets
import threading

SHORTEST, LONGEST = 12, 200
"""Characters of a password."""
_COST, _BLOCK, _PARALLEL = 2**15, 8, 3
_MEMORY = 64 * 1024 * 1024
# One at a time: each takes 32 MiB and a tenth of a second.
_turn = threading.Lock()


def hashed(password: str) -> str:
    """What is stored of a password."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_COST}${_BLOCK}${_PARALLEL}${_text(salt)}${_text(_derive(password, salt))}"


def is_password(password: str, stored: str | None) -> bool:
    """Whether a password is the stored one; takes as long when nothing is stored."""
    salt, wanted = _parts(stored) if stored else (b"\0" * 16, b"")
    return hmac.compare_digest(_derive(password, salt), wanted)


def _derive(password: str, salt: bytes) -> bytes:
    with _turn:
        return hashlib.scrypt(
            password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY, dklen=32
        )


def _parts(stored: str) -> tuple[bytes, bytes]:
    salt, wanted = stored.rsplit("$", 2)[1:]
    return base64.b64decode(salt), base64.b64decode(wanted)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
