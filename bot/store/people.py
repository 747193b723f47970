"""Tenants, their projects, and who is a member of them with what role."""

from collections.abc import Collection
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.ids import ProjectId, TenantId
from bot.domain.roles import Role
from bot.store.apps import DEFAULT
from bot.store.engine import Tx
from bot.store.schema import apps, members, projects, tenants, users


@dataclass(frozen=True)
class Tenant:
    """A team's walled space."""

    id: TenantId
    slug: str
    name: str
    created_at: datetime
    build_limit: int | None = None


@dataclass(frozen=True)
class Project:
    """A group of apps of a tenant."""

    id: ProjectId
    tenant_id: TenantId
    slug: str
    name: str
    created_at: datetime
    archived_at: datetime | None = None


@dataclass(frozen=True)
class Member:
    """A person in a tenant. `id` is the person's, the same in every tenant."""

    id: int
    tenant_id: TenantId
    email: str
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True)
class User:
    """A person, whatever tenants they are in."""

    id: int
    email: str
    name: str


@dataclass(frozen=True)
class Membership:
    """A tenant that a person is in, and as what."""

    tenant: Tenant
    role: Role


_USER = [users.c[field.name] for field in fields(User)]
_TENANT = [tenants.c[field.name] for field in fields(Tenant)]
_TENANT_BY_ID = sa.select(*_TENANT).where(tenants.c.id == sa.bindparam("tenant"))
_PROJECT = [projects.c[field.name] for field in fields(Project)]
_MEMBER = (
    users.c.id,
    members.c.tenant_id,
    users.c.email,
    users.c.name,
    members.c.role,
    members.c.created_at,
)


def insert_tenant(tx: Tx, slug: str, name: str, now: datetime) -> Tenant:
    """Store a tenant, with a first project."""
    values = {"slug": slug, "name": name, "created_at": now}
    row = tx.execute(tenants.insert().values(values).returning(*_TENANT)).mappings().one()
    tenant = _tenant(row)
    first = {"tenant_id": tenant.id, "slug": DEFAULT, "name": "Default", "created_at": now}
    tx.execute(projects.insert().values(first))
    return tenant


def all_tenants(tx: Tx) -> list[Tenant]:
    """Every tenant, by slug."""
    return [_tenant(row) for row in tx.execute(sa.select(*_TENANT).order_by(tenants.c.slug)).mappings()]


def tenant(tx: Tx, word: str | int) -> Tenant | None:
    """The tenant of that slug, else of that id."""
    rows = tx.execute(sa.select(*_TENANT).where(_names(tenants, word)).limit(2)).mappings()
    return next((one for one in sorted(map(_tenant, rows), key=lambda one: one.slug != word)), None)


def tenant_by_id(tx: Tx, tenant: TenantId) -> Tenant:
    """A tenant that is known to exist."""
    return _tenant(tx.execute(_TENANT_BY_ID, {"tenant": tenant}).mappings().one())


def project(tx: Tx, tenant: TenantId, word: str | int) -> Project | None:
    """The tenant's project of that slug, else of that id."""
    where = (projects.c.tenant_id == tenant, _names(projects, word))
    rows = tx.execute(sa.select(*_PROJECT).where(*where).limit(2)).mappings()
    return next((one for one in sorted(map(_project, rows), key=lambda one: one.slug != word)), None)


def projects_of(tx: Tx, tenant: TenantId) -> list[Project]:
    """The tenant's projects, oldest first."""
    query = sa.select(*_PROJECT).where(projects.c.tenant_id == tenant).order_by(projects.c.id)
    return [_project(row) for row in tx.execute(query).mappings()]


def insert_project(tx: Tx, tenant: TenantId, slug: str, *, name: str, now: datetime) -> Project:
    """Store a project."""
    values = {"tenant_id": tenant, "slug": slug, "name": name, "created_at": now}
    return _project(tx.execute(projects.insert().values(values).returning(*_PROJECT)).mappings().one())


def change_project(tx: Tx, project: ProjectId, changes: dict[str, Any]) -> Project:
    """Change a project's columns by name."""
    if changes:
        tx.execute(projects.update().where(projects.c.id == project).values(changes))
    row = tx.execute(sa.select(*_PROJECT).where(projects.c.id == project)).mappings().one()
    return _project(row)


def delete_project(tx: Tx, project: ProjectId, other: ProjectId) -> None:
    """Take a project without apps away; rows of apps that were deleted pass to another one."""
    tx.execute(apps.update().where(apps.c.project_id == project).values(project_id=other))
    tx.execute(projects.delete().where(projects.c.id == project))


def apps_in(tx: Tx, project: ProjectId) -> int:
    """How many apps a project has, archived ones too."""
    where = (apps.c.project_id == project, apps.c.deleted_at.is_(None))
    return tx.scalar(sa.select(sa.func.count()).select_from(apps).where(*where)) or 0


def change_tenant(tx: Tx, tenant: TenantId, changes: dict[str, Any]) -> Tenant:
    """Change a tenant's columns by name."""
    if changes:
        tx.execute(tenants.update().where(tenants.c.id == tenant).values(changes))
    return tenant_by_id(tx, tenant)


