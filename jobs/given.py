"""What a deployment's build is given of its environment's variables."""

from dataclasses import dataclass

from bot import trusting
from bot.domain.app import App
from bot.domain.trust import Trust
from bot.leases import Claim
from bot.store.engine import Engine, reading
from bot.variables import Book, Given
from bot.vault import Vault


@dataclass(frozen=True)
class Giver:
    """Reads variables from the store, as they are when an attempt begins."""

    engine: Engine
    vault: Vault

    def __call__(self, app: App, claim: Claim) -> Given:
        """What to give. Raises `PlatformError` ENCRYPTION_KEY_LOST when a value can't be opened."""
        with reading(self.engine) as tx:
            trusted = trusting.of_deployment(tx, claim.deployment) is Trust.FULL
            return Book(tx, self.vault).given(app, claim.environment, trusted=trusted)
