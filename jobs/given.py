"""What a deployment's build is given of its environment's variables."""

from dataclasses import dataclass

from bot.domain.app import App
from bot.domain.trust import Trust, trust_of
from bot.leases import Claim
from bot.store import pulls
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
            number = claim.deployment.pull or claim.environment.pull
            pull = pulls.of_app(tx, app, number) if number is not None else None
            trusted = trust_of(claim.deployment, pull) is Trust.FULL
            return Book(tx, self.vault).given(app, claim.environment, trusted=trusted)
