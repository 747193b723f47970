"""Tokens: personal ones, and those of one app. Only a digest of the secret part is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import AppId, TenantId
from bot.domain.roles import Role, Verb
from bot.store.engine import Tx
from bot.store.schema import members, tokens, users


@dataclass(frozen=True)
class NewToken:
    """What is needed to store a token: of a person in a tenant, or of an app."""

    tenant_id: TenantId
    user_id: int | None
    app_id: AppId | None
    name: str
    handle: str
    digest: bytes
    scopes: frozenset[Verb] | None
    created_by: str
    expires_at: datetime | None


@dataclass(frozen=True)
class Token:
    """A stored token. Without `scopes` it may do what its holder's role may."""

    id: int
    tenant_id: TenantId
    user_id: int | None
    app_id: AppId | None
    name: str
    handle: str
    digest: bytes
    scopes: frozenset[Verb] | None
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class Holder:
    """Whose a personal token is; no role when the person is no member any more."""

    email: str
    role: Role | None


_NAMES = [field.name for field in fields(Token)]
_FIELDS = [tokens.c[name] for name in _NAMES]
# Made once: every request asks them, and making a statement takes three times as long as its answer.
_BEARER = (
    sa.select(*_FIELDS, users.c.email, members.c.role)
    .select_from(tokens)
    .outerjoin(users, users.c.id == tokens.c.user_id)
    .outerjoin(
        members, sa.and_(members.c.user_id == tokens.c.user_id, members.c.tenant_id == tokens.c.tenant_id)
    )
    .where(tokens.c.handle == sa.bindparam("handle"))
)
_HOLDER = (
    sa.select(users.c.email, members.c.role)
    .select_from(users)
    .outerjoin(
        members, sa.and_(members.c.user_id == users.c.id, members.c.tenant_id == sa.bindparam("tenant"))
    )
    .where(users.c.id == sa.bindparam("user"))
)


def insert(tx: Tx, new: NewToken, now: datetime) -> Token:
    """Store a token."""
    values: dict[str, Any] = {field.name: getattr(new, field.name) for field in fields(new)}
    values["scopes"] = None if new.scopes is None else sorted(new.scopes)
    row = tx.execute(tokens.insert().values(**values, created_at=now).returning(*_FIELDS)).mappings().one()
    return _token(row)


def bearer(tx: Tx, handle: str) -> tuple[Token, Holder | None] | None:
    """The token with that handle, whatever became of it, and the person whose it is."""
    row = tx.execute(_BEARER, {"handle": handle}).one_or_none()
    if row is None:
        return None
    values = dict(zip((*_NAMES, "email", "role"), row, strict=True))
    email, role = values.pop("email"), values.pop("role")
    token = _token(values)
    return token, None if token.user_id is None else Holder(email, Role(role) if role else None)


def get(tx: Tx, token: int) -> Token | None:
    """One token by its id."""
    row = tx.execute(sa.select(*_FIELDS).where(tokens.c.id == token)).mappings().one_or_none()
    return _token(row) if row else None


def holder(tx: Tx, token: Token) -> Holder | None:
    """The person of a personal token."""
    if token.user_id is None:
        return None
    row = tx.execute(_HOLDER, {"tenant": token.tenant_id, "user": token.user_id}).one()
    return Holder(row[0], Role(row[1]) if row[1] else None)


def of_user(tx: Tx, tenant: TenantId, user: int) -> list[Token]:
    """A person's tokens for a tenant that were not revoked, newest first."""
    where = (tokens.c.tenant_id == tenant, tokens.c.user_id == user, tokens.c.revoked_at.is_(None))
    rows = tx.execute(sa.select(*_FIELDS).where(*where).order_by(tokens.c.id.desc())).mappings()
    return [_token(row) for row in rows]


def of_people(tx: Tx) -> list[Token]:
    """All people's tokens that were not revoked, newest first; at most a thousand."""
    where = (tokens.c.user_id.is_not(None), tokens.c.revoked_at.is_(None))
    rows = tx.execute(sa.select(*_FIELDS).where(*where).order_by(tokens.c.id.desc()).limit(1000)).mappings()
    return [_token(row) for row in rows]


def of_app(tx: Tx, app: AppId) -> list[Token]:
    """An app's deploy tokens that were not revoked, newest first."""
    where = (tokens.c.app_id == app, tokens.c.revoked_at.is_(None))
    rows = tx.execute(sa.select(*_FIELDS).where(*where).order_by(tokens.c.id.desc())).mappings()
    return [_token(row) for row in rows]


def revoke_all(tx: Tx, tenant: TenantId, user: int, now: datetime) -> None:
    """End a person's tokens for a tenant."""
    where = (tokens.c.tenant_id == tenant, tokens.c.user_id == user, tokens.c.revoked_at.is_(None))
    tx.execute(tokens.update().where(*where).values(revoked_at=now))


def revoke(tx: Tx, token: int, now: datetime) -> None:
    """End a token for good."""
    tx.execute(tokens.update().where(tokens.c.id == token).values(revoked_at=now))


def note_use(tx: Tx, token: int, now: datetime) -> None:
    """Remember when a token was last used."""
    tx.execute(tokens.update().where(tokens.c.id == token).values(last_used_at=now))


def _token(row: Mapping[str, Any] | RowMapping) -> Token:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    if values["scopes"] is not None:
        values["scopes"] = frozenset(Verb(one) for one in values["scopes"])
    return Token(**values)
