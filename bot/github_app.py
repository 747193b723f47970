"""The GitHub App that was made for this instance by a click; it is kept, sealed, in the store."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from bot.errors import PlatformError
from bot.log import logger
from bot.settings import Settings
from bot.store import singletons
from bot.store.engine import Engine, StoreError, Tx, reading
from bot.vault import Vault

NAME = "github-app"
"""Under which name the store keeps it: what pages show in the clear, secrets sealed."""
FRESH_SECONDS = 1.0


@dataclass(frozen=True)
class AppKey:
    """What signs requests as an App: its id (or client id) and its private key, PEM."""

    id: str
    private_key: str = field(repr=False)


@dataclass(frozen=True)
class Shown:
    """What everybody may know of a made App. `page` is its page on GitHub, `api_url` its GitHub."""

    id: str
    name: str
    slug: str
    client_id: str
    page: str
    owner: str
    api_url: str
    has_hook: bool

    @property
    def install_page(self) -> str:
        """Where an account installs the App."""
        return f"{self.page}/installations/new"


class Secrets(msgspec.Struct, frozen=True):
    """What nobody else may know of it."""

    private_key: str
    client_secret: str
    webhook_secret: str

    def __repr__(self) -> str:
        """Nothing of it."""
        return "Secrets(...)"


def keep(tx: Tx, vault: Vault, shown: Shown, secrets: Secrets) -> None:
    """Store a made App; it takes the place of one that was made before."""
    sealed = vault.seal(msgspec.json.encode(secrets)).decode()
    facts = {name: getattr(shown, name) for name in Shown.__dataclass_fields__}
    singletons.keep_facts(tx, NAME, {**facts, "sealed": sealed})


def forget(tx: Tx) -> None:
    """Forget the made App. On GitHub it stays until its owner deletes it."""
    singletons.keep_facts(tx, NAME, {})


def shown(tx: Tx, settings: Settings) -> Shown | None:
    """The made App, when there is one for the GitHub of the settings."""
    facts = singletons.facts(tx, NAME)
    if facts.get("api_url") != settings.github_api_url:
        return None
    return Shown(**{name: facts[name] for name in Shown.__dataclass_fields__})


def secrets_of(tx: Tx, settings: Settings, vault: Vault) -> Secrets | None:
    """Its secrets. Raises `PlatformError` when they can't be opened."""
    if shown(tx, settings) is None:
        return None
    sealed: Any = singletons.facts(tx, NAME)["sealed"]
    return msgspec.json.decode(vault.open(sealed.encode()), type=Secrets)


class MadeApp:
    """The made App as long-lived processes see it: read from the store at most every second.

    So each process knows within a second of an App that another one made. A store that does not answer
    changes nothing.
    """

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        vault: Vault,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._engine = engine
        self._vault = vault
        self._clock = clock
        self._read_at = float("-inf")
        self._known: tuple[AppKey, Secrets] | None = None

    def key(self) -> AppKey | None:
        """What signs in as it; None when there is none, or the settings name an App or a token."""
        if self._settings.github_app_id is not None or self._settings.github_token is not None:
            return None
        known = self._fresh()
        return known[0] if known else None

    def secrets(self) -> Secrets | None:
        """Its secrets, whatever the settings name: GitHub may still deliver on its behalf."""
        known = self._fresh()
        return known[1] if known else None

    @property
    def is_fresh(self) -> bool:
        """Whether the store was asked within the last second."""
        return self._clock() - self._read_at < FRESH_SECONDS

    def hook_secrets(self) -> tuple[bytes, ...]:
        """The webhook's secret as it was read last; nothing is read for that."""
        return (self._known[1].webhook_secret.encode(),) if self._known else ()

    def read_hook_secrets(self) -> tuple[bytes, ...]:
        """The same, read anew unless that was done within the last second."""
        self._fresh()
        return self.hook_secrets()

    def _fresh(self) -> tuple[AppKey, Secrets] | None:
        if not self.is_fresh:
            self._read_at = self._clock()
            try:
                self._known = self._read()
            except (StoreError, PlatformError) as error:
                logger.error("the GitHub App of this instance can't be read", error=str(error))
        return self._known

    def _read(self) -> tuple[AppKey, Secrets] | None:
        with reading(self._engine) as tx:
            found, secrets = shown(tx, self._settings), secrets_of(tx, self._settings, self._vault)
        return (AppKey(found.id, secrets.private_key), secrets) if found and secrets else None
