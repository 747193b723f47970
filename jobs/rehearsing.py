"""What the steps of a deployment ask the store for, once for practice: see `bot.rehearsal`."""

from dataclasses import dataclass

from bot import github_app
from bot.domain.ids import ReleaseId
from bot.domain.pull import PullNumber
from bot.gates import checks_for
from bot.leases import Claim
from bot.settings import Settings
from bot.store import apps, environments, pulls
from bot.store.engine import Engine, reading
from bot.vault import Vault
from jobs.addresses import Addresses
from jobs.gates import Gates
from jobs.given import Giver
from jobs.sites import Sites


@dataclass(frozen=True)
class Steps:
    """The steps' questions. Nothing is changed anywhere: the hostnames of a rehearsal show nothing."""

    settings: Settings
    vault: Vault
    sites: Sites
    gates: Gates

    def __call__(self, stage: Engine, claim: Claim, release: ReleaseId) -> None:
        """Ask them of an empty store."""
        domain, forks = self.settings.preview_domain, self.settings.domain_of_forks
        environment = claim.environment
        with reading(stage) as tx:
            app = apps.get(tx, environment.app_id)
            apps.sealed_secret(tx, app.id)
            github_app.shown(tx, self.settings)
            checks_for(tx, app.id, environment.name)
            pulls.find(tx, app.repository_id or 0, PullNumber(0))
            environments.get(tx, environment.id)
        Giver(stage, self.vault)(app, claim)
        addresses = Addresses(stage, self.sites, self.gates, domain=domain, fork_domain=forks)
        lasting = addresses.of_release(environment, release)
        addresses.guard(environment, release, lasting)
        addresses.follow(environment)
        addresses.take_down(environment)
