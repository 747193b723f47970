"""What is told to webhooks and channels: the facts of what happened, put down in the same transaction.

Each function is told the transaction and the moment, and returns the newest message's number, or 0 where
nobody wants to know; then it costs one query.
"""

from datetime import datetime
from typing import Any

from bot.domain.audit import Act
from bot.domain.deployment import UNKNOWN_COMMIT, Deployment, Kind, State
from bot.domain.environment import Environment
from bot.domain.ids import AppId, reference
from bot.domain.outgoing import OF_STATE, Event, event_of
from bot.store import deployments, environments, outbox, people, receivers, releases
from bot.store.engine import Tx

_TEXT = 300
"""Characters that are told of a text of others."""


def of_deployment(tx: Tx, deployment: Deployment, now: datetime) -> int:
    """A deployment reached a state."""
    event = OF_STATE.get(deployment.state)
    wanted = receivers.listening_to_app(tx, deployment.app_id) if event else []
    if event is None or not wanted:
        return 0
    facts = _facts(tx, deployment)
    newest = outbox.put(tx, wanted, event, facts, now=now)
    if deployment.state is State.SUCCEEDED:
        for more in _successes(tx, deployment):
            newest = outbox.put(tx, wanted, more, facts, now=now) or newest
    return newest


def of_preview(tx: Tx, environment: Environment, event: Event, now: datetime) -> int:
    """A preview came or went."""
    wanted = receivers.listening_to_app(tx, environment.app_id)
    if not wanted:
        return 0
    facts = {**_place(tx, environment.app_id, environment), "reason": environment.archive_reason}
    return outbox.put(tx, wanted, event, facts, now=now)


def of_act(tx: Tx, act: Act, now: datetime) -> int:
    """Somebody changed something, as the audit log has it."""
    event = event_of(act.action)
    if event is None or act.tenant_id is None:
        return 0
    app = act.app_id
    if app is not None:
        wanted = receivers.listening_to_app(tx, app)
    else:
        wanted = receivers.listening_to_tenant(tx, act.tenant_id)
    if not wanted:
        return 0
    scope = _scope(tx, app) if app is not None else {}
    facts = {"organisation": people.tenant_by_id(tx, act.tenant_id).slug, **scope}
    facts |= {"action": act.action, "actor": act.actor, "subject": act.subject}
    facts |= {"before": dict(act.before), "after": dict(act.after)}
    return outbox.put(tx, wanted, event, facts, now=now)


def _successes(tx: Tx, deployment: Deployment) -> list[Event]:
    found = [Event.RELEASE_ACTIVATED] if deployment.release_id is not None else []
    if deployment.kind is Kind.ROLLBACK and environments.get(tx, deployment.environment_id).pinned:
        found.append(Event.RELEASE_ROLLED_BACK)
    if deployments.ended_before(tx, deployment) is State.FAILED:
        found.append(Event.DEPLOYMENT_RECOVERED)
    return found


def _facts(tx: Tx, deployment: Deployment) -> dict[str, Any]:
    environment = environments.get(tx, deployment.environment_id)
    release = releases.get(tx, deployment.release_id) if deployment.release_id is not None else None
    failure = deployment.failure
    return {
        **_place(tx, deployment.app_id, environment),
        "deployment": reference(deployment.id),
        "status": deployment.state,
        "kind": deployment.kind,
        "trigger": deployment.trigger,
        "reason": deployment.reason[:_TEXT],
        "failure": {"code": failure.code, "blame": failure.blame} if failure else None,
        # Not known before the head of the branch was looked up.
        "commit": None if deployment.sha == UNKNOWN_COMMIT else deployment.sha,
        "branch": deployment.branch,
        "message": deployment.message.partition("\n")[0][:_TEXT],
        "author": deployment.author[:_TEXT],
        "requestedBy": deployment.requested_by[:_TEXT],
        "note": deployment.note,
        "release": release.name if release else None,
        "releaseNumber": release.number if release else None,
    }


def _place(tx: Tx, app: AppId, environment: Environment) -> dict[str, Any]:
    own = {"environment": environment.name, "environmentKind": environment.kind}
    return {**_scope(tx, app), **own, "hostname": environment.hostname, "pullRequest": environment.pull}


def _scope(tx: Tx, app: AppId) -> dict[str, Any]:
    tenant, project, slug = receivers.names_of(tx, app)
    return {"organisation": tenant, "project": project, "app": slug, "appId": app}
