"""Brings the store's schema up to date with Alembic."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine

from bot.store.engine import writing


def migrate(engine: Engine) -> None:
    """Apply every migration that the store lacks."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    with writing(engine) as tx:
        config.attributes["connection"] = tx
        command.upgrade(config, "head")
