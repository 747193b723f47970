"""The tables of who may do what, who did what, and of requests that may be repeated."""

import sqlalchemy as sa

from bot.store.columns import Id, Moment, key, metadata, moment, sealed, text, to

users = sa.Table(
    "users",
    metadata,
    key(),
    sa.Column("email", sa.Text, nullable=False, unique=True),
    text("name", default=""),
    # Scrypt; only the first owner of a machine has one.
    text("password", nullable=True),
    moment("created_at", nullable=False),
)

members = sa.Table(
    "members",
    metadata,
    key(),
    to("tenants"),
    to("users", index=True),
    text("role"),
    moment("created_at", nullable=False),
    sa.UniqueConstraint("tenant_id", "user_id"),
)

tokens = sa.Table(
    "tokens",
    metadata,
    key(),
    to("tenants", index=True),
    # A personal token has a user, a deploy token an app.
    to("users", nullable=True, index=True),
    to("apps", nullable=True, index=True),
    text("name"),
    # The part of a token that is no secret: by it the row is found.
    sa.Column("handle", sa.Text, nullable=False, unique=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    # Verbs; none means all that the holder's role has.
    sa.Column("scopes", sa.JSON(none_as_null=True), nullable=True),
    text("created_by"),
    moment("created_at", nullable=False),
    moment("expires_at"),
    moment("last_used_at"),
    moment("revoked_at"),
)

replays = sa.Table(
    "replays",
    metadata,
    key(),
    text("caller"),
    text("key"),
    sa.Column("fingerprint", sa.LargeBinary, nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    # Sealed: an answer may hold a secret that is shown once.
    sealed("answer"),
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.UniqueConstraint("caller", "key"),
)

audit = sa.Table(
    "audit",
    metadata,
    key(),
    moment("at", nullable=False),
    text("action"),
    text("actor"),
    text("actor_key"),
    text("origin"),
    # No references: what was done is remembered when that which it was done to is gone.
    sa.Column("tenant_id", Id, nullable=True),
    sa.Column("app_id", Id, nullable=True),
    text("subject"),
    sa.Column("before", sa.JSON, nullable=False),
    sa.Column("after", sa.JSON, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Index("ix_audit_tenant_id_id", "tenant_id", "id"),
    *(sa.Index(f"ix_audit_{name}", name) for name in "app_id actor actor_key action subject at".split()),
)

share_links = sa.Table(
    "share_links",
    metadata,
    key(),
    to("apps", index=True),
    # None: for every preview of the app.
    to("environments", nullable=True, index=True),
    text("purpose"),
    text("note", default=""),
    text("created_by"),
    moment("created_at", nullable=False),
    moment("expires_at", nullable=False),
    moment("revoked_at"),
)
