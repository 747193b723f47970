"""Custom domains in the store."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.custom_domain import Domain, Verdict
from bot.domain.ids import DomainId, EnvironmentId
from bot.store.engine import Tx
from bot.store.schema import domains

_FIELDS = [domains.c[field.name] for field in fields(Domain)]
_VERIFIED = domains.c.verified_at.is_not(None)
_HOSTNAMES = (
    sa.select(domains.c.environment_id, domains.c.hostname)
    .where(domains.c.environment_id.in_(sa.bindparam("environments", expanding=True)), _VERIFIED)
    .order_by(domains.c.id)
)


@dataclass(frozen=True)
class NewDomain:
    """What is needed to store a claim."""

    environment_id: EnvironmentId
    hostname: str
    token: str
    redirect_to: str | None = None


def insert(tx: Tx, new: NewDomain, now: datetime) -> Domain:
    """Store a claim; it is looked at as soon as may be."""
    values = {field.name: getattr(new, field.name) for field in fields(new)}
    made = domains.insert().values(**values, created_at=now, due_at=now).returning(*_FIELDS)
    return _domain(tx.execute(made).mappings().one())


def find(tx: Tx, domain: DomainId) -> Domain | None:
    """One claim by its id."""
    row = tx.execute(sa.select(*_FIELDS).where(domains.c.id == domain)).mappings().one_or_none()
    return _domain(row) if row else None


def of_environments(tx: Tx, ids: Sequence[EnvironmentId]) -> list[Domain]:
    """The claims of some environments, oldest first."""
    query = sa.select(*_FIELDS).where(domains.c.environment_id.in_(ids)).order_by(domains.c.id)
    return [_domain(row) for row in tx.execute(query).mappings()]


def verified(tx: Tx, environment: EnvironmentId | None = None) -> list[Domain]:
    """What is verified: all, or an environment's."""
    query = sa.select(*_FIELDS).where(_VERIFIED).order_by(domains.c.id)
    if environment is not None:
        query = query.where(domains.c.environment_id == environment)
    return [_domain(row) for row in tx.execute(query).mappings()]


def hostnames(tx: Tx, ids: Sequence[EnvironmentId]) -> dict[EnvironmentId, list[str]]:
    """What is verified of some environments, oldest first; those that have none are left out."""
    found: dict[EnvironmentId, list[str]] = {}
    for row in tx.execute(_HOSTNAMES, {"environments": list(ids)}):
        found.setdefault(EnvironmentId(row[0]), []).append(row[1])
    return found


def holder(tx: Tx, hostname: str) -> Domain | None:
    """The claim that has a hostname verified."""
    query = sa.select(*_FIELDS).where(domains.c.hostname == hostname, _VERIFIED)
    row = tx.execute(query).mappings().one_or_none()
    return _domain(row) if row else None


def due(tx: Tx, now: datetime, limit: int) -> list[Domain]:
    """Claims that are to be looked at, longest due first."""
    query = sa.select(*_FIELDS).where(domains.c.due_at <= now).order_by(domains.c.due_at).limit(limit)
    return [_domain(row) for row in tx.execute(query).mappings()]


def keep(tx: Tx, domain: Domain, verdict: Verdict, now: datetime) -> Domain:
    """Remember what a look at DNS meant."""
    values = {
        field.name: getattr(verdict, field.name) for field in fields(verdict) if field.name != "is_news"
    }
    changed = domains.update().where(domains.c.id == domain.id).values(**values, checked_at=now)
    return _domain(tx.execute(changed.returning(*_FIELDS)).mappings().one())


def set_certificate(tx: Tx, domain: DomainId, until: datetime | None) -> None:
    """Remember until when the edge has a certificate for a domain."""
    tx.execute(domains.update().where(domains.c.id == domain).values(certificate_until=until))


def remove(tx: Tx, domain: Domain) -> int:
    """Forget a claim, and those of its environment that redirect to it; how many."""
    same = domains.c.environment_id == domain.environment_id
    which = sa.or_(domains.c.id == domain.id, sa.and_(same, domains.c.redirect_to == domain.hostname))
    return tx.execute(domains.delete().where(which)).rowcount


def remove_all(tx: Tx, ids: Sequence[EnvironmentId]) -> int:
    """Forget the claims of environments that are no more; how many."""
    return tx.execute(domains.delete().where(domains.c.environment_id.in_(ids))).rowcount


def _domain(row: RowMapping) -> Domain:
    return Domain(**{str(name): value for name, value in row.items()})
