"""Whose code gets to see what."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from bot.domain.deployment import Deployment, Kind, State, Trigger
from bot.domain.ids import AppId, DeploymentId, EnvironmentId, Sha
from bot.domain.pull import UNDATED, PullNumber, PullRequest, PullState
from bot.domain.trust import Trust, trust_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
OWN = Deployment(
    DeploymentId(1), AppId(1), EnvironmentId(1), Kind.BUILD, Trigger.PULL, State.QUEUED, None,
    Sha("c" * 40), "main", "", "", "", "", None, None, None, None, 1, 0, 1, 0, False, NOW, None, None,
)  # fmt: skip
FORK = replace(OWN, from_fork=True)
PULL = PullRequest(
    7, PullNumber(1), PullState.OPEN, False, False, "", "mona", False, (), Sha("c" * 40), "topic", 8,
    "mona/shop", "main", None, UNDATED,
)  # fmt: skip


@pytest.mark.parametrize(
    ("deployment", "pull", "trust"),
    [
        (OWN, None, Trust.FULL),
        (OWN, replace(PULL, head_repository_id=7), Trust.FULL),
        (FORK, None, Trust.STRANGER),
        (OWN, PULL, Trust.STRANGER),
        # A fork that is gone is a fork.
        (OWN, replace(PULL, head_repository_id=None), Trust.STRANGER),
        # What is known of the pull request by now never raises the trust.
        (FORK, replace(PULL, head_repository_id=7), Trust.STRANGER),
        (replace(FORK, approved_by="lisa"), PULL, Trust.STRANGER),
        # The flag alone, as a mistake might leave it, is no approval.
        (replace(FORK, with_secrets=True), PULL, Trust.STRANGER),
        (replace(FORK, approved_by="lisa", with_secrets=True), PULL, Trust.FULL),
    ],
)
def test_only_an_approval_with_secrets_raises_the_trust_in_a_fork(
    deployment: Deployment, pull: PullRequest | None, trust: Trust
):
    assert trust_of(deployment, pull) is trust
