"""The tables."""

import sqlalchemy as sa

from bot.store import entry_schema, variable_schema
from bot.store.access_schema import audit, members, tokens, users
from bot.store.chore_schema import errands, singletons
from bot.store.columns import Id, Moment, metadata, partial_index
from bot.store.columns import flag as _flag
from bot.store.columns import key as _key
from bot.store.columns import moment as _moment
from bot.store.columns import number as _number
from bot.store.columns import sealed as _sealed
from bot.store.columns import text as _text
from bot.store.columns import to as _to
from bot.store.domain_schema import domains
from bot.store.github_schema import announcements, checks, commands, comments
from bot.store.outgoing_schema import receivers as receivers  # noqa: PLC0414 so that it is known
from bot.store.release_schema import releases

__all__ = [
    "Moment",
    "announcements",
    "audit",
    "checks",
    "commands",
    "comments",
    "domains",
    "entry_schema",
    "errands",
    "members",
    "metadata",
    "receivers",
    "releases",
    "singletons",
    "tokens",
    "users",
    "variable_schema",
]

tenants = sa.Table(
    "tenants",
    metadata,
    _key(),
    sa.Column("slug", sa.Text, nullable=False, unique=True),
    _text("name"),
    sa.Column("build_limit", sa.Integer, nullable=True),
    _moment("served_at"),
    _moment("created_at", nullable=False),
)

projects = sa.Table(
    "projects",
    metadata,
    _key(),
    _to("tenants"),
    _text("slug"),
    _text("name"),
    _moment("created_at", nullable=False),
    _moment("archived_at"),
    sa.UniqueConstraint("tenant_id", "slug"),
)

apps = sa.Table(
    "apps",
    metadata,
    _key(),
    _to("tenants", index=True),
    _to("projects", index=True),
    # A slug is a part of public hostnames: one namespace for the whole instance.
    sa.Column("slug", sa.Text, nullable=False, unique=True),
    sa.Column("repository", sa.Text, nullable=False, index=True),
    sa.Column("repository_id", sa.BigInteger, nullable=True, index=True),
    _text("clone_url"),
    sa.Column("installation_id", sa.BigInteger, nullable=True),
    _text("production_branch"),
    _text("root_directory", default=""),
    _text("install_command", nullable=True),
    _text("build_command", nullable=True),
    _text("output_directory", nullable=True),
    # Names of variables that builds need, where that was set here.
    sa.Column("required_variables", sa.JSON(none_as_null=True), nullable=True),
    _sealed("webhook_secret", nullable=True),
    sa.Column("enabled", sa.Boolean, nullable=False, server_default=sa.true()),
    # Why GitHub switched automatic deploys off; null when a person did, or when they are on.
    _text("absence", nullable=True),
    _moment("archived_at"),
    # The row stays for what points at it: numbers of apps and deployments are never given again.
    _moment("deleted_at"),
    # Whether the repository is, as GitHub told last; and who may see previews, where that was set here.
    sa.Column("private", sa.Boolean, nullable=True),
    _text("protection", nullable=True),
    # The last policy that was read from the default branch, for when the repository can't be reached.
    sa.Column("policy", sa.JSON, nullable=True),
    _moment("created_at", nullable=False),
)

environments = sa.Table(
    "environments",
    metadata,
    _key(),
    _to("apps"),
    _text("name"),
    _text("kind"),
    _text("branch", nullable=True),
    sa.Column("hostname", sa.Text, nullable=False, unique=True),
    sa.Column("active_release_id", Id, nullable=True),
    sa.Column("active_deployment_id", Id, nullable=True),
    _number("activation"),
    _flag("pinned"),
    _text("pin_reason", nullable=True),
    # The branch that was named by hand, which wins over slipway.toml; and whether pushes to it deploy.
    _text("follows", nullable=True),
    _flag("manual"),
    # Of a preview: its pull request, when its present life began, when it was last used, since when it
    # sleeps, until when it may live where somebody said so, and when and why it was taken down.
    sa.Column("pull", sa.BigInteger, nullable=True),
    _moment("born_at"),
    _moment("used_at"),
    _moment("asleep_at"),
    _moment("expires_at"),
    _moment("archived_at"),
    _text("archive_reason", nullable=True),
    # The end that somebody gave a preview.
    # Who locked it, as people are told and unmistakably, why, and until when.
    _text("locked_by", nullable=True),
    _text("lock_key", nullable=True),
    _text("lock_reason", nullable=True),
    sa.Column("lock_until", Moment, nullable=True, index=True),
    # Names of variables that builds need, as the commit says that was planned here last.
    sa.Column("required_variables", sa.JSON(none_as_null=True), nullable=True),
    _text("lease_holder", nullable=True),
    _number("lease_token"),
    sa.Column("lease_until", Moment, nullable=True, index=True),
    sa.UniqueConstraint("app_id", "name"),
)

