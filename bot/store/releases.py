"""Releases in the store."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.deployment import State
from bot.domain.ids import AppId, DeploymentId, Digest, EnvironmentId, ReleaseId, Sha
from bot.domain.release import Release, release_name
from bot.domain.trust import Trust
from bot.store.engine import Tx
from bot.store.pages import COUNTED, Found, Slice
from bot.store.schema import deployments, environments, releases

_KEPT = releases.c.expired_at.is_(None)
_FIELDS = [releases.c[field.name] for field in fields(Release)]
_VARIABLES = sa.select(releases.c.id, releases.c.variables).where(
    releases.c.id.in_(sa.bindparam("releases", expanding=True)), releases.c.variables.is_not(None)
)


@dataclass(frozen=True)
class NewRelease:
    """What is needed to store a release; number and name are given by the store."""

    app_id: AppId
    key: Digest
    manifest: Digest
    sha: Sha
    files: int
    size: int
    spa: bool
    deployment_id: DeploymentId
    variables: Mapping[str, str] | None = None
    """Fingerprints of the variables that its build was given; None when none could matter."""
    trust: Trust = Trust.FULL


def insert(tx: Tx, new: NewRelease, now: datetime) -> Release:
    """Store a release under the app's next number. Needs a writing transaction: numbers have no gaps."""
    newest = sa.select(sa.func.max(releases.c.number)).where(releases.c.app_id == new.app_id)
    number = (tx.scalar(newest) or 0) + 1
    values = {field.name: getattr(new, field.name) for field in fields(new)}
    named = {"number": number, "name": release_name(new.app_id, number), "created_at": now}
    row = tx.execute(releases.insert().values(**values, **named).returning(*_FIELDS)).mappings().one()
    return _release(row)


def find(tx: Tx, release: ReleaseId) -> Release | None:
    """One release by its id, if it is kept yet."""
    row = tx.execute(sa.select(*_FIELDS).where(releases.c.id == release)).mappings().one_or_none()
    return _release(row) if row else None


def get(tx: Tx, release: ReleaseId) -> Release:
    """One release by its id."""
    return _release(tx.execute(sa.select(*_FIELDS).where(releases.c.id == release)).mappings().one())


def by_key(tx: Tx, app: AppId, key: Digest) -> Release | None:
    """The app's newest release with that content key."""
    where = (releases.c.app_id == app, releases.c.key == key, _KEPT)
    query = sa.select(*_FIELDS).where(*where).order_by(releases.c.id.desc()).limit(1)
    row = tx.execute(query).mappings().one_or_none()
    return _release(row) if row else None


def by_word(tx: Tx, app: AppId, word: str) -> Release | None:
    """The app's release with that name, number (`42`, `#42`) or start of its commit (7 digits or more)."""
    number = word.removeprefix("#")
    if number.isascii() and number.isdigit() and len(number) < 7:
        matches = releases.c.number == int(number)
    else:
        by_sha = releases.c.sha.startswith(word, autoescape=True) if len(word) >= 7 else sa.false()
        matches = sa.or_(releases.c.name == word, by_sha)
    query = sa.select(*_FIELDS).where(releases.c.app_id == app, matches, _KEPT).order_by(releases.c.id.desc())
    row = tx.execute(query.limit(1)).mappings().one_or_none()
    return _release(row) if row else None


def of_app(tx: Tx, app: AppId) -> list[Release]:
    """The app's releases, newest first."""
    query = sa.select(*_FIELDS).where(releases.c.app_id == app, _KEPT).order_by(releases.c.id.desc())
    return [_release(row) for row in tx.execute(query).mappings()]


def page(
    tx: Tx, app: AppId, part: Slice, *, is_kept: bool, shown_in: EnvironmentId | None = None
) -> Found[Release]:
    """A page of the app's releases whose bytes are kept, or of those whose bytes are gone, newest first.

    With `shown_in`, only those that this environment has shown.
    """
    where = [releases.c.app_id == app, _KEPT if is_kept else releases.c.expired_at.is_not(None)]
    if shown_in is not None:
        where.append(_shown().where(deployments.c.environment_id == shown_in).exists())
    query = sa.select(*_FIELDS).where(*where).order_by(releases.c.number.desc())
    rows = tx.execute(query.offset(part.offset).limit(part.limit)).mappings()
    some = sa.select(releases.c.id).where(*where).limit(COUNTED).subquery()
    total = tx.scalar(sa.select(sa.func.count()).select_from(some)) or 0
    return Found([_release(row) for row in rows], total)


