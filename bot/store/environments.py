"""Environments in the store."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from datetime import datetime
from itertools import chain, count
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.app import App
from bot.domain.environment import Environment, EnvironmentKind, app_of_release, kind_of, label
from bot.domain.ids import AppId, DeploymentId, EnvironmentId, ProjectId, ReleaseId, TenantId
from bot.domain.pull import PullNumber
from bot.store.engine import Tx
from bot.store.schema import Moment, apps, environments

FIELDS = [environments.c[field.name] for field in fields(Environment)]
_BY_ID = sa.select(*FIELDS).where(environments.c.id == sa.bindparam("environment"))
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
        row = tx.execute(environments.insert().values(values).returning(*FIELDS)).mappings().one()
        return environment_of(row)
    moves = pull is not None and found.hostname.partition(".")[2] != hostname.partition(".")[2]
    if found.branch == branch and not moves:
        return found
    place = _free(tx, app, hostname) if moves else found.hostname
    changed = environments.update().where(environments.c.id == found.id).values(branch=branch, hostname=place)
    return environment_of(tx.execute(changed.returning(*FIELDS)).mappings().one())


def has_hostname(tx: Tx, hostname: str) -> bool:
    """Whether some environment has that hostname."""
    return tx.scalar(sa.select(environments.c.id).where(environments.c.hostname == hostname)) is not None


def app_of_hostname(tx: Tx, hostname: str) -> AppId | None:
    """The app whose environment has that hostname."""
    found = tx.scalar(sa.select(environments.c.app_id).where(environments.c.hostname == hostname))
    return AppId(found) if found is not None else None


def _free(tx: Tx, app: App, hostname: str) -> str:
    """The hostname, or one like it that nobody has and that no release will have."""
    # `staging` of the app `shop` and `production` of an app `staging-shop` would meet.
    first, _, domain = hostname.partition(".")
    if app_of_release(first) is not None:
        first = label("at", first)
    names = chain([first], (label(first, str(app.id), *more) for more in _numbered()))
    return next(name for one in names if not has_hostname(tx, name := f"{one}.{domain}"))


def _numbered() -> Iterator[tuple[str, ...]]:
    yield ()
    for number in count(2):
        yield (str(number),)


def get(tx: Tx, environment: EnvironmentId) -> Environment:
    """One environment by its id."""
    return environment_of(tx.execute(_BY_ID, {"environment": environment}).mappings().one())


def by_name(tx: Tx, app: AppId, name: str) -> Environment | None:
    """One environment of an app by its name."""
    where = (environments.c.app_id == app, environments.c.name == name)
    row = tx.execute(sa.select(*FIELDS).where(*where)).mappings().one_or_none()
    return environment_of(row) if row else None


def by_id(tx: Tx, app: AppId, number: int) -> Environment | None:
    """One environment of an app by its number."""
    where = (environments.c.app_id == app, environments.c.id == number)
    row = tx.execute(sa.select(*FIELDS).where(*where)).mappings().one_or_none()
    return environment_of(row) if row else None


def by_word(tx: Tx, app: AppId, word: str) -> Environment | None:
    """One environment of an app as people name it: by name, a preview also as `pr-12`, or by number."""
    found = by_name(tx, app, word) or by_name(tx, app, f"preview/{word}")
    is_number = word.isascii() and word.isdigit() and len(word) <= 15
    return found or (by_id(tx, app, int(word)) if is_number else None)


def configure(tx: Tx, environment: EnvironmentId, changes: dict[str, Any]) -> Environment:
    """Change an environment's columns by name."""
    if changes:
        tx.execute(environments.update().where(environments.c.id == environment).values(changes))
    return get(tx, environment)


def required_variables(tx: Tx, environment: EnvironmentId) -> list[str] | None:
    """What builds need, as the commit says that was planned here last; None before the first."""
    return tx.scalar(sa.select(environments.c.required_variables).where(environments.c.id == environment))


def mapped(tx: Tx, app: AppId) -> dict[str, str]:
    """The branches that were named by hand, by environment."""
    there = (environments.c.follows.is_not(None), environments.c.archived_at.is_(None))
    query = sa.select(environments.c.name, environments.c.follows)
    return {row[0]: row[1] for row in tx.execute(query.where(environments.c.app_id == app, *there))}


def of_apps(tx: Tx, app_ids: Sequence[AppId]) -> list[Environment]:
    """Environments of some apps, by id."""
    where = environments.c.app_id.in_(app_ids)
    rows = tx.execute(sa.select(*FIELDS).where(where).order_by(environments.c.id)).mappings()
    return [environment_of(row) for row in rows]


def live(tx: Tx) -> list[Environment]:
    """Every environment that shows a release: one that was taken down does not."""
    shows = environments.c.active_release_id.is_not(None)
    where = sa.and_(shows, environments.c.archived_at.is_(None))
    return [environment_of(row) for row in tx.execute(sa.select(*FIELDS).where(where)).mappings()]


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
    query = sa.select(*FIELDS).join(apps, apps.c.id == environments.c.app_id).where(*where)
    rows = tx.execute(query.order_by(environments.c.app_id, environments.c.id).limit(limit)).mappings()
    return [environment_of(row) for row in rows]


