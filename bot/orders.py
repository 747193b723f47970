"""A wish to bring a commit into an environment, and what answers it."""

from dataclasses import dataclass

from bot.domain.app import App
from bot.domain.deployment import Commit, Deployment, Hold, Kind, State, Trigger
from bot.domain.environment import Environment
from bot.domain.ids import DeliveryId
from bot.domain.pull import PullNumber
from bot.store.deployments import NewDeployment


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
