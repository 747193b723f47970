"""Addresses that deploy: whoever knows one brings an app's branch live. Only a digest is stored."""

from dataclasses import dataclass, fields
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import AppId
from bot.store.engine import Tx
from bot.store.entry_schema import deploy_hooks


@dataclass(frozen=True)
class NewHook:
    """What is needed to store a deploy hook. Without a branch it deploys the environment's."""

    app_id: AppId
    name: str
    environment: str
    branch: str | None
    handle: str
    digest: bytes
    created_by: str


@dataclass(frozen=True)
class Hook:
    """A stored deploy hook."""

    id: int
    app_id: AppId
    name: str
    environment: str
    branch: str | None
    handle: str
    digest: bytes
    created_by: str
    created_at: datetime
    last_used_at: datetime | None
    revoked_at: datetime | None


_FIELDS = [deploy_hooks.c[field.name] for field in fields(Hook)]


def insert(tx: Tx, new: NewHook, now: datetime) -> Hook:
    """Store a deploy hook."""
    values = {field.name: getattr(new, field.name) for field in fields(new)}
    made = deploy_hooks.insert().values(**values, created_at=now).returning(*_FIELDS)
    return _hook(tx.execute(made).mappings().one())


def by_handle(tx: Tx, handle: str) -> Hook | None:
    """The deploy hook with that handle, unless it was revoked."""
    where = (deploy_hooks.c.handle == handle, deploy_hooks.c.revoked_at.is_(None))
    row = tx.execute(sa.select(*_FIELDS).where(*where)).mappings().one_or_none()
    return _hook(row) if row else None


def of_app(tx: Tx, app: AppId) -> list[Hook]:
    """An app's deploy hooks that were not revoked, newest first."""
    where = (deploy_hooks.c.app_id == app, deploy_hooks.c.revoked_at.is_(None))
    query = sa.select(*_FIELDS).where(*where).order_by(deploy_hooks.c.id.desc())
    return [_hook(row) for row in tx.execute(query).mappings()]


def revoke(tx: Tx, hook: int, now: datetime) -> None:
    """End a deploy hook for good."""
    tx.execute(deploy_hooks.update().where(deploy_hooks.c.id == hook).values(revoked_at=now))


def note_use(tx: Tx, hook: int, now: datetime) -> None:
    """Remember when a deploy hook was last used."""
    tx.execute(deploy_hooks.update().where(deploy_hooks.c.id == hook).values(last_used_at=now))


def _hook(row: RowMapping) -> Hook:
    return Hook(**{str(name): value for name, value in row.items()})
