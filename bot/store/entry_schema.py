"""The tables of how people and machines come in: sessions, invitations, deploy hooks, installations."""

import sqlalchemy as sa

from bot.store.columns import key, metadata, moment, text, to

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
