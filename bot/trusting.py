"""How far code is trusted, by all that the store knows by now: a deployment's, and whatever a place shows.

The rule itself is `bot.domain.trust`; builds, approvals, and what people are shown of them all ask here.
"""

from bot.domain.app import App
from bot.domain.deployment import Deployment
from bot.domain.environment import Environment
from bot.domain.pull import PullNumber, PullRequest
from bot.domain.trust import Trust, trust_of
from bot.orders import is_of_fork
from bot.store import apps, deployments, environments, pulls
from bot.store.engine import Tx


def of_deployment(tx: Tx, deployment: Deployment) -> Trust:
    """How far the code of a deployment is trusted."""
    return trust_of(deployment, pull_of(tx, deployment))


def of_place(tx: Tx, app: App, environment: Environment) -> Trust:
    """How far the code is trusted that is brought to an environment: as the commit that came there last.

    Where none came yet, that of a fork is a stranger's.
    """
    newest = deployments.newest_of_branch(tx, environment.id)
    if newest is not None:
        return trust_of(newest, _pull(tx, app, environment.pull))
    return Trust.STRANGER if is_of_fork(tx, app, environment.pull) else Trust.FULL


def pull_of(tx: Tx, deployment: Deployment) -> PullRequest | None:
    """What is known by now of the pull request that a deployment, or its environment, is of."""
    number = deployment.pull or environments.get(tx, deployment.environment_id).pull
    return _pull(tx, apps.get(tx, deployment.app_id), number)


def _pull(tx: Tx, app: App, number: PullNumber | None) -> PullRequest | None:
    return pulls.of_app(tx, app, number) if number is not None else None