def kept(tx: Tx) -> list[Release]:
    """Every release whose bytes are kept."""
    return [_release(row) for row in tx.execute(sa.select(*_FIELDS).where(_KEPT)).mappings()]


def expire(tx: Tx, gone: Collection[ReleaseId], now: datetime) -> None:
    """Remember that the bytes of some releases are taken away: nothing may bring them back."""
    tx.execute(releases.update().where(releases.c.id.in_(gone)).values(expired_at=now))


def variables_of(tx: Tx, ids: Collection[ReleaseId]) -> dict[ReleaseId, dict[str, str]]:
    """What releases' builds were given: fingerprints by name. Where none could matter, it is left out."""
    rows = tx.execute(_VARIABLES, {"releases": list(ids)}) if ids else ()
    return {ReleaseId(row[0]): row[1] for row in rows}


def needed_ids(tx: Tx) -> set[ReleaseId]:
    """Releases that an unfinished deployment is about to show."""
    open_there = [state for state in State if not state.is_final]
    query = sa.select(deployments.c.release_id).where(
        deployments.c.state.in_(open_there), deployments.c.release_id.is_not(None)
    )
    return {ReleaseId(found) for found in tx.scalars(query) if found is not None}


def exposed(tx: Tx, only: Collection[ReleaseId] | None = None) -> list[Release]:
    """Releases, all or of some, that are kept and that an environment which is not taken down has shown."""
    there = environments.c.archived_at.is_(None)
    shown = _shown().where(environments.c.id == deployments.c.environment_id, there)
    some = sa.true() if only is None else releases.c.id.in_(only)
    query = sa.select(*_FIELDS).where(_KEPT, some, shown.exists()).order_by(releases.c.id)
    return [_release(row) for row in tx.execute(query).mappings()]


def exposers(tx: Tx, only: ReleaseId | None = None) -> dict[ReleaseId, set[EnvironmentId]]:
    """Which environments that are not taken down have shown a release, of those that are kept or of one."""
    query = (
        sa.select(releases.c.id, environments.c.id)
        .join(deployments, deployments.c.release_id == releases.c.id)
        .join(environments, environments.c.id == deployments.c.environment_id)
        .where(_KEPT, deployments.c.state == State.SUCCEEDED, environments.c.archived_at.is_(None))
        .distinct()
    )
    if only is not None:
        query = query.where(releases.c.id == only)
    found: dict[ReleaseId, set[EnvironmentId]] = {}
    for release, environment in tx.execute(query):
        found.setdefault(ReleaseId(release), set()).add(EnvironmentId(environment))
    return found


def shown_in(tx: Tx, environment: EnvironmentId) -> list[Release]:
    """Releases that an environment has shown and that are kept yet."""
    shown = _shown().where(deployments.c.environment_id == environment)
    query = sa.select(*_FIELDS).where(_KEPT, shown.exists()).order_by(releases.c.id)
    return [_release(row) for row in tx.execute(query).mappings()]


def _shown() -> sa.Select[tuple[int]]:
    went_live = deployments.c.state == State.SUCCEEDED
    return sa.select(deployments.c.id).where(deployments.c.release_id == releases.c.id, went_live)


def live_ids(tx: Tx) -> set[ReleaseId]:
    """Releases that some environment points at."""
    query = sa.select(environments.c.active_release_id).where(environments.c.active_release_id.is_not(None))
    return {ReleaseId(found) for found in tx.scalars(query) if found is not None}


def _release(row: RowMapping) -> Release:
    values: dict[str, Any] = {str(name): value for name, value in row.items()}
    values["trust"] = Trust(values["trust"])
    return Release(**values)
