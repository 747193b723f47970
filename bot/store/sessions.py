"""Sessions of the console: a person who signed in. Only a digest of the cookie is stored."""

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import TenantId
from bot.domain.session import SignedInBy
from bot.store.engine import Tx
from bot.store.entry_schema import sessions


@dataclass(frozen=True)
class NewSession:
    """What is needed to store a session."""

    user_id: int
    tenant_id: TenantId | None
    via: SignedInBy
    digest: bytes
    address: str
    agent: str
    expires_at: datetime


@dataclass(frozen=True)
class Session:
    """A stored session."""

    id: int
    user_id: int
    tenant_id: TenantId | None
    via: SignedInBy
    digest: bytes
    address: str
    agent: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime
    revoked_at: datetime | None

    @property
    def is_bound(self) -> bool:
        """Whether it counts in one tenant alone.

        Where no mail is sent, an invitation's link is handed on by who invites: it must not open what
        the invited person has elsewhere.
        """
        return self.via is SignedInBy.INVITATION


_FIELDS = [sessions.c[field.name] for field in fields(Session)]


def insert(tx: Tx, new: NewSession, now: datetime) -> Session:
    """Store a session; those of the person that ended a month ago are forgotten."""
    old = (sessions.c.user_id == new.user_id, sessions.c.expires_at < now - timedelta(days=30))
    tx.execute(sessions.delete().where(*old))
    values = {field.name: getattr(new, field.name) for field in fields(new)}
    row = tx.execute(sessions.insert().values(**values, created_at=now).returning(*_FIELDS)).mappings().one()
    return _session(row)


def by_digest(tx: Tx, digest: bytes, now: datetime) -> Session | None:
    """The session of that digest, unless it ended."""
    where = (sessions.c.digest == digest, *_open(now))
    row = tx.execute(sa.select(*_FIELDS).where(*where)).mappings().one_or_none()
    return _session(row) if row else None


def of_user(tx: Tx, user: int, now: datetime) -> list[Session]:
    """A person's sessions that have not ended, newest first."""
    query = sa.select(*_FIELDS).where(sessions.c.user_id == user, *_open(now)).order_by(sessions.c.id.desc())
    return [_session(row) for row in tx.execute(query).mappings()]


def revoke(tx: Tx, session: int, now: datetime) -> None:
    """End a session for good."""
    tx.execute(sessions.update().where(sessions.c.id == session).values(revoked_at=now))


def revoke_all(tx: Tx, user: int, now: datetime) -> None:
    """End every session of a person."""
    where = (sessions.c.user_id == user, sessions.c.revoked_at.is_(None))
    tx.execute(sessions.update().where(*where).values(revoked_at=now))


def choose(tx: Tx, session: int, tenant: TenantId) -> None:
    """Remember which tenant the person looks at."""
    tx.execute(sessions.update().where(sessions.c.id == session).values(tenant_id=tenant))


def note_use(tx: Tx, session: int, now: datetime) -> None:
    """Remember when a session was last used."""
    tx.execute(sessions.update().where(sessions.c.id == session).values(last_used_at=now))


def _open(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return (sessions.c.revoked_at.is_(None), sessions.c.expires_at > now)


def _session(row: RowMapping) -> Session:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["via"] = SignedInBy(values["via"])
    return Session(**values)