pull_requests = sa.Table(
    "pull_requests",
    metadata,
    _key(),
    # Each app has what was told to it: others may have been lied to.
    _to("apps"),
    sa.Column("repository_id", sa.BigInteger, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    _text("state"),
    _flag("merged"),
    _flag("draft"),
    _text("title", default=""),
    _text("author", default=""),
    _flag("by_bot"),
    sa.Column("labels", sa.JSON, nullable=False),
    _text("head_sha"),
    _text("head_branch", default=""),
    sa.Column("head_repository_id", sa.BigInteger, nullable=True),
    _text("head_repository", nullable=True),
    _text("base_branch"),
    _text("base_sha", nullable=True),
    # GitHub's own date, and whether these facts were told with a reopening.
    _moment("updated_at", nullable=False),
    _flag("reopened"),
    _moment("seen_at", nullable=False),
    sa.UniqueConstraint("app_id", "repository_id", "number"),
)

deliveries = sa.Table(
    "deliveries",
    metadata,
    _key(),
    _text("hook_id"),
    _text("guid"),
    _text("event"),
    _text("source", default="github"),
    # Set when the app's own secret verified the delivery: then it speaks for that app alone.
    sa.Column("verified_app_id", Id, nullable=True),
    _text("state", default="received"),
    _text("note", default=""),
    _number("attempts"),
    _moment("received_at", nullable=False),
    _moment("retry_at"),
    _moment("decided_at"),
    # Last, since reading a column behind a long one reads through all of that.
    sa.Column("body", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("hook_id", "guid"),
    sa.Index("ix_deliveries_guid", "guid"),
    sa.Index("ix_deliveries_state_id", "state", "id"),
)

decisions = sa.Table(
    "decisions",
    metadata,
    _key(),
    _to("deliveries"),
    _to("apps", nullable=True, index=True),
    _text("kind"),
    _text("code"),
    _text("sentence"),
    sa.Column("facts", sa.JSON, nullable=False),
    _moment("created_at", nullable=False),
    sa.UniqueConstraint("delivery_id", "app_id"),
)

deployments = sa.Table(
    "deployments",
    metadata,
    _key(),
    # The app's, so that a tenant's newest are found without a look at the others'.
    _to("tenants"),
    _to("apps", index=True),
    _to("environments"),
    _text("kind"),
    _text("trigger"),
    _text("state"),
    _text("phase", nullable=True),
    _text("sha"),
    _text("branch", nullable=True),
    # With no commit yet: the tag that names it.
    _text("tag", nullable=True),
    sa.Column("pull", sa.BigInteger, nullable=True),
    _text("message", default=""),
    _text("author", default=""),
    _text("reason", default=""),
    # What a held deployment waits for.
    _text("hold", nullable=True),
    # Whether its commit comes from a fork; who approved exactly that commit, and whether with secrets.
    _flag("from_fork"),
    _text("approved_by", nullable=True),
    _flag("with_secrets"),
    _text("requested_by", default=""),
    # What whoever asked for it wrote down; whether it is built though its content was built before; and
    # whether without what earlier builds left.
    _text("note", nullable=True),
    _flag("rebuild"),
    _flag("clean"),
    _to("deliveries", nullable=True, index=True),
    sa.Column("release_id", Id, nullable=True, index=True),
    # The number of its switch: the order of what was shown, whatever clocks say.
    sa.Column("activation", sa.Integer, nullable=True),
    sa.Column("superseded_by", Id, nullable=True),
    sa.Column("failure", sa.JSON(none_as_null=True), nullable=True),
    _number("attempt", 1),
    _number("losses"),
    _number("version", 1),
    _number("announced"),
    _flag("cancel_requested"),
    # While it is queued: not to be tried before, since something that passes stopped it.
    _moment("ready_at"),
    _moment("created_at", nullable=False),
    _moment("started_at"),
    _moment("finished_at"),
    sa.Index("ix_deployments_environment_id_state", "environment_id", "state"),
    sa.Index("ix_deployments_state", "state"),
    # What lists are filtered by, each with the order in which they are shown.
    sa.Index("ix_deployments_tenant_id_id", "tenant_id", "id"),
    sa.Index("ix_deployments_tenant_id_state_id", "tenant_id", "state", "id"),
    sa.Index("ix_deployments_tenant_id_branch_id", "tenant_id", "branch", "id"),
    sa.Index("ix_deployments_app_id_state_id", "app_id", "state", "id"),
    sa.Index("ix_deployments_app_id_branch_id", "app_id", "branch", "id"),
    sa.Index("ix_deployments_environment_id_id", "environment_id", "id"),
    sa.Index("ix_deployments_sha", "sha"),
    partial_index(
        "ix_deployments_unannounced",
        "id",
        where="announced < version",
    ),
)

deployment_events = sa.Table(
    "deployment_events",
    metadata,
    _key(),
    _to("deployments", index=True),
    _text("state"),
    _text("reason", default=""),
    _moment("at", nullable=False),
)

deployment_steps = sa.Table(
    "deployment_steps",
    metadata,
    _key(),
    _to("deployments"),
    _number("attempt", 1),
    _text("name"),
    _text("state"),
    _text("command", nullable=True),
    sa.Column("exit_code", sa.Integer, nullable=True),
    _moment("started_at", nullable=False),
    _moment("finished_at"),
    sa.UniqueConstraint("deployment_id", "attempt", "name"),
)
