"""Whom the code of a deployment comes from, and so what it may see and use. Pure."""

from enum import StrEnum

from bot.domain.deployment import Deployment
from bot.domain.pull import PullRequest


class Trust(StrEnum):
    """What a build may see and use.

    A stranger's sees no variables, no secrets and no network beyond package registries, shares no cache
    with any other, and what it makes is used nowhere but in its own pull request's preview.
    """

    FULL = "full"
    STRANGER = "stranger"


def trust_of(deployment: Deployment, pull: PullRequest | None = None) -> Trust:
    """How far the code of a deployment is trusted.

    `from_fork` was found out when the deployment was asked for; what is known of its pull request by now
    can only lower the trust. A commit of a fork has full trust when somebody approved that very commit
    with secrets: the approval belongs to the deployment, and a deployment to one commit.
    """
    from_fork = deployment.from_fork or (pull is not None and pull.is_fork)
    approved = deployment.approved_by is not None and deployment.with_secrets
    return Trust.STRANGER if from_fork and not approved else Trust.FULL
