"""The table of custom domains."""

import sqlalchemy as sa

from bot.store.columns import key, metadata, moment, number, partial_index, text, to

domains = sa.Table(
    "domains",
    metadata,
    key(),
    to("environments"),
    text("hostname"),
    text("redirect_to", nullable=True),
    text("token"),
    # What was found at the last look, as a sentence.
    text("found", default=""),
    number("misses"),
    moment("checked_at"),
    moment("due_at", nullable=False),
    moment("verified_at"),
    # Since when the record of a verified domain is missing.
    moment("lost_at"),
    moment("certificate_until"),
    moment("created_at", nullable=False),
    sa.UniqueConstraint("environment_id", "hostname"),
    # Claims are many, owners are not: the database itself holds that.
    partial_index(
        "uq_domains_verified",
        "hostname",
        unique=True,
        where="verified_at IS NOT NULL",
    ),
    sa.Index("ix_domains_due_at", "due_at"),
)
