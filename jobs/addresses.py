"""Which hostnames show which release: each environment's own, and one for each release that was shown.

The second kind never changes what it shows. It is there as long as some environment that showed the
release is: with a preview that is taken down go the addresses of what only it has shown.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from bot.clock import Clock, utc_now
from bot.domain.custom_domain import Domain
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import EnvironmentId, ReleaseId
from bot.domain.release import Release, release_hostname
from bot.domain.trust import Trust
from bot.store import apps, domains, environments, releases
from bot.store.engine import Engine, Tx, reading
from jobs.gates import Gate, Gates
from jobs.site_entry import NO_RELEASE, Entry, Watch
from jobs.sites import Sites
from jobs.watching import Watching

ONCE = 1
"""Activation number of a hostname that never shows another release."""


@dataclass(frozen=True)
class Address:
    """What a hostname is to show. An `unlisted` one asks search engines to leave it out.

    `environments`: those that a visit of it is a visit of. `gate`: who may pass, where that is asked.
    One that `moved_to` another hostname sends its visitors there.
    """

    release: Release
    activation: int
    unlisted: bool
    watch: Watch = Watch.NOTHING
    gate: Gate | None = None
    environments: tuple[EnvironmentId, ...] = ()
    moved_to: str | None = None


class Addresses:
    """The hostnames of one instance, as the store implies them."""

    def __init__(
        self,
        engine: Engine,
        sites: Sites,
        gates: Gates,
        *,
        domain: str,
        fork_domain: str | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self._engine = engine
        self._sites = sites
        self._gates = gates
        self._domains = {Trust.FULL: domain, Trust.STRANGER: fork_domain or domain}
        self._clock = clock

    def wanted(self, tx: Tx) -> dict[str, Address]:
        """All that is to be shown, by hostname."""
        known = {app.id: app for app in apps.all_apps(tx)}
        there = {one.id: one for one in environments.there(tx)}
        exposers = releases.exposers(tx)
        exposed = releases.exposed(tx)
        watching = Watching(tx, known, self._clock())
        found: dict[str, Address] = {}
        for release in exposed:
            shown_by = [there[one] for one in sorted(exposers.get(release.id, ())) if one in there]
            watch, gate = watching.of(shown_by)
            hostname = self._hostname(release, known[release.app_id].slug)
            ids = tuple(one.id for one in shown_by)
            found[hostname] = Address(release, ONCE, True, watch, gate, ids)
        kept = {release.id: release for release in exposed}
        own = _by_environment(domains.verified(tx))
        for one in there.values():
            if one.active_release_id is not None:
                release = kept.get(one.active_release_id) or releases.get(tx, one.active_release_id)
                watch, gate = watching.of([one])
                shown = Address(release, one.activation, is_unlisted(one), watch, gate, (one.id,))
                found[one.hostname] = shown
                for domain in own.get(one.id, []):
                    found[domain.hostname] = replace(shown, moved_to=domain.redirect_to)
        return found

    def follow(self, environment: Environment) -> None:
        """Let the custom domains of an environment show what its own hostname shows."""
        with reading(self._engine) as tx:
            found = domains.verified(tx, environment.id)
        entry = self._sites.active(environment.hostname)
        if entry is None:
            return
        for domain in found:
            self._sites.put(domain.hostname, entry_of(domain, entry))

    def darken(self, environment: Environment) -> None:
        """Take an environment's hostnames off the edge: nothing is to be shown there."""
        with reading(self._engine) as tx:
            found = domains.verified(tx, environment.id)
        for hostname in (environment.hostname, *(domain.hostname for domain in found)):
            self._sites.retire(hostname)

    def retire_domain(self, hostname: str) -> None:
        """Take a hostname off the edge unless somebody has it verified."""
        with reading(self._engine) as tx:
            is_held = domains.holder(tx, hostname) is not None
        if not is_held:
            self._sites.retire(hostname)

    def of_release(self, environment: Environment, release: ReleaseId) -> str:
        """The hostname that shows a release for as long as anything does."""
        with reading(self._engine) as tx:
            slug = apps.get(tx, environment.app_id).slug
            return self._hostname(releases.get(tx, release), slug)

    def guard(self, environment: Environment, release: ReleaseId, lasting: str) -> tuple[Watch, Watch]:
        """Set the gates of an environment's hostname and of its release's, before they show that.

        What is asked at each of them: at the environment's, and at the release's.
        """
        with reading(self._engine) as tx:
            known = {environment.app_id: apps.get(tx, environment.app_id)}
            now = environments.get(tx, environment.id)
            others = releases.exposers(tx, release).get(release, set()) - {environment.id}
            shown_by = [now, *(environments.get(tx, one) for one in sorted(others))]
            watching = Watching(tx, known, self._clock())
            asked = [
                (environment.hostname, *watching.of([now], awake=True)),
                (lasting, *watching.of(shown_by, awake=True)),
            ]
        for hostname, _, gate in asked:
            if gate is not None:
                self._gates.put(hostname, gate)
        return asked[0][1], asked[1][1]

    def visited(self, hostnames: Collection[str]) -> set[EnvironmentId]:
        """The environments that are shown under some hostnames."""
        with reading(self._engine) as tx:
            found = self.wanted(tx)
        return {one for name in hostnames if name in found for one in found[name].environments}

    def take_down(self, environment: Environment) -> None:
        """Take the hostnames of an environment that was taken down off the edge, unless it is back."""
        with reading(self._engine) as tx:
            now = environments.get(tx, environment.id)
            if now.archived_at is None:
                return
            slug = apps.get(tx, environment.app_id).slug
            shown = releases.shown_in(tx, environment.id)
            others = {release.id for release in releases.exposed(tx)}
        self._retire(now)
        for release in shown:
            if release.id not in others:
                self._sites.retire(self._hostname(release, slug))

    def withdraw(self, environment: Environment, release: Release) -> None:
        """Take the hostname of a release that did not stay live off the edge, unless another shows it."""
        with reading(self._engine) as tx:
            slug = apps.get(tx, environment.app_id).slug
            exposed = {one.id for one in releases.exposed(tx)}
        if release.id not in exposed:
            self._sites.retire(self._hostname(release, slug))

    def retire_archived(self) -> list[str]:
        """Take off the edge whatever environments that are taken down left there; their hostnames."""
        with reading(self._engine) as tx:
            gone = environments.archived(tx)
        return [one.hostname for one in gone if self._retire(one)]

    def _hostname(self, release: Release, slug: str) -> str:
        return release_hostname(release, slug, self._domains[release.trust])

    def _retire(self, environment: Environment) -> bool:
        # A higher number than the one we know: it came back while we looked.
        entry = self._sites.active(environment.hostname)
        if entry is None or entry.activation > environment.activation:
            return False
        self._sites.retire(environment.hostname)
        return True


def entry_of(domain: Domain, entry: Entry) -> Entry:
    """What a custom domain shows while its environment's own hostname shows an entry."""
    if domain.redirect_to is None:
        return entry
    return Entry(entry.activation, NO_RELEASE, spa=False, rules=False, moved_to=domain.redirect_to)


def _by_environment(found: Iterable[Domain]) -> dict[int, list[Domain]]:
    own: dict[int, list[Domain]] = {}
    for domain in found:
        own.setdefault(domain.environment_id, []).append(domain)
    return own


def is_unlisted(environment: Environment) -> bool:
    """Whether search engines are asked to leave an environment out."""
    return environment.kind is EnvironmentKind.PREVIEW
