"""Webhook secrets of single apps, for repositories whose webhook was added by hand."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bot import signature
from bot.domain.ids import AppId
from bot.errors import PlatformError
from bot.log import logger
from bot.store import apps
from bot.store.engine import Engine, reading
from bot.vault import Vault

FRESH_SECONDS = 5.0


class Repository(msgspec.Struct):
    """As much of a payload's repository as picks an app. Its values may be of any kind."""

    id: Any = None
    full_name: Any = None


class Payload(msgspec.Struct):
    """As much of an unverified payload as says whom it claims to be about."""

    repository: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True)
class AppSecret:
    """An app's own secret, and the repository that it speaks for."""

    app: AppId
    repository_id: int | None
    full_name: str
    secret: bytes

    def speaks_for(self, repository: Repository) -> bool:
        """Whether it may verify a delivery about that repository: by id, or by name until one is pinned."""
        if self.repository_id is not None:
            return repository.id == self.repository_id
        name = repository.full_name
        return isinstance(name, str) and name.lower() == self.full_name.lower()


class AppSecrets:
    """The apps' secrets, read from the store at most every few seconds, and only when one is asked for."""

    def __init__(self, engine: Engine, vault: Vault, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._engine = engine
        self._vault = vault
        self._fresh_seconds = fresh_seconds
        self._read_at = float("-inf")
        self._known: Sequence[AppSecret] = ()
        self._lock = asyncio.Lock()

    async def verifying(self, body: bytes, header: bytes, payload: Payload) -> AppId | None:
        """The app whose own secret made the signature of a payload about its repository."""
        known = await self._fresh()
        if not known:
            return None
        try:
            repository = msgspec.json.decode(payload.repository, type=Repository)
        except (msgspec.DecodeError, RecursionError):
            return None
        candidates = [one for one in known if one.speaks_for(repository)]
        place = signature.matching(body, header, [one.secret for one in candidates])
        return None if place is None else candidates[place].app

    async def _fresh(self) -> Sequence[AppSecret]:
        async with self._lock:
            if time.monotonic() - self._read_at >= self._fresh_seconds:
                try:
                    self._known = await asyncio.to_thread(self._read)
                except Exception as error:  # noqa: BLE001 - any database's error: what was known goes on to count
                    logger.warning("webhook secrets of apps not read", error=repr(error))
                self._read_at = time.monotonic()
            return self._known

    def _read(self) -> list[AppSecret]:
        with reading(self._engine) as tx:
            rows = apps.secrets(tx)
        found: list[AppSecret] = []
        for app, repository_id, full_name, sealed in rows:
            try:
                found.append(AppSecret(app, repository_id, full_name, self._vault.open(sealed)))
            except PlatformError as error:
                logger.error("an app's webhook secret can't be read", app=app, error=str(error))
        return found
