"""The tables of what GitHub told of commits, of commands in comments, and of what it shows."""

import sqlalchemy as sa

from bot.store.columns import Id, Moment, key, metadata, moment, number, partial_index, text, to

checks = sa.Table(
    "checks",
    metadata,
    key(),
    # Each app has what was told to it: others may have been lied to.
    to("apps"),
    text("sha"),
    text("kind"),
    text("name"),
    text("state"),
    # GitHub's id: of two reports the one with the higher is the later.
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("at", Moment, nullable=False, index=True),
    sa.UniqueConstraint("app_id", "sha", "kind", "name"),
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
    # Of the apps that share it, the one that was made first.
    to("apps"),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("github_comment_id", sa.BigInteger, nullable=True),
    sa.Column("shown", sa.JSON, nullable=True),
    sa.UniqueConstraint("app_id", "number"),
)

# A comment with commands, once for each app that carried them out.
commands = sa.Table(
    "commands",
    metadata,
    key(),
    to("apps"),
    to("deliveries", index=True),
    sa.Column("repository_id", sa.BigInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("comment_id", sa.BigInteger, nullable=False),
    text("author"),
    # What became of them, and of each one in its order.
    text("outcome"),
    sa.Column("answers", sa.JSON, nullable=False),
    # When GitHub showed the receipt.
    moment("told_at"),
    number("attempts"),
    moment("retry_at"),
    text("note", default=""),
    moment("created_at", nullable=False),
    sa.UniqueConstraint("app_id", "comment_id"),
    sa.Index("ix_commands_repository_id_number_id", "repository_id", "number", "id"),
    partial_index(
        "ix_commands_untold",
        "id",
        where="told_at IS NULL",
    ),
)
