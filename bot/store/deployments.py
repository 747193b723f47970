"""Deployments, their events and their steps in the store. Only `bot.lifecycle` changes states."""

from dataclasses import asdict, dataclass, fields
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import RowMapping

from bot.domain.deployment import Commit, Deployment, Failure, Hold, Kind, Phase, State, Trigger
from bot.domain.ids import AppId, DeliveryId, DeploymentId, EnvironmentId, ReleaseId
from bot.domain.pull import PullNumber
from bot.store.deployment_rows import deployment_of
from bot.store.due import is_due
from bot.store.engine import Tx
from bot.store.forks import is_from_fork
from bot.store.schema import announcements, apps, deployment_events, deployments, releases

_FIELDS = [deployments.c[field.name] for field in fields(Deployment)]
_EVENTS = (
    sa.select(deployment_events.c.state, deployment_events.c.reason, deployment_events.c.at)
    .where(deployment_events.c.deployment_id == sa.bindparam("deployment"))
    .order_by(deployment_events.c.id)
)
_UNFINISHED = [state for state in State if not state.is_final]
# Made once: that takes several times as long as to ask them.
_BY_ID = sa.select(*_FIELDS).where(deployments.c.id == sa.bindparam("number"))
_IN_ENVIRONMENT = (
    sa.select(*_FIELDS)
    .where(deployments.c.environment_id == sa.bindparam("environment"))
    .order_by(deployments.c.id.desc())
)
_OPEN = _IN_ENVIRONMENT.where(deployments.c.state.in_(_UNFINISHED))
_NEWEST_OF_BRANCH = _IN_ENVIRONMENT.where(
    deployments.c.kind == Kind.BUILD, deployments.c.state != State.SUPERSEDED
).limit(1)
_THIS = deployments.update().where(deployments.c.id == sa.bindparam("number"))
_SET_PHASE = _THIS.values(phase=sa.bindparam("at"))
_APPEND = deployment_events.insert()


@dataclass(frozen=True)
class NewDeployment:
    """What is needed to store a deployment."""

    app_id: AppId
    environment_id: EnvironmentId
    kind: Kind
    trigger: Trigger
    state: State
    commit: Commit
    branch: str | None
    reason: str
    requested_by: str
    delivery_id: DeliveryId | None = None
    release_id: ReleaseId | None = None
    pull: PullNumber | None = None
    hold: Hold | None = None
    tag: str | None = None
    approved_by: str | None = None
    with_secrets: bool = False
    note: str | None = None
    rebuild: bool = False
    clean: bool = False


@dataclass(frozen=True)
class Event:
    """One change of state."""

    state: State
    reason: str
    at: datetime


def insert(tx: Tx, new: NewDeployment, now: datetime) -> Deployment:
    """Store a deployment and its first event."""
    values = {field.name: getattr(new, field.name) for field in fields(new) if field.name != "commit"}
    values["tenant_id"] = sa.select(apps.c.tenant_id).where(apps.c.id == new.app_id).scalar_subquery()
    named = new.commit.sha if new.trigger is Trigger.MANUAL and new.kind is Kind.BUILD else None
    values["from_fork"] = is_from_fork(new.app_id, new.environment_id, new.pull, named=named)
    row = (
        tx.execute(
            deployments.insert().values(**values, **asdict(new.commit), created_at=now).returning(*_FIELDS)
        )
        .mappings()
        .one()
    )
    deployment = _deployment(row)
    _append_event(tx, deployment.id, Event(new.state, new.reason, now))
    return deployment


def find(tx: Tx, deployment: DeploymentId) -> Deployment | None:
    """One deployment by its id, if there is one."""
    return _one(tx, _BY_ID, number=deployment)


def get(tx: Tx, deployment: DeploymentId) -> Deployment:
    """One deployment that is known to exist."""
    found = find(tx, deployment)
    assert found is not None
    return found


def latest(
    tx: Tx, limit: int, app: AppId | None = None, environment: EnvironmentId | None = None
) -> list[Deployment]:
    """The newest deployments, newest first."""
    query = sa.select(*_FIELDS).order_by(deployments.c.id.desc()).limit(limit)
    if app is not None:
        query = query.where(deployments.c.app_id == app)
    if environment is not None:
        query = query.where(deployments.c.environment_id == environment)
    return [_deployment(row) for row in tx.execute(query).mappings()]


