"""Secrets that an instance makes for itself at first use, as files that only their owner reads."""

import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bot.settings import Settings


def webhook_secrets(settings: Settings) -> list[bytes]:
    """Every webhook secret that is valid now, newest first; one is made in the home when none is set.

    The file may hold several, one a line, while they are rotated.
    """
    given = [secret.get_secret_value().encode() for secret in settings.github_webhook_secret]
    return given or _lines(settings.home / "keys" / "webhook.secret", lambda: secrets.token_hex(32).encode())


def encryption_keys(settings: Settings, make: Callable[[], bytes]) -> list[bytes]:
    """Every key of secrets at rest, newest first; one is made in the home when none is set."""
    given = [key.get_secret_value().encode() for key in settings.encryption_key]
    return given or _lines(settings.home / "keys" / "encryption.key", make)


def known_secrets(settings: Settings) -> list[bytes]:
    """Every secret of this instance, whatever it is for: none may show in a log."""
    given = (
        settings.github_token,
        settings.github_private_key,
        settings.edge_dns_token,
        settings.oidc_client_secret,
    )
    found = [secret.get_secret_value().encode() for secret in given if secret is not None]
    found += [secret.get_secret_value().encode() for secret in settings.encryption_key]
    mail = settings.smtp_url.get_secret_value() if settings.smtp_url is not None else None
    addresses = (settings.database_url, settings.redis_url, mail)
    found += [unquote(urlsplit(one).password or "").encode() for one in addresses if one is not None]
    found += webhook_secrets(settings)
    if settings.github_private_key_file is not None:
        found.append(settings.github_private_key_file.read_bytes().strip())
    for path in sorted((settings.home / "keys").glob("*")):
        found += [line.strip() for line in path.read_bytes().splitlines() if line.strip()]
    return found


def kept_secret(path: Path) -> str:
    """One secret of letters that are safe in an address; made in the file at first use."""
    return _lines(path, lambda: secrets.token_urlsafe(32).encode())[0].decode()


def _lines(path: Path, make: Callable[[], bytes]) -> list[bytes]:
    if not path.exists():
        _create(path, make())
    return [line.strip() for line in path.read_bytes().splitlines() if line.strip()]


def _create(path: Path, content: bytes) -> None:
    """Make a file of mode 0600, whole or not at all; when another process was first, its file stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content + b"\n")
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
