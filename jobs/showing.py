"""Shows a release in its environment, at the store and at the edge, and takes that back when it fails."""

from dataclasses import dataclass

from bot.domain.environment import Environment
from bot.domain.release import Release
from bot.errors import SlipwayError
from bot.leases import Claim, Leases, UnwantedError
from bot.log import logger
from bot.store import environments, releases
from bot.store.engine import Engine, reading
from jobs.addresses import Addresses, is_unlisted
from jobs.artifacts.store import ArtifactStore
from jobs.sites import Sites
from jobs.steps import release as release_step
from jobs.steps.context import Context
from jobs.stopping import StoppedError
from jobs.watch import Watch


@dataclass(frozen=True)
class Showing:
    """What visitors see of one environment while a deployment works on it."""

    engine: Engine
    leases: Leases
    artifacts: ArtifactStore
    sites: Sites
    addresses: Addresses

    def go_live(self, context: Context, claim: Claim, release: Release) -> None:
        """Switch the environment to a release, in the store and then at the edge.

        Raises `PlatformError` when the claim was lost or the release is damaged, and `StoppedError`,
        also when the environment was taken down.
        """
        ready = release_step.prepare(context, release, self.artifacts)
        context.check()
        try:
            activation = self.leases.switch(claim, release.id)
        except UnwantedError as gone:
            raise StoppedError from gone
        self._show(context, claim.environment, ready, activation)
        self._refuse_archived(claim)

    def must_leave(self, claim: Claim, watch: Watch) -> bool:
        """Whether work must end after the switch.

        A wish to cancel comes too late then: what is live was never unverified. It does not where the
        environment was taken down, for nothing is to be live there.
        """
        return watch.must_leave() or (watch.stopped() and self._is_archived(claim))

    def take_back(self, context: Context, claim: Claim, release: Release) -> None:
        """Show again what was live before work that failed.

        Raises `PlatformError` when the claim was lost, and `StoppedError` when the work failed because
        its environment was taken down.
        """
        environment = self.leases.withdraw(claim)
        if environment is not None:
            try:
                self._show_before(context, environment)
                self.addresses.withdraw(environment, release)
            except (OSError, SlipwayError) as error:
                logger.warning("the edge was not put back; the sweep will", error=str(error))
        self._refuse_archived(claim)

    def _show_before(self, context: Context, environment: Environment) -> None:
        if environment.archived_at is not None:
            self.addresses.take_down(environment)
            return
        if environment.active_release_id is None:
            self.addresses.darken(environment)
            context.log.say("release", "Taken down again: nothing was live before.")
            return
        with reading(self.engine) as tx:
            before = releases.get(tx, environment.active_release_id)
        context.log.say("release", f"Back to {before.name}.")
        ready = release_step.prepare(context, before, self.artifacts)
        self._show(context, environment, ready, environment.activation)

    def _show(
        self, context: Context, environment: Environment, ready: release_step.Ready, activation: int
    ) -> None:
        lasting = self.addresses.of_release(environment, ready.release.id)
        unlisted = is_unlisted(environment)
        watches = self.addresses.guard(environment, ready.release.id, lasting)
        release_step.activate(
            context, ready, activation, self.sites, lasting=lasting, unlisted=unlisted, watches=watches
        )
        self.addresses.follow(environment)
        # Taken down between the switch in the store and that at the edge: nobody else takes it off now.
        self.addresses.take_down(environment)

    def _refuse_archived(self, claim: Claim) -> None:
        if self._is_archived(claim):
            raise StoppedError

    def _is_archived(self, claim: Claim) -> bool:
        with reading(self.engine) as tx:
            return environments.get(tx, claim.environment.id).archived_at is not None