def unfinished(tx: Tx, environment: EnvironmentId) -> list[Deployment]:
    """Deployments of an environment that have no last word yet, newest first."""
    return [_deployment(row) for row in tx.execute(_OPEN, {"environment": environment}).mappings()]


def all_where(tx: Tx, *where: sa.ColumnElement[bool]) -> list[Deployment]:
    """Deployments by conditions of the store's own, oldest first."""
    query = sa.select(*_FIELDS).where(*where).order_by(deployments.c.id)
    return [_deployment(row) for row in tx.execute(query).mappings()]


def newest(tx: Tx, environment: EnvironmentId) -> Deployment | None:
    """The deployment of an environment that was asked for last, of those that no other took the place of.

    What is heard of too late is superseded by an older one, and is not what there is to show.
    """
    query = sa.select(*_FIELDS).where(deployments.c.environment_id == environment)
    return _one(tx, query.order_by(deployments.c.state == State.SUPERSEDED, deployments.c.id.desc()).limit(1))


def newest_of_branch(tx: Tx, environment: EnvironmentId) -> Deployment | None:
    """The newest deployment that is about a commit and that none took the place of."""
    return _one(tx, _NEWEST_OF_BRANCH, environment=environment)


def last_succeeded(tx: Tx, environment: EnvironmentId) -> Deployment | None:
    """The deployment of an environment that succeeded last."""
    where = (deployments.c.environment_id == environment, deployments.c.state == State.SUCCEEDED)
    order = (deployments.c.activation.desc().nulls_last(), deployments.c.id.desc())
    return _one(tx, sa.select(*_FIELDS).where(*where).order_by(*order).limit(1))


def ended_before(tx: Tx, deployment: Deployment) -> State | None:
    """How the deployment before this one ended in its environment, of those that succeeded or failed."""
    where = (
        deployments.c.environment_id == deployment.environment_id,
        deployments.c.state.in_((State.SUCCEEDED, State.FAILED)),
        deployments.c.id < deployment.id,
    )
    state = tx.scalar(sa.select(deployments.c.state).where(*where).order_by(deployments.c.id.desc()).limit(1))
    return State(state) if state else None


def head_of_branch(tx: Tx, environment: EnvironmentId, branch: str | None) -> Deployment | None:
    """The newest build of a branch that was to go live; one that a newer commit replaced is none.

    One that a rollback stopped is.
    """
    rollbacks = sa.select(deployments.c.id).where(
        deployments.c.environment_id == environment, deployments.c.kind == Kind.ROLLBACK
    )
    unwanted = (State.SUPERSEDED, State.SKIPPED, State.REJECTED)
    where = (
        deployments.c.environment_id == environment,
        deployments.c.kind == Kind.BUILD,
        deployments.c.branch == branch,
        sa.or_(deployments.c.state.not_in(unwanted), deployments.c.superseded_by.in_(rollbacks)),
    )
    return _one(tx, sa.select(*_FIELDS).where(*where).order_by(deployments.c.id.desc()).limit(1))


def newest_of_commit(tx: Tx, environment: EnvironmentId, sha: str) -> DeploymentId | None:
    """The newest deployment that has the say about a commit: a rollback has it only once it succeeded."""
    has_say = sa.or_(deployments.c.kind == Kind.BUILD, deployments.c.state == State.SUCCEEDED)
    where = (deployments.c.environment_id == environment, deployments.c.sha == sha, has_say)
    return tx.scalar(sa.select(sa.func.max(deployments.c.id)).where(*where))


def was_automatic(tx: Tx, environment: EnvironmentId) -> bool:
    """Whether an environment ever had a deployment that no person asked for."""
    automatic = [trigger for trigger in Trigger if trigger.is_automatic]
    where = (deployments.c.environment_id == environment, deployments.c.trigger.in_(automatic))
    return tx.scalar(sa.select(deployments.c.id).where(*where).limit(1)) is not None


