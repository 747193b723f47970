"""Environments and their leases in the store."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.app import App
from bot.domain.deployment import State
from bot.domain.environment import Environment, EnvironmentKind, kind_of, label
from bot.domain.ids import AppId, DeploymentId, EnvironmentId, ProjectId, ReleaseId, TenantId
from bot.domain.pull import PullNumber
from bot.store.due import is_due
from bot.store.engine import Tx
from bot.store.forks import is_built_in, is_strange, waits_in
from bot.store.schema import apps, deployments, environments, tenants

_FIELDS = [environments.c[field.name] for field in fields(Environment)]
_UNLOCKED: dict[str, Any] = {"locked_by": None, "lock_key": None, "lock_reason": None, "lock_until": None}


def ensure(
    tx: Tx, app: App, name: str, *, hostname: str, branch: str | None, pull: PullNumber | None = None
) -> Environment:
    """The app's environment of that name; made at first use, its branch kept up to date.

    A preview moves when it is asked for on another domain.
    """
    found = by_name(tx, app.id, name)
    if found is None:
        hostname = _free(tx, app, hostname)
        values = {
            "app_id": app.id,
            "name": name,
            "kind": kind_of(name),
            "branch": branch,
            "hostname": hostname,
            "pull": pull,
        }
        row = tx.execute(environments.insert().values(values).returning(*_FIELDS)).mappings().one()
        return _environment(row)
    moves = pull is not None and found.hostname.partition(".")[2] != hostname.partition(".")[2]
    if found.branch == branch and not moves:
        return found
    place = _free(tx, app, hostname) if moves else found.hostname
    changed = environments.update().where(environments.c.id == found.id).values(branch=branch, hostname=place)
    return _environment(tx.execute(changed.returning(*_FIELDS)).mappings().one())


def has_hostname(tx: Tx, hostname: str) -> bool:
    """Whether some environment has that hostname."""
    return tx.scalar(sa.select(environments.c.id).where(environments.c.hostname == hostname)) is not None


def _free(tx: Tx, app: App, hostname: str) -> str:
    # `staging` of the app `shop` and `production` of an app `staging-shop` would meet.
    first, _, domain = hostname.partition(".")
    return f"{label(first, str(app.id))}.{domain}" if has_hostname(tx, hostname) else hostname


def get(tx: Tx, environment: EnvironmentId) -> Environment:
    """One environment by its id."""
    row = tx.execute(sa.select(*_FIELDS).where(environments.c.id == environment)).mappings().one()
    return _environment(row)


def by_name(tx: Tx, app: AppId, name: str) -> Environment | None:
    """One environment of an app by its name."""
    where = (environments.c.app_id == app, environments.c.name == name)
    row = tx.execute(sa.select(*_FIELDS).where(*where)).mappings().one_or_none()
    return _environment(row) if row else None


def by_id(tx: Tx, app: AppId, number: int) -> Environment | None:
    """One environment of an app by its number."""
    where = (environments.c.app_id == app, environments.c.id == number)
    row = tx.execute(sa.select(*_FIELDS).where(*where)).mappings().one_or_none()
    return _environment(row) if row else None


def configure(tx: Tx, environment: EnvironmentId, changes: dict[str, Any]) -> Environment:
    """Change an environment's columns by name."""
    if changes:
        tx.execute(environments.update().where(environments.c.id == environment).values(changes))
    return get(tx, environment)


def mapped(tx: Tx, app: AppId) -> dict[str, str]:
    """The branches that were named by hand, by environment."""
    there = (environments.c.follows.is_not(None), environments.c.archived_at.is_(None))
    query = sa.select(environments.c.name, environments.c.follows)
    return {row[0]: row[1] for row in tx.execute(query.where(environments.c.app_id == app, *there))}


def of_apps(tx: Tx, app_ids: Sequence[AppId]) -> list[Environment]:
    """Environments of some apps, by id."""
    where = environments.c.app_id.in_(app_ids)
    rows = tx.execute(sa.select(*_FIELDS).where(where).order_by(environments.c.id)).mappings()
    return [_environment(row) for row in rows]


def live(tx: Tx) -> list[Environment]:
    """Every environment that shows a release: one that was taken down does not."""
    shows = environments.c.active_release_id.is_not(None)
    where = sa.and_(shows, environments.c.archived_at.is_(None))
    return [_environment(row) for row in tx.execute(sa.select(*_FIELDS).where(where)).mappings()]


def showing(
    tx: Tx, tenant: TenantId, *, project: ProjectId | None = None, app: AppId | None = None, limit: int
) -> list[Environment]:
    """Environments of a tenant, a project or an app that show a release; at most `limit`."""
    where = [apps.c.tenant_id == tenant, environments.c.active_release_id.is_not(None)]
    where.append(environments.c.archived_at.is_(None))
    if project is not None:
        where.append(apps.c.project_id == project)
    if app is not None:
        where.append(apps.c.id == app)
    query = sa.select(*_FIELDS).join(apps, apps.c.id == environments.c.app_id).where(*where)
    rows = tx.execute(query.order_by(environments.c.app_id, environments.c.id).limit(limit)).mappings()
    return [_environment(row) for row in rows]


