"""The tables of what is told to others: receivers, messages for them, and what came of each attempt."""

import sqlalchemy as sa

from bot.store.columns import Id, Moment, flag, key, metadata, moment, number, partial_index, sealed, text, to

receivers = sa.Table(
    "receivers",
    metadata,
    key(),
    to("tenants", index=True),
    # Without them, what concerns the whole tenant.
    to("projects", nullable=True),
    to("apps", nullable=True, index=True),
    text("kind"),
    text("name"),
    text("address"),
    sealed("sealed"),
    sa.Column("events", sa.JSON, nullable=False),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    text("reason", default=""),
    number("failures"),
    moment("failing_since"),
    moment("rest_until"),
    # Held by who sends to it: one message at a time.
    moment("held_until"),
    moment("served_at"),
    text("created_by"),
    moment("created_at", nullable=False),
)

messages = sa.Table(
    "messages",
    metadata,
    key(),
    to("receivers"),
    sa.Column("uid", sa.Text, nullable=False, unique=True),
    text("event"),
    sa.Column("facts", sa.JSON, nullable=False),
    text("state"),
    number("attempts"),
    sa.Column("created_at", Moment, nullable=False, index=True),
    moment("ready_at"),
    moment("finished_at"),
    sa.Index("ix_messages_receiver_id_id", "receiver_id", "id"),
    partial_index(
        "ix_messages_waiting",
        "receiver_id",
        "id",
        where="state = 'waiting'",
    ),
)

message_attempts = sa.Table(
    "message_attempts",
    metadata,
    key(),
    sa.Column("message_id", Id, sa.ForeignKey("messages.id"), nullable=False, index=True),
    moment("at", nullable=False),
    flag("ok"),
    sa.Column("status", sa.Integer, nullable=True),
    number("milliseconds"),
    text("note", default=""),
    text("answer", default=""),
)
