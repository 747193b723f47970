"""Share links in the store."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import AppId, EnvironmentId, ShareLinkId
from bot.domain.sharing import Purpose, ShareLink
from bot.store.access_schema import share_links
from bot.store.engine import Tx

_FIELDS = [share_links.c[field.name] for field in fields(ShareLink)]


@dataclass(frozen=True)
class NewShareLink:
    """What is needed to store a share link."""

    app_id: AppId
    environment_id: EnvironmentId | None
    purpose: Purpose
    created_by: str
    expires_at: datetime
    note: str = ""


def insert(tx: Tx, new: NewShareLink, now: datetime) -> ShareLink:
    """Store a link."""
    values: dict[str, Any] = {field.name: getattr(new, field.name) for field in fields(new)}
    made = share_links.insert().values(**values, created_at=now).returning(*_FIELDS)
    return _link(tx.execute(made).mappings().one())


def opening(tx: Tx, app: AppId, environment: EnvironmentId, now: datetime) -> list[ShareLink]:
    """Links that open an environment now, newest first; those for all previews of its app, too."""
    scope = sa.or_(share_links.c.environment_id.is_(None), share_links.c.environment_id == environment)
    still = (share_links.c.revoked_at.is_(None), share_links.c.expires_at > now)
    where = (share_links.c.app_id == app, scope, *still)
    rows = tx.execute(sa.select(*_FIELDS).where(*where).order_by(share_links.c.id.desc())).mappings()
    return [_link(row) for row in rows]


def of_comment(tx: Tx, environment: EnvironmentId) -> ShareLink | None:
    """The link that was last made for the comment on a preview's pull request, whatever became of it."""
    where = (share_links.c.environment_id == environment, share_links.c.purpose == Purpose.COMMENT)
    query = sa.select(*_FIELDS).where(*where).order_by(share_links.c.id.desc()).limit(1)
    row = tx.execute(query).mappings().one_or_none()
    return _link(row) if row else None


def get(tx: Tx, app: AppId, link: ShareLinkId) -> ShareLink | None:
    """One link of an app by its id."""
    where = (share_links.c.id == link, share_links.c.app_id == app)
    row = tx.execute(sa.select(*_FIELDS).where(*where)).mappings().one_or_none()
    return _link(row) if row else None


def revoked(tx: Tx, apps: Collection[AppId], now: datetime) -> dict[AppId, list[ShareLinkId]]:
    """Links that were revoked before their time, by their app, in the order of their ids."""
    where = (
        share_links.c.app_id.in_(apps),
        share_links.c.revoked_at.is_not(None),
        share_links.c.expires_at > now,
    )
    found: dict[AppId, list[ShareLinkId]] = {}
    query = sa.select(share_links.c.app_id, share_links.c.id).where(*where).order_by(share_links.c.id)
    for app, link in tx.execute(query):
        found.setdefault(AppId(app), []).append(ShareLinkId(link))
    return found


def revoke(tx: Tx, links: Collection[ShareLinkId], now: datetime) -> None:
    """End links for good."""
    tx.execute(share_links.update().where(share_links.c.id.in_(links)).values(revoked_at=now))


def revoke_of_comments(tx: Tx, app: AppId, now: datetime) -> None:
    """End the links that stand in comments on an app's pull requests."""
    where = (share_links.c.app_id == app, share_links.c.purpose == Purpose.COMMENT)
    open_yet = share_links.c.revoked_at.is_(None)
    tx.execute(share_links.update().where(*where, open_yet).values(revoked_at=now))


def drop_ended(tx: Tx, before: datetime) -> None:
    """Forget links whose time was over before a moment."""
    tx.execute(share_links.delete().where(share_links.c.expires_at < before))


def _link(row: RowMapping) -> ShareLink:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["purpose"] = Purpose(values["purpose"])
    return ShareLink(**values)
