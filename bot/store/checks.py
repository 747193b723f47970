"""What others reported of commits, as events told it; and the deployments that wait for such reports."""

from datetime import datetime

import sqlalchemy as sa

from bot.domain.checks import Check, CheckKind, CheckReport, CheckState
from bot.domain.deployment import Deployment, Hold, State
from bot.domain.ids import AppId, DeploymentId, Sha
from bot.store.deployments import all_where
from bot.store.engine import Tx
from bot.store.schema import checks, deployment_events, deployments

_LOOKED_BACK = 50
"""Deployments of an app among which those are looked for that a failed check kept back."""


def keep(tx: Tx, app: AppId, report: CheckReport, now: datetime) -> None:
    """Remember a report that an app was told, unless a later one of its kind and name is known."""
    check = report.check
    where = (
        checks.c.app_id == app,
        checks.c.sha == report.sha,
        checks.c.kind == check.kind,
        checks.c.name == check.name,
    )
    known = tx.scalar(sa.select(checks.c.number).where(*where))
    values = {"state": check.state, "number": check.number, "at": now}
    if known is None:
        key = {"app_id": app, "sha": report.sha}
        tx.execute(checks.insert().values(**key, kind=check.kind, name=check.name, **values))
    elif known <= check.number:
        tx.execute(checks.update().where(*where).values(values))


def of_commit(tx: Tx, app: AppId, sha: Sha) -> list[Check]:
    """What an app was told of a commit."""
    columns = (checks.c.kind, checks.c.name, checks.c.state, checks.c.number)
    where = (checks.c.app_id == app, checks.c.sha == sha)
    rows = tx.execute(sa.select(*columns).where(*where))
    return [Check(CheckKind(row[0]), row[1], CheckState(row[2]), row[3]) for row in rows]


def forget(tx: Tx, before: datetime) -> int:
    """Drop reports from before a moment; how many."""
    return tx.execute(checks.delete().where(checks.c.at < before)).rowcount


def waiting(tx: Tx) -> list[Deployment]:
    """Deployments that are held until checks pass, oldest first."""
    return all_where(tx, deployments.c.state == State.HELD, deployments.c.hold == Hold.CHECKS)


def held_since(tx: Tx, before: datetime) -> list[Deployment]:
    """Deployments that have been held, for whatever, since a moment or longer."""
    held = all_where(tx, deployments.c.state == State.HELD, deployments.c.created_at < before)
    return [one for one in held if since(tx, one.id) < before]


def concerned(tx: Tx, app: AppId, sha: Sha) -> list[Deployment]:
    """An app's deployments of a commit that a report may move on: those that wait, or that one kept back."""
    newest = sa.select(deployments.c.id).where(deployments.c.app_id == app)
    recent = newest.order_by(deployments.c.id.desc()).limit(_LOOKED_BACK)
    states = (State.HELD, State.SKIPPED)
    held = (deployments.c.hold == Hold.CHECKS, deployments.c.state.in_(states))
    return all_where(tx, deployments.c.id.in_(recent), deployments.c.sha == sha, *held)


def since(tx: Tx, deployment: DeploymentId) -> datetime:
    """When a deployment began to wait for what it waits for."""
    where = deployment_events.c.deployment_id == deployment
    query = sa.select(deployment_events.c.at).where(where).order_by(deployment_events.c.id.desc()).limit(1)
    return tx.execute(query).scalar_one()


def say(tx: Tx, deployment: DeploymentId, reason: str) -> None:
    """Let a waiting deployment say what it waits for by now; GitHub hears of it with the next change."""
    tx.execute(deployments.update().where(deployments.c.id == deployment).values(reason=reason))
