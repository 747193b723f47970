"""Alembic's entry: runs the migrations on the transaction that `bot.store.migrate` hands in."""

from alembic import context

from bot.store.columns import complete_for_postgresql
from bot.store.schema import metadata

complete_for_postgresql(metadata)
context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True
)
context.run_migrations()