def owed(tx: Tx, limit: int, now: datetime | None = None) -> list[DeploymentId]:
    """Deployments of which GitHub does not show the present state, those that matter most first.

    A superseded deployment matters least: nobody waits for its last word. With `now`, those are left
    out whose next attempt is not due.
    """
    unannounced = deployments.c.announced < deployments.c.version
    least = sa.case((deployments.c.state == State.SUPERSEDED, 1), else_=0)
    query = sa.select(deployments.c.id).where(unannounced).order_by(least, deployments.c.id.desc())
    if now is not None:
        query = query.outerjoin(announcements, announcements.c.deployment_id == deployments.c.id)
        query = query.where(is_due(announcements.c.retry_at, now))
    return [DeploymentId(found) for found in tx.scalars(query.limit(limit))]


def set_announced(tx: Tx, deployment: DeploymentId, version: int) -> None:
    """Remember up to which version GitHub was told."""
    where = (deployments.c.id == deployment, deployments.c.announced < version)
    tx.execute(deployments.update().where(*where).values(announced=version))


def change(
    tx: Tx, deployment: DeploymentId, now: datetime, *, event: str | None = None, **changes: Any
) -> Deployment:
    """Change a deployment and raise its version; a change of state leaves an event with a reason."""
    values = {**changes, "version": deployments.c.version + 1}
    if isinstance(failure := changes.get("failure"), Failure):
        values["failure"] = asdict(failure)
    query = deployments.update().where(deployments.c.id == deployment).values(values).returning(*_FIELDS)
    changed = _deployment(tx.execute(query).mappings().one())
    if "state" in changes:
        _append_event(tx, deployment, Event(changed.state, event or "", now))
    return changed


def set_phase(tx: Tx, deployment: DeploymentId, phase: Phase) -> None:
    """Remember which step runs. Not a change that GitHub is told about, so the version stays."""
    tx.execute(_SET_PHASE, {"number": deployment, "at": phase})


def set_release(tx: Tx, deployment: DeploymentId, release: ReleaseId) -> None:
    """Remember which release a deployment is about to show. GitHub hears of it with the last word."""
    tx.execute(deployments.update().where(deployments.c.id == deployment).values(release_id=release))


def set_shown(tx: Tx, deployment: DeploymentId, release: ReleaseId, activation: int) -> None:
    """Remember which release a deployment shows, by which switch of its environment."""
    shows = {"release_id": release, "activation": activation}
    tx.execute(deployments.update().where(deployments.c.id == deployment).values(shows))


def shown(tx: Tx, environment: EnvironmentId) -> list[tuple[Kind, ReleaseId]]:
    """What went live in an environment, oldest first: by a build or a rollback, and which release."""
    columns = (deployments.c.kind, deployments.c.release_id)
    where = (deployments.c.environment_id == environment, deployments.c.state == State.SUCCEEDED)
    query = sa.select(*columns).where(*where, deployments.c.activation.is_not(None))
    rows = tx.execute(query.order_by(deployments.c.activation))
    return [(Kind(row[0]), ReleaseId(row[1])) for row in rows]


def last_shown(tx: Tx, environment: EnvironmentId) -> tuple[DeploymentId, ReleaseId] | None:
    """The deployment that succeeded with the newest switch, of those whose release is kept yet."""
    columns = (deployments.c.id, deployments.c.release_id)
    query = sa.select(*columns).join(releases, releases.c.id == deployments.c.release_id)
    query = query.where(
        deployments.c.environment_id == environment,
        deployments.c.state == State.SUCCEEDED,
        deployments.c.activation.is_not(None),
        releases.c.expired_at.is_(None),
    )
    row = tx.execute(query.order_by(deployments.c.activation.desc()).limit(1)).one_or_none()
    return (DeploymentId(row[0]), ReleaseId(row[1])) if row else None


def events(tx: Tx, deployment: DeploymentId) -> list[Event]:
    """What happened to a deployment, oldest first."""
    rows = tx.execute(_EVENTS, {"deployment": deployment})
    return [Event(State(row[0]), row[1], row[2]) for row in rows]


def _append_event(tx: Tx, deployment: DeploymentId, event: Event) -> None:
    tx.execute(_APPEND, {"deployment_id": deployment, **asdict(event)})


def _one(tx: Tx, query: sa.Select[Any], **values: int) -> Deployment | None:
    row = tx.execute(query, values).mappings().one_or_none()
    return _deployment(row) if row else None


def _deployment(row: RowMapping) -> Deployment:
    return deployment_of({str(name): value for name, value in row.items()})