def project_slugs(tx: Tx, ids: Collection[ProjectId]) -> dict[ProjectId, str]:
    """The slugs of some projects."""
    query = sa.select(projects.c.id, projects.c.slug).where(projects.c.id.in_(ids))
    return {ProjectId(row[0]): row[1] for row in tx.execute(query)}


def ensure_member(tx: Tx, tenant: TenantId, email: str, *, name: str, role: Role, now: datetime) -> Member:
    """Make somebody a member with a role; a person of that address and a membership are made when missing."""
    user = ensure_user(tx, email, name=name, now=now).id
    if member(tx, tenant, user) is None:
        row = {"tenant_id": tenant, "user_id": user, "role": role, "created_at": now}
        tx.execute(members.insert().values(row))
    else:
        set_role(tx, tenant, user, role)
    found = member(tx, tenant, user)
    assert found is not None
    return found


def ensure_user(tx: Tx, email: str, *, name: str, now: datetime) -> User:
    """The person of that address; made when there is none."""
    if (known := user_by_email(tx, email)) is not None:
        return known
    values = {"email": email, "name": name, "created_at": now}
    row = tx.execute(users.insert().values(values).returning(*_USER)).mappings().one()
    return _user(row)


def user_by_email(tx: Tx, email: str) -> User | None:
    """The person of that address."""
    row = tx.execute(sa.select(*_USER).where(users.c.email == email)).mappings().one_or_none()
    return _user(row) if row else None


def user(tx: Tx, user: int) -> User | None:
    """One person."""
    row = tx.execute(sa.select(*_USER).where(users.c.id == user)).mappings().one_or_none()
    return _user(row) if row else None


def memberships(tx: Tx, user: int) -> list[Membership]:
    """The tenants that a person is in, the longest membership first."""
    joined = members.join(tenants, tenants.c.id == members.c.tenant_id)
    query = sa.select(*_TENANT, members.c.role).select_from(joined).where(members.c.user_id == user)
    found: list[Membership] = []
    for row in tx.execute(query.order_by(members.c.id)).mappings():
        values: dict[str, Any] = {str(name): value for name, value in row.items()}
        role = Role(values.pop("role"))
        found.append(Membership(Tenant(**values), role))
    return found


def password_of(tx: Tx, user: int) -> str | None:
    """The hash of a person's password."""
    return tx.scalar(sa.select(users.c.password).where(users.c.id == user))


def set_password(tx: Tx, user: int, hashed: str) -> None:
    """Give a person another password."""
    tx.execute(users.update().where(users.c.id == user).values(password=hashed))


def with_password(tx: Tx) -> User | None:
    """The person who has a password: the first owner."""
    query = sa.select(*_USER).where(users.c.password.is_not(None)).order_by(users.c.id).limit(1)
    row = tx.execute(query).mappings().one_or_none()
    return _user(row) if row else None


def has_owner(tx: Tx) -> bool:
    """Whether any tenant has an owner."""
    return tx.scalar(sa.select(members.c.id).where(members.c.role == Role.OWNER).limit(1)) is not None


def member(tx: Tx, tenant: TenantId, user: int) -> Member | None:
    """One member of a tenant."""
    row = tx.execute(_members(tenant).where(users.c.id == user)).mappings().one_or_none()
    return _member(row) if row else None


def member_by_email(tx: Tx, tenant: TenantId, email: str) -> Member | None:
    """The member of a tenant with that address."""
    row = tx.execute(_members(tenant).where(users.c.email == email)).mappings().one_or_none()
    return _member(row) if row else None


def members_of(tx: Tx, tenant: TenantId) -> list[Member]:
    """The members of a tenant, by address."""
    return [_member(row) for row in tx.execute(_members(tenant).order_by(users.c.email)).mappings()]


def set_role(tx: Tx, tenant: TenantId, user: int, role: Role) -> None:
    """Change what a member is."""
    where = (members.c.tenant_id == tenant, members.c.user_id == user)
    tx.execute(members.update().where(*where).values(role=role))


def remove_member(tx: Tx, tenant: TenantId, user: int) -> None:
    """End a membership. The member's tokens for the tenant say no to everything from then on."""
    tx.execute(members.delete().where(members.c.tenant_id == tenant, members.c.user_id == user))


def _members(tenant: TenantId) -> sa.Select[*tuple[Any, ...]]:
    query = sa.select(*_MEMBER).select_from(members).join(users, users.c.id == members.c.user_id)
    return query.where(members.c.tenant_id == tenant)


def _names(table: sa.Table, word: str | int) -> sa.ColumnElement[bool]:
    text = str(word)
    is_id = text.isascii() and text.isdigit() and len(text) <= 15
    return sa.or_(table.c.slug == text, table.c.id == int(text)) if is_id else table.c.slug == text


def _tenant(row: RowMapping) -> Tenant:
    return Tenant(**{str(name): value for name, value in row.items()})


def _user(row: RowMapping) -> User:
    return User(**{str(name): value for name, value in row.items()})


def _project(row: RowMapping) -> Project:
    return Project(**{str(name): value for name, value in row.items()})


def _member(row: RowMapping) -> Member:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["role"] = Role(values["role"])
    return Member(**values)
