"""Tables of what is on its way: periodic work, errands, what begins by itself."""

import sqlalchemy as sa

from bot.store.columns import key, metadata, moment, sealed, text, to

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

# Windows in which nothing is deployed to an environment. Those that have ended are taken away.
freezes = sa.Table(
    "freezes",
    metadata,
    key(),
    to("environments", index=True),
    text("reason"),
    text("created_by"),
    moment("starts_at", nullable=False),
    moment("ends_at", nullable=False),
    moment("begun_at"),
    moment("created_at", nullable=False),
)
