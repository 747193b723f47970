"""Tenants, projects and apps in the store."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.app import Absence, App
from bot.domain.ids import AppId, ProjectId, TenantId
from bot.store import gaps, variables
from bot.store.chore_schema import freezes
from bot.store.engine import Tx
from bot.store.entry_schema import deploy_hooks
from bot.store.schema import apps, domains, environments, projects, releases, tenants, tokens

_FIELDS = [apps.c[field.name] for field in fields(App)]
_THERE = apps.c.deleted_at.is_(None)
_BY_ID = sa.select(*_FIELDS).where(apps.c.id == sa.bindparam("app"))
_BY_SLUG = sa.select(*_FIELDS).where(apps.c.slug == sa.bindparam("slug"))
_POLICY = sa.select(apps.c.policy).where(apps.c.id == sa.bindparam("app"))
DEFAULT = "default"
"""Slug of the tenant and the project that an instance starts with."""


@dataclass(frozen=True)
class NewApp:
    """What is needed to store an app."""

    slug: str
    repository: str
    clone_url: str
    production_branch: str
    root_directory: str = ""
    build_command: str | None = None
    output_directory: str | None = None
    webhook_secret: bytes | None = None
    install_command: str | None = None


def ensure_default_scope(tx: Tx, now: datetime) -> tuple[TenantId, ProjectId]:
    """The tenant and the project that an instance starts with; made at first use."""
    tenant = tx.scalar(sa.select(tenants.c.id).where(tenants.c.slug == DEFAULT))
    if tenant is None:
        tenant = tx.scalar(
            tenants.insert().values(slug=DEFAULT, name="Default", created_at=now).returning(tenants.c.id)
        )
    project = tx.scalar(
        sa.select(projects.c.id).where(projects.c.tenant_id == tenant, projects.c.slug == DEFAULT)
    )
    if project is None:
        values = {"tenant_id": tenant, "slug": DEFAULT, "name": "Default", "created_at": now}
        project = tx.scalar(projects.insert().values(values).returning(projects.c.id))
    assert tenant is not None
    assert project is not None
    return TenantId(tenant), ProjectId(project)


def insert(tx: Tx, new: NewApp, now: datetime, scope: tuple[TenantId, ProjectId] | None = None) -> App:
    """Store an app in a project; in the default one, when none is given."""
    tenant, project = scope or ensure_default_scope(tx, now)
    values = {field.name: getattr(new, field.name) for field in fields(new)}
    place = {"tenant_id": tenant, "project_id": project, "created_at": now}
    row = tx.execute(apps.insert().values(**values, **place).returning(*_FIELDS)).mappings().one()
    return app_of(row)


def get(tx: Tx, app: AppId) -> App:
    """One app by its id, also when it was deleted."""
    return app_of(tx.execute(_BY_ID, {"app": app}).mappings().one())


def by_slug(tx: Tx, slug: str) -> App | None:
    """One app by its slug."""
    row = tx.execute(_BY_SLUG, {"slug": slug}).mappings().one_or_none()
    return app_of(row) if row else None


def find(tx: Tx, app: AppId) -> App | None:
    """One app by its id, unless it was deleted."""
    row = tx.execute(sa.select(*_FIELDS).where(apps.c.id == app, _THERE)).mappings().one_or_none()
    return app_of(row) if row else None


def all_apps(tx: Tx) -> list[App]:
    """Every app, by slug."""
    query = sa.select(*_FIELDS).where(_THERE).order_by(apps.c.slug)
    return [app_of(row) for row in tx.execute(query).mappings()]


def of_source(tx: Tx, tenant: TenantId, repository: str, root: str) -> App | None:
    """A tenant's app of a repository (by name) and a directory of it, unless it is archived."""
    named = sa.func.lower(apps.c.repository) == repository.lower()
    where = (apps.c.tenant_id == tenant, named, apps.c.root_directory == root, apps.c.archived_at.is_(None))
    found = tx.execute(sa.select(*_FIELDS).where(*where, _THERE).order_by(apps.c.id)).mappings().first()
    return app_of(found) if found else None


def of_repository(tx: Tx, repository_id: int, full_name: str) -> list[App]:
    """Apps of a repository: by its id, and by its name those that never had a delivery.

    A name can pass to another repository; an id can't. So a name counts until an id is pinned.
    """
    named = sa.and_(apps.c.repository_id.is_(None), sa.func.lower(apps.c.repository) == full_name.lower())
    matches = sa.or_(apps.c.repository_id == repository_id, named)
    rows = tx.execute(sa.select(*_FIELDS).where(matches, _THERE).order_by(apps.c.id)).mappings()
    return [app_of(row) for row in rows]


def pin_repository(tx: Tx, app: AppId, repository_id: int, installation_id: int | None) -> None:
    """Remember which repository, and which installation of the GitHub App, an app's name meant."""
    changes: dict[str, Any] = {"repository_id": repository_id}
    if installation_id is not None:
        changes["installation_id"] = installation_id
    tx.execute(apps.update().where(apps.c.id == app).values(changes))


