"""Tables of what is on its way: periodic work, errands."""

import sqlalchemy as sa

from bot.store.columns import key, metadata, moment, sealed, text

singletons = sa.Table(
    "singletons",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    text("holder", default=""),
    moment("until"),
    sa.Column("facts", sa.JSON, nullable=False),
)

errands = sa.Table(
    "errands",
    metadata,
    key(),
    text("kind"),
    sa.Column("subject", sa.JSON, nullable=False),
    sealed("sealed", nullable=True),
    text("state", default="asked"),
    sa.Column("result", sa.JSON, nullable=False),
    text("note", default=""),
    moment("until"),
    moment("created_at", nullable=False),
    moment("finished_at"),
    sa.Index("ix_errands_kind_id", "kind", "id"),
)
