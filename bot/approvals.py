"""Letting a commit be built that waits for somebody's word. The word counts for that commit alone."""

from dataclasses import dataclass, replace

from bot import trusting
from bot.change import Change
from bot.domain.app import App
from bot.domain.deployment import Commit, Deployment, Hold, State, Trigger
from bot.domain.environment import Environment
from bot.domain.ids import reference
from bot.domain.trust import Trust
from bot.errors import ErrorCode, UserError
from bot.intake.recipe import policy_from_json
from bot.intake.recipe_file import Policy, Previews
from bot.lifecycle import Lifecycle
from bot.orders import Order, is_of_fork
from bot.store import apps, deployments, environments, forks
from bot.store.engine import Tx


@dataclass(frozen=True)
class Approval:
    """Who approves. `sha`, or how it begins, is the commit that they have looked at, if they say so."""

    by: str
    sha: str | None = None
    with_secrets: bool = False


def approve(lifecycle: Lifecycle, change: Change, deployment: Deployment, approval: Approval) -> Deployment:
    """Let a deployment go on that waits for approval; a stranger's that ran is asked for again with secrets.

    Raises `UserError` COMMIT_DIFFERS, COMMIT_AMBIGUOUS, NOT_HELD when nothing is left to approve, or
    PULL_CLOSED.
    """
    if approval.sha is not None:
        _refuse_other(change.tx, deployment, approval.sha)
    reason = f"approved by {approval.by}" + (" with secrets" if approval.with_secrets else "")
    if is_held(deployment):
        approved = {"approved_by": approval.by, "with_secrets": approval.with_secrets}
        return lifecycle.let_go(change, deployment, reason, **approved)
    if not approval.with_secrets or not _ran_as_strangers(change.tx, deployment):
        raise _not_held(deployment)
    order = order_again(change.tx, deployment, by=approval.by, reason=reason)
    approved_order = replace(order, approved_by=approval.by, with_secrets=approval.with_secrets)
    return lifecycle.request(change, approved_order).deployment


def reject(change: Change, deployment: Deployment, by: str, reason: str = "") -> Deployment:
    """Turn down a deployment that waits for approval. Raises `UserError` NOT_HELD."""
    if not is_held(deployment):
        raise _not_held(deployment)
    said = f"rejected by {by}" + (f": {reason}" if reason else "")
    return change.move(deployment, State.REJECTED, said, hold=None)


def is_held(deployment: Deployment) -> bool:
    """Whether a deployment waits for approval."""
    return deployment.state is State.HELD and deployment.hold is Hold.APPROVAL


def approved_order(tx: Tx, order: Order, environment: Environment | None) -> Order:
    """An order of a person's, with what was approved for its commit in that preview before.

    Raises `UserError` NOT_APPROVED when the commit waits for approval, was turned down, or is a fork's
    of which nothing was ever run, unless the policy lets those be built without.
    """
    if environment is None:
        # Whoever may deploy has not said by that that a stranger's code may run.
        is_kept_back = is_of_fork(tx, order.app, order.pull) and _forks(tx, order.app) != "sandboxed"
        return replace(order, hold=Hold.APPROVAL) if is_kept_back else order
    if environment.pull is None:
        return order
    number = deployments.newest_of_commit(tx, environment.id, order.commit.sha)
    before = deployments.find(tx, number) if number is not None else None
    if before is not None and before.approved_by is not None:
        return replace(order, approved_by=before.approved_by, with_secrets=before.with_secrets)
    if before is not None and before.started_at is not None:
        return order
    refused = before is not None and (is_held(before) or before.state is State.REJECTED)
    if refused or (is_of_fork(tx, order.app, environment.pull) and _forks(tx, order.app) != "sandboxed"):
        raise UserError(ErrorCode.NOT_APPROVED, sha=order.commit.sha[:7])
    return order


def hold_of_newer(deployment: Deployment, previews: Previews) -> Hold | None:
    """What a newer commit waits for that takes a deployment's place: the approval was not for that one."""
    if deployment.from_fork:
        return Hold.APPROVAL if previews.forks != "sandboxed" else None
    return Hold.APPROVAL if deployment.approved_by is not None else None


def order_again(tx: Tx, deployment: Deployment, *, by: str, reason: str) -> Order:
    """A person's wish to bring a deployment's commit to its environment once more."""
    environment = environments.get(tx, deployment.environment_id)
    return Order(
        app=apps.get(tx, deployment.app_id),
        environment=environment.name,
        branch=deployment.branch,
        commit=Commit(deployment.sha, deployment.message, deployment.author),
        trigger=Trigger.MANUAL,
        reason=reason,
        requested_by=by,
        pull=environment.pull,
        tag=deployment.tag,
        rebuild=deployment.rebuild,
        clean=deployment.clean,
    )


def _refuse_other(tx: Tx, deployment: Deployment, given: str) -> None:
    """Raise `UserError` unless the commit that somebody looked at is a deployment's, and no other's.

    A commit whose id begins as another's does is made within minutes: seven letters may have meant the one
    that was there before.
    """
    if not deployment.sha.startswith(given):
        raise UserError(ErrorCode.COMMIT_DIFFERS, given=given, sha=deployment.sha[:7])
    if len(forks.commits_like(tx, deployment.environment_id, given)) > 1:
        raise UserError(ErrorCode.COMMIT_AMBIGUOUS, given=given, sha=deployment.sha)


def _ran_as_strangers(tx: Tx, deployment: Deployment) -> bool:
    ran = deployment.started_at is not None or deployment.state is State.QUEUED
    return ran and trusting.of_deployment(tx, deployment) is Trust.STRANGER


def _forks(tx: Tx, app: App) -> str:
    return (policy_from_json(apps.policy(tx, app.id)) or Policy()).previews.forks


def _not_held(deployment: Deployment) -> UserError:
    facts = {"reference": reference(deployment.id), "state": deployment.state.value}
    return UserError(ErrorCode.NOT_HELD, **facts)
