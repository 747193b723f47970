"""Looks at the DNS records of custom domains, and lets the edge show what is verified."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509

from bot.clock import Clock, utc_now
from bot.domain.audit import Act
from bot.domain.custom_domain import Domain, Silent, Texts, Verdict, judge
from bot.domain.ids import DomainId
from bot.log import logger
from bot.settings import Settings
from bot.store import apps, audit, domains, environments
from bot.store.engine import Engine, Tx, reading, writing
from jobs.addresses import Addresses

BATCH = 50
"""Claims that one round looks at."""


@dataclass(frozen=True)
class Domains:
    """Verifies custom domains. `ask` asks DNS for the TXT records of a name."""

    settings: Settings
    engine: Engine
    addresses: Addresses
    ask: Callable[[str], Texts | Silent]
    clock: Clock = utc_now

    def look_at_due(self) -> None:
        """Chore: look at all claims that are due."""
        with reading(self.engine) as tx:
            found = domains.due(tx, self.clock(), BATCH)
        for domain in found:
            self.look_at(domain.id)

    def look_at(self, number: DomainId) -> Domain | None:
        """Ask DNS about one claim, keep what that means, and make the edge follow; None when it is gone."""
        with reading(self.engine) as tx:
            before = domains.find(tx, number)
        if before is None:
            return None
        answer = self.ask(before.challenge)
        now = self.clock()
        with writing(self.engine) as tx:
            before = domains.find(tx, number)
            if before is None:
                return None
            holder = domains.holder(tx, before.hostname)
            taken = holder is not None and holder.id != before.id
            verdict = judge(before, answer, taken=taken, now=now)
            after = domains.keep(tx, before, verdict, now)
            if verdict.is_news:
                self._tell(tx, after, verdict, now)
            domains.set_certificate(tx, after.id, self._certificate_until(after.hostname))
        self._follow(before, after)
        return after

    def _tell(self, tx: Tx, domain: Domain, verdict: Verdict, now: datetime) -> None:
        app = apps.get(tx, environments.get(tx, domain.environment_id).app_id)
        did = f"domain.{domain.state}" if domain.verified_at else "domain.lost"
        act = Act(
            action=did,
            actor="slipway",
            actor_key="slipway",
            origin="DNS",
            tenant_id=app.tenant_id,
            app_id=app.id,
            subject=f"domain {domain.hostname}",
            after={"found": verdict.found},
        )
        audit.record(tx, act, now)
        tell = logger.info if domain.lost_at is None and domain.verified_at else logger.warning
        tell("a custom domain changed", domain=domain.hostname, state=did, found=verdict.found)

    def _follow(self, before: Domain, after: Domain) -> None:
        if after.verified_at is not None:
            with reading(self.engine) as tx:
                environment = environments.get(tx, after.environment_id)
            self.addresses.follow(environment)
        elif before.verified_at is not None:
            self.addresses.retire_domain(after.hostname)

    def _certificate_until(self, hostname: str) -> datetime | None:
        """Until when the newest certificate that Caddy has for a hostname is valid."""
        ends = [end for path in self._certificates(hostname) if (end := _end(path)) is not None]
        return max(ends, default=None)

    def _certificates(self, hostname: str) -> list[Path]:
        # Caddy's layout of its storage: certificates/<issuer>/<name>/<name>.crt.
        folder = self.settings.home / "caddy" / "certificates"
        return sorted(folder.glob(f"*/{hostname}/{hostname}.crt"))


def _end(path: Path) -> datetime | None:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None
