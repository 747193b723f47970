"""Secrets at rest: sealed with Fernet (AES-128-CBC and HMAC-SHA256), keys of the instance's own."""

import base64
import secrets
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from bot.errors import ErrorCode, PlatformError
from bot.keys import encryption_keys
from bot.late import Late
from bot.settings import Settings

if TYPE_CHECKING:
    from cryptography import fernet
else:
    # 7 MB, and 30 ms of each process's start, for what many processes never do.
    fernet = Late("cryptography.fernet")

_KEY_BYTES = 32


class Vault:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Raise `PlatformError` when a key is not 32 bytes in URL-safe base64."""
        if not keys or not all(map(_is_key, keys)):
            raise PlatformError(ErrorCode.ENCRYPTION_KEY_INVALID)
        self._keys = keys

    @cached_property
    def _first(self) -> "fernet.Fernet":
        return fernet.Fernet(self._keys[0])

    @cached_property
    def _all(self) -> "fernet.MultiFernet":
        return fernet.MultiFernet([fernet.Fernet(key) for key in self._keys])

    def seal(self, secret: bytes) -> bytes:
        """Encrypt; the result is printable and tells nothing but the length and the time."""
        return self._all.encrypt(secret)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt. Raises `PlatformError` when no key fits or the bytes were changed."""
        try:
            return self._all.decrypt(sealed)
        except fernet.InvalidToken as error:
            raise PlatformError(ErrorCode.ENCRYPTION_KEY_LOST) from error

    def renewed(self, sealed: bytes) -> bytes | None:
        """The same, sealed with the first key; None when it is. Raises `PlatformError` like `open`."""
        try:
            self._first.decrypt(sealed)
        except fernet.InvalidToken:
            return self.rotate(sealed)
        return None

    def rotate(self, sealed: bytes) -> bytes:
        """Seal anew with the first key. Raises `PlatformError` like `open`."""
        try:
            return self._all.rotate(sealed)
        except fernet.InvalidToken as error:
            raise PlatformError(ErrorCode.ENCRYPTION_KEY_LOST) from error


def open_vault(settings: Settings) -> Vault:
    """The vault of an instance; its key is made at first use."""
    return Vault(encryption_keys(settings, _made))


def _made() -> bytes:
    return base64.urlsafe_b64encode(secrets.token_bytes(_KEY_BYTES))


def _is_key(text: bytes) -> bool:
    try:
        return len(base64.urlsafe_b64decode(text)) == _KEY_BYTES
    except ValueError:
        return False
