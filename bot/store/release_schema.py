"""The table of releases."""

import sqlalchemy as sa

from bot.store.columns import flag, key, metadata, moment, number, text, to

releases = sa.Table(
    "releases",
    metadata,
    key(),
    to("apps"),
    number("number"),
    text("name"),
    text("key"),
    text("manifest"),
    # Whether it was built with full trust, or by a stranger's code.
    text("trust", default="full"),
    text("sha"),
    number("files"),
    number("size"),
    flag("spa"),
    to("deployments", index=True),
    # Of each variable that the build was given its fingerprint, by name; null when none could matter.
    sa.Column("variables", sa.JSON(none_as_null=True), nullable=True),
    moment("created_at", nullable=False),
    # Its bytes were taken away by retention; the row stays for what points at it.
    moment("expired_at"),
    sa.UniqueConstraint("app_id", "number"),
    sa.Index("ix_releases_app_id_key", "app_id", "key"),
)
