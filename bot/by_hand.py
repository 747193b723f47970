"""What people ask for by hand: the same whether they write a comment or use the API."""

from dataclasses import replace

from bot.approvals import approved_order, order_again
from bot.change import Change
from bot.domain.deployment import Deployment, Kind
from bot.domain.environment import Environment
from bot.domain.ids import reference
from bot.domain.release import Release
from bot.errors import ErrorCode, UserError
from bot.lifecycle import Lifecycle
from bot.locks import Locker
from bot.orders import Order
from bot.promotion import promote
from bot.store import apps, environments, releases


def deploy(lifecycle: Lifecycle, change: Change, order: Order) -> Deployment:
    """Ask for a commit in an environment. Raises `UserError` NOT_APPROVED or PULL_CLOSED."""
    environment = environments.by_name(change.tx, order.app.id, order.environment)
    if environment is not None and environment.pull is not None:
        branch = order.branch or environment.branch
        order = replace(order, pull=environment.pull, branch=branch)
    return lifecycle.request(change, approved_order(change.tx, order, environment)).deployment


def retry(lifecycle: Lifecycle, change: Change, one: Deployment, by: str) -> Deployment:
    """Ask for the same again: the same commit, or the same release, in the same environment.

    Raises `UserError` STILL_BUSY, RELEASE_GONE, NOT_APPROVED or PULL_CLOSED.
    """
    if not one.state.is_final:
        raise UserError(ErrorCode.STILL_BUSY, reference=reference(one.id), state=one.state.value)
    if one.kind is Kind.ROLLBACK:
        kept = releases.find(change.tx, one.release_id) if one.release_id is not None else None
        if kept is None or releases.by_word(change.tx, one.app_id, kept.name) is None:
            raise UserError(ErrorCode.RELEASE_GONE, reference=reference(one.id))
        return promote(change, environments.get(change.tx, one.environment_id), kept, by=by)
    reason = f"{reference(one.id)} again, asked for by {by}"
    return deploy(lifecycle, change, order_again(change.tx, one, by=by, reason=reason))


def show(
    lifecycle: Lifecycle,
    change: Change,
    environment: Environment,
    release: Release,
    *,
    by: Locker,
    note: str | None = None,
) -> Deployment:
    """Make a release live in an environment: an older one than the live one is a rollback.

    Raises `UserError` RELEASE_LIVE or ENVIRONMENT_LOCKED.
    """
    active = environment.active_release_id
    if active == release.id and environment.archived_at is None:
        raise UserError(ErrorCode.RELEASE_LIVE, release=release.name, environment=environment.name)
    if active is None or releases.get(change.tx, active).number < release.number:
        return promote(change, environment, release, by=by.name, note=note)
    return lifecycle.rollback(
        change,
        apps.get(change.tx, environment.app_id),
        environment.name,
        word=release.name,
        by=by.name,
        note=note,
        heeds_lock=not by.may_open(environment),
    )