def previews(tx: Tx, app: AppId | None = None) -> list[Environment]:
    """Previews that are not taken down, of every app or of one, longest unused first."""
    where = [environments.c.kind == EnvironmentKind.PREVIEW, environments.c.archived_at.is_(None)]
    if app is not None:
        where.append(environments.c.app_id == app)
    order = (environments.c.used_at.asc().nulls_first(), environments.c.id)
    rows = tx.execute(sa.select(*_FIELDS).where(*where).order_by(*order)).mappings()
    return [_environment(row) for row in rows]


def archived(tx: Tx) -> list[Environment]:
    """Environments that were taken down and whose release is kept yet."""
    where = (environments.c.archived_at.is_not(None), environments.c.active_release_id.is_not(None))
    return [_environment(row) for row in tx.execute(sa.select(*_FIELDS).where(*where)).mappings()]


def archive(tx: Tx, environment: EnvironmentId, now: datetime, reason: str) -> Environment:
    """Remember that an environment is taken down, and why."""
    # A lock that outlived its pull request would surprise whoever reopens it.
    changes = {"archived_at": now, "archive_reason": reason, "kept_until": None, **_UNLOCKED}
    changed = environments.update().where(environments.c.id == environment).values(changes)
    return _environment(tx.execute(changed.returning(*_FIELDS)).mappings().one())


def revive(tx: Tx, environment: EnvironmentId, now: datetime) -> Environment:
    """Begin a life of a preview: a first one, or another after it was taken down."""
    changes = {"archived_at": None, "archive_reason": None, "born_at": now, "used_at": now}
    changed = environments.update().where(environments.c.id == environment).values(changes)
    return _environment(tx.execute(changed.returning(*_FIELDS)).mappings().one())


def use(tx: Tx, environment: EnvironmentId, now: datetime) -> None:
    """Remember that somebody used an environment."""
    tx.execute(environments.update().where(environments.c.id == environment).values(used_at=now))


def keep(tx: Tx, environment: EnvironmentId, until: datetime) -> None:
    """Give a preview an end of its own."""
    tx.execute(environments.update().where(environments.c.id == environment).values(kept_until=until))


def lock(
    tx: Tx, environment: EnvironmentId, *, by: str, key: str, reason: str, until: datetime | None
) -> Environment:
    """Lock an environment, or replace its lock."""
    values = {"locked_by": by, "lock_key": key, "lock_reason": reason, "lock_until": until}
    changed = environments.update().where(environments.c.id == environment).values(values)
    return _environment(tx.execute(changed.returning(*_FIELDS)).mappings().one())


def unlock(tx: Tx, environment: EnvironmentId) -> Environment:
    """Take the lock off an environment."""
    changed = environments.update().where(environments.c.id == environment).values(_UNLOCKED)
    return _environment(tx.execute(changed.returning(*_FIELDS)).mappings().one())


def locks_ended(tx: Tx, now: datetime) -> list[Environment]:
    """Environments whose lock has come to its end."""
    where = environments.c.lock_until <= now
    return [_environment(row) for row in tx.execute(sa.select(*_FIELDS).where(where)).mappings()]


def forget_release(tx: Tx, archived_before: datetime) -> int:
    """Let retention have the releases of environments that were taken down before a moment; how many."""
    where = (environments.c.archived_at < archived_before, environments.c.active_release_id.is_not(None))
    return tx.execute(environments.update().where(*where).values(active_release_id=None)).rowcount


def pin(tx: Tx, environment: EnvironmentId, reason: str | None) -> None:
    """Make automatic deploys wait, for a reason; or let them go on, with no reason."""
    changes = {"pinned": reason is not None, "pin_reason": reason}
    tx.execute(environments.update().where(environments.c.id == environment).values(changes))


def activate(
    tx: Tx, environment: EnvironmentId, release: ReleaseId | None, deployment: DeploymentId | None
) -> int:
    """Point an environment at a release, or at none; the number of this switch, which grows with each."""
    changes = {
        "active_release_id": release,
        "active_deployment_id": deployment,
        "activation": environments.c.activation + 1,
    }
    changed = environments.update().where(environments.c.id == environment).values(changes)
    number = tx.scalar(changed.returning(environments.c.activation))
    assert number is not None
    return number


