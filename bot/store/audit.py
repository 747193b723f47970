"""The audit log. Each row's digest covers the row before, so that one that is missing or altered shows."""

import hashlib
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from bot.domain.audit import Act
from bot.store.columns import moment_to_number
from bot.store.engine import Tx
from bot.store.schema import audit

_START = bytes(32)


def record(tx: Tx, act: Act, now: datetime) -> None:
    """Append what was done, in the transaction that does it."""
    # Writers are alone in the store, so nobody else appends between this look and the insertion.
    last = tx.execute(sa.select(audit.c.digest).order_by(audit.c.id.desc()).limit(1)).scalar()
    values = _values(act)
    tx.execute(audit.insert().values(**values, at=now, digest=digest_of(last or _START, values, now)))


def digest_of(before: bytes, values: dict[str, Any], at: datetime) -> bytes:
    """The digest of a row, SHA-256 over the digest of the row before and everything that the row says."""
    said = msgspec.json.encode([before.hex(), moment_to_number(at), values], order="sorted")
    return hashlib.sha256(said).digest()


def _values(act: Act) -> dict[str, Any]:
    return {
        "action": act.action,
        "actor": act.actor,
        "actor_key": act.actor_key,
        "origin": act.origin,
        "tenant_id": act.tenant_id,
        "app_id": act.app_id,
        "subject": act.subject,
        "before": dict(act.before),
        "after": dict(act.after),
    }