def previews(tx: Tx, app: AppId | None = None) -> list[Environment]:
    """Previews that are not taken down, of every app or of one, longest unused first."""
    where = [environments.c.kind == EnvironmentKind.PREVIEW, environments.c.archived_at.is_(None)]
    if app is not None:
        where.append(environments.c.app_id == app)
    order = (environments.c.used_at.asc().nulls_first(), environments.c.id)
    rows = tx.execute(sa.select(*FIELDS).where(*where).order_by(*order)).mappings()
    return [environment_of(row) for row in rows]


def archived(tx: Tx) -> list[Environment]:
    """Environments that were taken down and whose release is kept yet."""
    where = (environments.c.archived_at.is_not(None), environments.c.active_release_id.is_not(None))
    return [environment_of(row) for row in tx.execute(sa.select(*FIELDS).where(*where)).mappings()]


def there(tx: Tx) -> list[Environment]:
    """Every environment that is not taken down."""
    where = environments.c.archived_at.is_(None)
    return [environment_of(row) for row in tx.execute(sa.select(*FIELDS).where(where)).mappings()]


def archive(tx: Tx, environment: EnvironmentId, now: datetime, reason: str) -> Environment:
    """Remember that an environment is taken down, and why."""
    # A lock that outlived its pull request would surprise whoever reopens it.
    changes = {"archived_at": now, "archive_reason": reason, "expires_at": None, **_UNLOCKED}
    changed = environments.update().where(environments.c.id == environment).values(changes)
    return environment_of(tx.execute(changed.returning(*FIELDS)).mappings().one())


def revive(tx: Tx, environment: EnvironmentId, now: datetime) -> Environment:
    """Begin a life of a preview: a first one, or another after it was taken down."""
    begun = {"born_at": now, "used_at": now}
    ended = {"archived_at": None, "archive_reason": None, "asleep_at": None, "expires_at": None}
    changes = {**begun, **ended}
    changed = environments.update().where(environments.c.id == environment).values(changes)
    return environment_of(tx.execute(changed.returning(*FIELDS)).mappings().one())


def use(tx: Tx, environment: EnvironmentId, now: datetime) -> None:
    """Remember that somebody used an environment, which wakes it."""
    changes = {"used_at": now, "asleep_at": None}
    tx.execute(environments.update().where(environments.c.id == environment).values(changes))


def visit(tx: Tx, visited: Collection[EnvironmentId], at: datetime) -> None:
    """Remember that somebody visited environments at a moment, which wakes them."""
    used = sa.case((environments.c.used_at > at, environments.c.used_at), else_=sa.literal(at, Moment))
    changed = environments.update().where(
        environments.c.id.in_(visited), environments.c.archived_at.is_(None)
    )
    tx.execute(changed.values(used_at=used, asleep_at=None))


def sleep(tx: Tx, environment: EnvironmentId, now: datetime) -> Environment:
    """Remember that an environment sleeps."""
    changed = environments.update().where(environments.c.id == environment).values(asleep_at=now)
    return environment_of(tx.execute(changed.returning(*FIELDS)).mappings().one())


def meet_clock(tx: Tx, now: datetime) -> None:
    """Bring back to now what environments remember of a time that is yet to come: the clock was set back.

    Else they would live, stay awake or sleep until that time comes again.
    """
    columns = (environments.c.born_at, environments.c.used_at, environments.c.asleep_at)
    wrong = sa.or_(*(column > now for column in columns))
    mended = {one.name: sa.case((one > now, sa.literal(now, Moment)), else_=one) for one in columns}
    tx.execute(environments.update().where(wrong).values(mended))


def expire_at(tx: Tx, environment: EnvironmentId, moment: datetime) -> Environment:
    """Remember when an environment is to be taken down."""
    changed = environments.update().where(environments.c.id == environment).values(expires_at=moment)
    return environment_of(tx.execute(changed.returning(*FIELDS)).mappings().one())


def lock(
    tx: Tx, environment: EnvironmentId, *, by: str, key: str, reason: str, until: datetime | None
) -> Environment:
    """Lock an environment, or replace its lock."""
    values = {"locked_by": by, "lock_key": key, "lock_reason": reason, "lock_until": until}
    changed = environments.update().where(environments.c.id == environment).values(values)
    return environment_of(tx.execute(changed.returning(*FIELDS)).mappings().one())


def unlock(tx: Tx, environment: EnvironmentId) -> Environment:
    """Take the lock off an environment."""
    changed = environments.update().where(environments.c.id == environment).values(_UNLOCKED)
    return environment_of(tx.execute(changed.returning(*FIELDS)).mappings().one())


def locks_ended(tx: Tx, now: datetime) -> list[Environment]:
    """Environments whose lock has come to its end."""
    where = environments.c.lock_until <= now
    return [environment_of(row) for row in tx.execute(sa.select(*FIELDS).where(where)).mappings()]


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
        "asleep_at": None,
    }
    changed = environments.update().where(environments.c.id == environment).values(changes)
    number = tx.scalar(changed.returning(environments.c.activation))
    assert number is not None
    return number


def environment_of(row: RowMapping) -> Environment:
    """An environment from its row."""
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["kind"] = EnvironmentKind(values["kind"])
    return Environment(**values)