def rename(tx: Tx, app: AppId, full_name: str, clone_url: str) -> None:
    """Remember the name that an app's repository has by now, and where it is cloned from."""
    tx.execute(apps.update().where(apps.c.id == app).values(repository=full_name, clone_url=clone_url))


def secrets(tx: Tx) -> list[tuple[AppId, int | None, str, bytes]]:
    """Apps that have a webhook secret of their own: id, repository id, full name, sealed secret."""
    columns = (apps.c.id, apps.c.repository_id, apps.c.repository, apps.c.webhook_secret)
    rows = tx.execute(sa.select(*columns).where(apps.c.webhook_secret.is_not(None)))
    return [(AppId(row[0]), row[1], row[2], row[3]) for row in rows]


def sealed_secret(tx: Tx, app: AppId) -> bytes | None:
    """An app's own webhook secret, sealed, if it has one."""
    return tx.scalar(sa.select(apps.c.webhook_secret).where(apps.c.id == app))


def policy(tx: Tx, app: AppId) -> dict[str, Any] | None:
    """The policy that was last read from the app's default branch, as JSON."""
    return tx.scalar(_POLICY, {"app": app})


def keep_policy(tx: Tx, app: AppId, value: dict[str, Any]) -> None:
    """Remember the policy read from the app's default branch."""
    tx.execute(apps.update().where(apps.c.id == app).values(policy=value))


def policies(tx: Tx, ids: Collection[AppId]) -> dict[AppId, dict[str, Any] | None]:
    """The policies that were last read for some apps, as JSON."""
    rows = tx.execute(sa.select(apps.c.id, apps.c.policy).where(apps.c.id.in_(ids)))
    return {AppId(row[0]): row[1] for row in rows}


def set_private(tx: Tx, app: AppId, *, private: bool) -> None:
    """Remember whether an app's repository is private."""
    tx.execute(apps.update().where(apps.c.id == app).values(private=private))


def set_enabled(tx: Tx, app: AppId, *, enabled: bool, absence: Absence | None = None) -> None:
    """Switch an app's automatic deploys on or off; off by GitHub, when it says why.

    Once they are on, what happened meanwhile is looked for.
    """
    tx.execute(apps.update().where(apps.c.id == app).values(enabled=enabled, absence=absence))
    if enabled:
        gaps.ask_for_missed(tx)


def of_installation(tx: Tx, installation_id: int) -> list[App]:
    """Apps that an installation of the GitHub App covered last."""
    where = (apps.c.installation_id == installation_id, _THERE)
    return [
        app_of(row) for row in tx.execute(sa.select(*_FIELDS).where(*where).order_by(apps.c.id)).mappings()
    ]


def change(tx: Tx, app: AppId, changes: dict[str, Any]) -> App:
    """Change an app's columns by name."""
    if "enabled" in changes:
        # What a person says of it counts from then on.
        changes = {**changes, "absence": None}
    if changes.get("enabled") or ("archived_at" in changes and changes["archived_at"] is None):
        gaps.ask_for_missed(tx)
    if changes:
        tx.execute(apps.update().where(apps.c.id == app).values(changes))
    return get(tx, app)


def delete(tx: Tx, app: AppId, now: datetime) -> None:
    """Take an app away: its slug and hostnames come free, its tokens end, its releases expire.

    Its variables are gone. Rows stay, since what a number once meant is written in logs and at GitHub.
    """
    gone = sa.literal("-deleted-") + sa.cast(environments.c.id, sa.Text)
    unlit = {"hostname": gone, "active_release_id": None, "active_deployment_id": None}
    tx.execute(environments.update().where(environments.c.app_id == app).values(unlit))
    own = sa.select(environments.c.id).where(environments.c.app_id == app)
    tx.execute(domains.delete().where(domains.c.environment_id.in_(own)))
    tx.execute(freezes.delete().where(freezes.c.environment_id.in_(own)))
    kept = (releases.c.app_id == app, releases.c.expired_at.is_(None))
    tx.execute(releases.update().where(*kept).values(expired_at=now))
    valid = (tokens.c.app_id == app, tokens.c.revoked_at.is_(None))
    tx.execute(tokens.update().where(*valid).values(revoked_at=now))
    called = (deploy_hooks.c.app_id == app, deploy_hooks.c.revoked_at.is_(None))
    tx.execute(deploy_hooks.update().where(*called).values(revoked_at=now))
    variables.drop_of_app(tx, app)
    # No slug looks like that.
    ended = {"slug": f"-deleted-{app}", "enabled": False, "webhook_secret": None, "deleted_at": now}
    tx.execute(apps.update().where(apps.c.id == app).values(ended))


def app_of(row: RowMapping) -> App:
    """An app from a row."""
    return app_from({str(name): value for name, value in row.items()})


def app_from(values: dict[str, Any]) -> App:
    """An app from the values of its columns."""
    values["absence"] = Absence(values["absence"]) if values["absence"] else None
    required = values["required_variables"]
    values["required_variables"] = tuple(required) if required is not None else None
    # What was switched off before it was archived is so afterwards, too.
    values["enabled"] = values["enabled"] and values["archived_at"] is None
    return App(**values)