def claim_fairest(
    tx: Tx, holder: str, now: datetime, until: datetime, *, previews: bool, strangers: bool
) -> Environment | None:
    """Take the lease of the ready environment whose tenant was served longest ago, then the oldest.

    Ready: it has a queued deployment, nobody holds its lease, and its tenant is below its limit.
    Without `previews` none of those is taken, without `strangers` none that has a stranger's code to
    build. Those come after all others, the oldest first, and count for no tenant.
    """
    taken = (
        environments.update()
        .where(environments.c.id == _fairest(now, previews=previews, strangers=strangers), _is_free())
        .values(lease_holder=holder, lease_token=environments.c.lease_token + 1, lease_until=until)
        .returning(*_FIELDS)
    )
    row = tx.execute(taken).mappings().one_or_none()
    if row is None:
        return None
    environment = _environment(row)
    if waits_in(tx, environment.id):
        # What strangers ask for costs nobody a turn.
        return environment
    tenant = sa.select(apps.c.tenant_id).where(apps.c.id == environment.app_id).scalar_subquery()
    tx.execute(tenants.update().where(tenants.c.id == tenant).values(served_at=now))
    return environment


def _fairest(now: datetime, *, previews: bool, strangers: bool) -> sa.ScalarSelect[int]:
    kind = sa.true() if previews else environments.c.kind != EnvironmentKind.PREVIEW
    strange = sa.func.max(sa.case((is_strange(), 1), else_=0))
    turn = sa.case((strange == 0, tenants.c.served_at), else_=None)
    below = sa.or_(tenants.c.build_limit.is_(None), _running_of_tenant() < tenants.c.build_limit)
    return (
        sa.select(environments.c.id)
        .join(apps, apps.c.id == environments.c.app_id)
        .join(tenants, tenants.c.id == apps.c.tenant_id)
        .join(deployments, deployments.c.environment_id == environments.c.id)
        .where(
            deployments.c.state == State.QUEUED, is_due(deployments.c.ready_at, now), _is_free(), below, kind
        )
        .group_by(environments.c.id, tenants.c.served_at, tenants.c.id)
        .having(sa.true() if strangers else strange == 0)
        .order_by(strange, turn.asc().nulls_first(), sa.func.min(deployments.c.id))
        .limit(1)
        .scalar_subquery()
    )


def _running_of_tenant() -> sa.ScalarSelect[int]:
    busy, busy_apps = environments.alias("busy"), apps.alias("busy_apps")
    return (
        sa.select(sa.func.count())
        .select_from(busy.join(busy_apps, busy.c.app_id == busy_apps.c.id))
        .where(
            busy.c.lease_until.is_not(None),
            busy_apps.c.tenant_id == tenants.c.id,
            # Those have a limit of their own, and keep nobody of the tenant's waiting.
            sa.not_(is_built_in(busy.c.id)),
        )
        .scalar_subquery()
    )


def _is_free() -> sa.ColumnElement[bool]:
    # A lease that ran out is taken back with its deployment first: its end is a mark, no moment to wait for.
    return environments.c.lease_until.is_(None)


def leased(tx: Tx) -> list[Environment]:
    """Environments that somebody holds, expired leases too."""
    where = environments.c.lease_until.is_not(None)
    return [_environment(row) for row in tx.execute(sa.select(*_FIELDS).where(where)).mappings()]


def previews_running(tx: Tx) -> int:
    """How many leases are held on previews."""
    where = (environments.c.lease_until.is_not(None), environments.c.kind == EnvironmentKind.PREVIEW)
    return tx.scalar(sa.select(sa.func.count()).select_from(environments).where(*where)) or 0


def renew_lease(tx: Tx, environment: EnvironmentId, token: int, until: datetime) -> bool:
    """Prolong a lease; False when it is no longer the caller's."""
    mine = (environments.c.id == environment, environments.c.lease_token == token)
    held = environments.c.lease_until.is_not(None)
    changed = tx.execute(environments.update().where(*mine, held).values(lease_until=until))
    return changed.rowcount == 1


def release_lease(tx: Tx, environment: EnvironmentId, token: int) -> bool:
    """Give a lease back; False when it was no longer the caller's."""
    mine = (environments.c.id == environment, environments.c.lease_token == token)
    freed = {"lease_holder": None, "lease_until": None}
    held = environments.c.lease_until.is_not(None)
    return tx.execute(environments.update().where(*mine, held).values(freed)).rowcount == 1


def ready_ids(tx: Tx, now: datetime) -> list[EnvironmentId]:
    """Environments with a queued deployment that nobody works on."""
    query = (
        sa.select(environments.c.id)
        .join(deployments, deployments.c.environment_id == environments.c.id)
        .where(deployments.c.state == State.QUEUED, is_due(deployments.c.ready_at, now), _is_free())
        .distinct()
    )
    return [EnvironmentId(found) for found in tx.scalars(query)]


def _environment(row: RowMapping) -> Environment:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["kind"] = EnvironmentKind(values["kind"])
    return Environment(**values)
