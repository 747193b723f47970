"""The tables of what GitHub told of commits, and of what it was last made to show."""

import sqlalchemy as sa

from bot.store.columns import Id, Moment, key, metadata, moment, number, text

checks = sa.Table(
    "checks",
    metadata,
    key(),
    sa.Column("repository_id", sa.BigInteger, nullable=False),
    text("sha"),
    text("kind"),
    text("name"),
    text("state"),
    # GitHub's id: of two reports the one with the higher is the later.
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("at", Moment, nullable=False, index=True),
    sa.UniqueConstraint("repository_id", "sha", "kind", "name"),
)

announcements = sa.Table(
    "announcements",
    metadata,
    sa.Column("deployment_id", Id, sa.ForeignKey("deployments.id"), primary_key=True),
    sa.Column("github_deployment_id", sa.BigInteger, nullable=True),
    # What each surface of GitHub was last made to show, by surface.
    sa.Column("shown", sa.JSON, nullable=False),
    number("attempts"),
    moment("retry_at"),
    text("note", default=""),
)

comments = sa.Table(
    "comments",
    metadata,
    key(),
    sa.Column("repository_id", sa.BigInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("github_comment_id", sa.BigInteger, nullable=True),
    sa.Column("shown", sa.JSON, nullable=True),
    sa.UniqueConstraint("repository_id", "number"),
)
