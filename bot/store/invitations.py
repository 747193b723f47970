"""Invitations to a tenant. Only a digest of the link's secret is stored."""

from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import TenantId
from bot.domain.roles import Role
from bot.store.engine import Tx
from bot.store.entry_schema import invitations


class Mail(StrEnum):
    """What became of an invitation's mail."""

    NONE = "none"
    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"


@dataclass(frozen=True)
class NewInvitation:
    """What is needed to store an invitation."""

    tenant_id: TenantId
    email: str
    role: Role
    digest: bytes
    created_by: str
    expires_at: datetime
    mail: Mail


@dataclass(frozen=True)
class Invitation:
    """A stored invitation. `mail_note` says why its mail could not be sent."""

    id: int
    tenant_id: TenantId
    email: str
    role: Role
    digest: bytes
    created_by: str
    created_at: datetime
    expires_at: datetime
    accepted_at: datetime | None
    revoked_at: datetime | None
    mail: Mail
    mail_note: str

    def is_open(self, now: datetime) -> bool:
        """Whether it can still be accepted."""
        return self.accepted_at is None and self.revoked_at is None and now < self.expires_at


_FIELDS = [invitations.c[field.name] for field in fields(Invitation)]


def insert(tx: Tx, new: NewInvitation, now: datetime) -> Invitation:
    """Store an invitation."""
    values = {field.name: getattr(new, field.name) for field in fields(new)}
    made = invitations.insert().values(**values, created_at=now).returning(*_FIELDS)
    return _invitation(tx.execute(made).mappings().one())


def get(tx: Tx, tenant: TenantId, number: int) -> Invitation | None:
    """One invitation of a tenant."""
    where = (invitations.c.id == number, invitations.c.tenant_id == tenant)
    row = tx.execute(sa.select(*_FIELDS).where(*where)).mappings().one_or_none()
    return _invitation(row) if row else None


def by_digest(tx: Tx, digest: bytes) -> Invitation | None:
    """The invitation of that digest, whatever became of it."""
    row = tx.execute(sa.select(*_FIELDS).where(invitations.c.digest == digest)).mappings().one_or_none()
    return _invitation(row) if row else None


def of_tenant(tx: Tx, tenant: TenantId) -> list[Invitation]:
    """A tenant's invitations that were neither accepted nor revoked, newest first."""
    there = (invitations.c.accepted_at.is_(None), invitations.c.revoked_at.is_(None))
    where = (invitations.c.tenant_id == tenant, *there)
    query = sa.select(*_FIELDS).where(*where).order_by(invitations.c.id.desc())
    return [_invitation(row) for row in tx.execute(query).mappings()]


def change(tx: Tx, number: int, **changes: Any) -> None:
    """Change an invitation's columns by name."""
    tx.execute(invitations.update().where(invitations.c.id == number).values(**changes))


def note_mail(tx: Tx, number: int, digest: bytes, mail: Mail, *, note: str = "") -> None:
    """Remember what became of the mail with that link; another one may have been sent since."""
    where = (invitations.c.id == number, invitations.c.digest == digest)
    tx.execute(invitations.update().where(*where).values(mail=mail, mail_note=note))


def _invitation(row: RowMapping) -> Invitation:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["role"], values["mail"] = Role(values["role"]), Mail(values["mail"])
    return Invitation(**values)
