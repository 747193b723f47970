"""The tables of who may do what and how they sign in, and of requests that may be repeated."""

import sqlalchemy as sa

from bot.store.columns import Moment, key, metadata, moment, text, to

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
    sa.Column("answer", sa.LargeBinary, nullable=False),
    sa.Column("created_at", Moment, nullable=False, index=True),
    sa.UniqueConstraint("caller", "key"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    key(),
    to("users", index=True),
    # The organisation that is chosen; of a session that an invitation began, the only one.
    to("tenants", nullable=True),
    text("via"),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    text("address", default=""),
    text("agent", default=""),
    moment("created_at", nullable=False),
    moment("last_used_at"),
    moment("expires_at", nullable=False),
    moment("revoked_at"),
)

invitations = sa.Table(
    "invitations",
    metadata,
    key(),
    to("tenants", index=True),
    text("email"),
    text("role"),
    sa.Column("digest", sa.LargeBinary, nullable=False, unique=True),
    text("created_by"),
    moment("created_at", nullable=False),
    moment("expires_at", nullable=False),
    moment("accepted_at"),
    moment("revoked_at"),
    # What became of the mail: none was wanted, or it waits, was sent, failed.
    text("mail", default="none"),
    text("mail_note", default=""),
)

deploy_hooks = sa.Table(
    "deploy_hooks",
    metadata,
    key(),
    to("apps", index=True),
    text("name"),
    text("environment"),
    text("branch", nullable=True),
    # The part of its address that is no secret: by it the row is found.
    sa.Column("handle", sa.Text, nullable=False, unique=True),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    text("created_by"),
    moment("created_at", nullable=False),
    moment("last_used_at"),
    moment("revoked_at"),
)

installations = sa.Table(
    "installations",
    metadata,
    key(),
    # GitHub's number.
    sa.Column("installation_id", sa.BigInteger, nullable=False),
    to("tenants", index=True),
    text("account", default=""),
    text("created_by"),
    moment("created_at", nullable=False),
    sa.UniqueConstraint("installation_id", "tenant_id"),
)
