"""The tables of variables and of what became of them."""

import sqlalchemy as sa

from bot.store.columns import flag, key, metadata, moment, number, sealed, text, to

variables = sa.Table(
    "variables",
    metadata,
    key(),
    # The owner's, so that all that may count in an environment is found by one look.
    to("tenants"),
    text("scope"),
    sa.Column("owner_id", sa.BigInteger, nullable=False),
    text("name"),
    text("reach"),
    flag("secret"),
    flag("build"),
    flag("runtime"),
    number("version", 1),
    text("fingerprint"),
    number("size"),
    text("changed_by"),
    moment("created_at", nullable=False),
    moment("changed_at", nullable=False),
    sealed("value"),
    sa.UniqueConstraint("scope", "owner_id", "name", "reach"),
    sa.Index("ix_variables_tenant_id_name", "tenant_id", "name"),
)

variable_changes = sa.Table(
    "variable_changes",
    metadata,
    key(),
    text("scope"),
    sa.Column("owner_id", sa.BigInteger, nullable=False),
    text("name"),
    text("reach"),
    number("version"),
    text("action"),
    text("what", default=""),
    text("changed_by"),
    moment("at", nullable=False),
    sa.Index("ix_variable_changes_owner", "scope", "owner_id", "id"),
)
