"""What the steps of a deployment ask the store for, for practice: see `bot.rehearsal`."""

from dataclasses import dataclass

from bot import github_app
from bot.clock import utc_now
from bot.domain.ids import ReleaseId
from bot.domain.pull import PullNumber
from bot.gates import checks_for
from bot.leases import Claim
from bot.settings import Settings
from bot.store import apps, deployments, domains, environments, lease_rows, pulls, releases
from bot.store.engine import Engine, reading
from bot.vault import Vault
from jobs.given import Giver
from jobs.watching import Watching


@dataclass(frozen=True)
class Steps:
    """The steps' questions; nothing is changed."""

    settings: Settings
    vault: Vault

    def __call__(self, engine: Engine, claim: Claim, release: ReleaseId) -> None:
        """Ask them about a deployment."""
        environment = claim.environment
        with reading(engine) as tx:
            app = apps.get(tx, environment.app_id)
            apps.sealed_secret(tx, app.id)
            github_app.shown(tx, self.settings)
            checks_for(tx, app.id, environment.name)
            pulls.of_app(tx, app, PullNumber(0))
            environments.get(tx, environment.id)
            deployments.find(tx, claim.deployment.id)
            releases.get(tx, release)
            releases.exposers(tx, release)
            Watching(tx, {app.id: app}, utc_now())
            domains.verified(tx, environment.id)
        Giver(engine, self.vault)(app, claim)

    def about_the_last(self, engine: Engine) -> None:
        """Ask them about the deployment that was asked for last, if anything is live where that goes."""
        with reading(engine) as tx:
            lease_rows.leased(tx)
            newest = next(iter(deployments.latest(tx, 1)), None)
            environment = environments.get(tx, newest.environment_id) if newest else None
        if newest and environment and environment.active_release_id is not None:
            self(engine, Claim(environment, newest, environment.lease_token), environment.active_release_id)
