"""A wish to bring a commit into an environment, and what answers it."""

from dataclasses import dataclass, replace

from bot.domain.app import App
from bot.domain.checks import waiting_for
from bot.domain.deployment import Commit, Deployment, Hold, Kind, State, Trigger
from bot.domain.environment import Environment
from bot.domain.ids import DeliveryId
from bot.domain.pull import PullNumber
from bot.intake.recipe_file import Checks
from bot.store.deployments import NewDeployment

RESUMED = "the environment was resumed"


@dataclass(frozen=True)
class Order:
    """A wish to bring a commit into an environment; of `pull` when that is a preview.

    With `hold` it waits for that, and nothing is done before.
    """

    app: App
    environment: str
    branch: str | None
    commit: Commit
    trigger: Trigger
    reason: str
    requested_by: str
    delivery_id: DeliveryId | None = None
    pull: PullNumber | None = None
    hold: Hold | None = None


@dataclass(frozen=True)
class Requested:
    """The deployment that answers an order; not new when one for the same commit is there already."""

    deployment: Deployment
    is_new: bool


def until_checked(order: Order, wanted: Checks | None) -> Order:
    """The same wish, to be done once the checks have passed that are wanted."""
    if wanted is None or order.hold is not None:
        return order
    return replace(order, hold=Hold.CHECKS, reason=waiting_for(wanted.require))


def new_deployment(
    order: Order, environment: Environment, state: State, reason: str, *, hold: Hold | None = None
) -> NewDeployment:
    """What is stored for an order."""
    return NewDeployment(
        app_id=order.app.id,
        environment_id=environment.id,
        kind=Kind.BUILD,
        trigger=order.trigger,
        state=state,
        commit=order.commit,
        branch=order.branch,
        reason=reason,
        requested_by=order.requested_by,
        delivery_id=order.delivery_id,
        pull=order.pull,
        hold=hold,
    )


def says_otherwise(newest: Deployment, sentence: str) -> bool:
    """Whether a deployment was skipped for another reason than this one."""
    return newest.state is State.SKIPPED and newest.reason != sentence


def again(head: Deployment, app: App, environment: Environment, by: str) -> Order:
    """The wish to bring a branch's head back into an environment that is resumed."""
    commit = Commit(head.sha, head.message, head.author)
    return Order(
        app=app,
        environment=environment.name,
        branch=head.branch,
        commit=commit,
        trigger=Trigger.RECONCILE,
        reason=RESUMED,
        requested_by=by,
        pull=environment.pull,
        # What nobody allowed yet is not allowed by this.
        hold=head.hold if head.hold is not Hold.PINNED else None,
    )


def answers(newest: Deployment, order: Order) -> bool:
    """Whether the newest deployment of an environment is what an automatic order asks for."""
    unwanted = (State.FAILED, State.CANCELLED, State.REJECTED, State.CANCELLING, State.SUPERSEDED)
    if newest.sha != order.commit.sha or newest.state in unwanted:
        return False
    # What a pull request's label, title or base kept back before may be wanted now.
    if newest.hold is Hold.CHECKS and order.hold in (None, Hold.CHECKS):
        # Nothing has to pass any more, or it has passed.
        return order.hold is Hold.CHECKS
    kept_back = newest.state is State.SKIPPED or newest.hold in (Hold.APPROVAL, Hold.CHECKS)
    return order.pull is None or order.hold is Hold.APPROVAL or not kept_back
