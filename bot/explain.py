"""What became of a webhook delivery, in sentences, for people who ask why."""

from typing import Any

from bot.domain.deployment import Deployment
from bot.domain.ids import DeploymentId, TenantId, reference
from bot.store import apps, deliveries, deployments, environments
from bot.store.deliveries import DECIDED, FAILED, GITHUB, Delivery, StoredDecision
from bot.store.engine import Tx

_FOUND = {
    "poll": "Slipway asked the repository what is new.",
    "reconcile": "Slipway saw it in the repository, and no webhook had told of it.",
    "setup": "The app was made then, and this is what the branch had.",
}


def explain(tx: Tx, guid: str, tenant: TenantId | None = None) -> list[str]:
    """How a delivery was received and verified, what was decided and why, and what came of it.

    Empty when no delivery has that GUID. A GUID that came through several webhooks is told of once
    per webhook. With a tenant, nothing is told of other tenants' apps.
    """
    return [line for delivery in deliveries.by_guid(tx, guid) for line in _delivery(tx, delivery, tenant)]


def explain_one(tx: Tx, delivery: Delivery) -> list[str]:
    """The same about one delivery."""
    return _delivery(tx, delivery, None)


def _delivery(tx: Tx, delivery: Delivery, tenant: TenantId | None) -> list[str]:
    at = f"{delivery.received_at:%Y-%m-%d %H:%M:%S} UTC"
    origin = f"from {delivery.source} at {at}, through webhook {delivery.hook_id}"
    body = f"{len(delivery.body)} bytes" if delivery.body else "whose body is not kept any more"
    received = f"Received: a '{delivery.event}' event {origin}, {body}."
    if delivery.source != GITHUB:
        received = f"Found: a '{delivery.event}' event at {at}. {_FOUND.get(delivery.source, '')}".rstrip()
    lines = [received, _verified(tx, delivery)] if delivery.source == GITHUB else [received]
    if delivery.state == FAILED:
        tries = f"after {delivery.attempts} attempts"
        return [*lines, f"Not decided: given up {tries}. The last error was: {delivery.note}."]
    if delivery.state != DECIDED:
        return [*lines, _waiting(delivery)]
    for decision in deliveries.decisions_of(tx, delivery.id):
        if tenant is None or _is_of(tx, decision, tenant):
            lines += _decision(tx, decision)
    return lines


def _verified(tx: Tx, delivery: Delivery) -> str:
    if delivery.verified_app_id is None:
        return "Verified: signed with the webhook secret of this instance."
    slug = apps.get(tx, delivery.verified_app_id).slug
    return f"Verified: signed with the webhook secret of {slug}, so it speaks for that app alone."


def _waiting(delivery: Delivery) -> str:
    if delivery.retry_at is None:
        return "Not decided yet: it waits for a worker."
    when = f"{delivery.retry_at:%Y-%m-%d %H:%M:%S} UTC"
    count = "once" if delivery.attempts == 1 else f"{delivery.attempts} times"
    return f"Not decided yet: tried {count}, next at {when}. The last error was: {delivery.note}."


def _is_of(tx: Tx, decision: StoredDecision, tenant: TenantId) -> bool:
    return decision.app_id is not None and apps.get(tx, decision.app_id).tenant_id == tenant


def _decision(tx: Tx, decision: StoredDecision) -> list[str]:
    whose = f" for {apps.get(tx, decision.app_id).slug}" if decision.app_id is not None else ""
    lines = [f"Decided{whose}: {decision.kind}. {decision.sentence} (rule: {decision.code})"]
    lines += [f"Note: {note}" for note in _list(decision.facts, "notes")]
    for number in _list(decision.facts, "deployments"):
        deployment = deployments.find(tx, DeploymentId(number))
        if deployment is not None:
            lines.append(_deployment(tx, deployment))
    return lines


def _deployment(tx: Tx, deployment: Deployment) -> str:
    environment = environments.get(tx, deployment.environment_id).name
    what = f"{deployment.sha[:7]} to {environment}"
    return f"{reference(deployment.id)}: {what}, {deployment.state}, {deployment.reason.rstrip('.')}."


def _list(facts: dict[str, Any], name: str) -> list[Any]:
    return facts.get(name) or []
