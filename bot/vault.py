"""Secrets at rest: sealed with Fernet (AES-128-CBC and HMAC-SHA256), keys of the instance's own."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bot.errors import ErrorCode, PlatformError
from bot.keys import encryption_keys
from bot.settings import Settings


class Vault:
    """Seals with the first key, opens with any."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        """Raise `PlatformError` when a key is not 32 bytes in URL-safe base64."""
        try:
            found = [Fernet(key) for key in keys]
            self._first, self._fernet = found[0], MultiFernet(found)
        except ValueError as error:
            raise PlatformError(ErrorCode.ENCRYPTION_KEY_INVALID) from error

    def seal(self, secret: bytes) -> bytes:
        """Encrypt; the result is printable and tells nothing but the length and the time."""
        return self._fernet.encrypt(secret)

    def open(self, sealed: bytes) -> bytes:
        """Decrypt. Raises `PlatformError` when no key fits or the bytes were changed."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken as error:
            raise PlatformError(ErrorCode.ENCRYPTION_KEY_LOST) from error

    def renewed(self, sealed: bytes) -> bytes | None:
        """The same, sealed with the first key; None when it is. Raises `PlatformError` like `open`."""
        try:
            self._first.decrypt(sealed)
        except InvalidToken:
            return self.rotate(sealed)
        return None

    def rotate(self, sealed: bytes) -> bytes:
        """Seal anew with the first key. Raises `PlatformError` like `open`."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken as error:
            raise PlatformError(ErrorCode.ENCRYPTION_KEY_LOST) from error


def open_vault(settings: Settings) -> Vault:
    """The vault of an instance; its key is made at first use."""
    return Vault(encryption_keys(settings, Fernet.generate_key))
