"""Brings the store's schema up to date."""

from importlib import import_module

import sqlalchemy as sa
from sqlalchemy import Engine

from bot.store.engine import Tx, reading, writing

NEWEST = "0001"
"""The newest migration."""


def migrate(engine: Engine) -> None:
    """Apply every migration that the store lacks."""
    with reading(engine) as tx:
        if is_current(tx):
            return
    # Alembic takes a command's start a fifth of a second, and there is seldom anything for it to do.
    upgrade = import_module("bot.store.upgrade").upgrade
    with writing(engine) as tx:
        upgrade(tx)


def is_current(tx: Tx) -> bool:
    """Whether the store has the tables of this version."""
    return _version(tx) == NEWEST


def _version(tx: Tx) -> str | None:
    if not sa.inspect(tx).has_table("alembic_version"):
        return None
    return tx.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
