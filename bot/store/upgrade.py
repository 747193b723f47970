"""Applies migrations, with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config

from bot.store.engine import Tx


def upgrade(tx: Tx) -> None:
    """Apply every migration that the store lacks."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = tx
    command.upgrade(config, "head")
