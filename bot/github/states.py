"""Our states in GitHub's words; pure."""

from enum import StrEnum
from typing import assert_never

from bot.domain.deployment import Blame, State


class StatusState(StrEnum):
    """States of a commit status (docs.github.com/rest/commits/statuses)."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"


class DeploymentState(StrEnum):
    """States of a GitHub Deployment that we use (docs.github.com/rest/deployments/statuses)."""

    QUEUED = "queued"
    IN_PROGRESS = "in_progress"
    SUCCESS = "success"
    FAILURE = "failure"
    ERROR = "error"
    INACTIVE = "inactive"


def status_state(state: State, blame: Blame | None) -> StatusState:
    """The commit status of a deployment's state.

    Green says: this commit was built and put live, or was deliberately left out. A superseded commit is
    neither, so that no gate lets it through unbuilt; it is not pending either, so that nothing waits for
    it for ever. A deployment of it later makes it green.
    """
    match state:
        case State.HELD | State.QUEUED | State.RUNNING | State.CANCELLING:
            return StatusState.PENDING
        case State.SUCCEEDED | State.SKIPPED:
            return StatusState.SUCCESS
        case State.FAILED:
            return StatusState.FAILURE if blame is Blame.USER else StatusState.ERROR
        case State.CANCELLED | State.SUPERSEDED | State.REJECTED:
            return StatusState.ERROR
    assert_never(state)


def deployment_state(state: State, blame: Blame | None, *, live: bool) -> DeploymentState:
    """The GitHub Deployment's state. `live`: no later deployment took the environment over."""
    match state:
        case State.HELD | State.QUEUED:
            return DeploymentState.QUEUED
        case State.RUNNING | State.CANCELLING:
            return DeploymentState.IN_PROGRESS
        case State.SUCCEEDED:
            return DeploymentState.SUCCESS if live else DeploymentState.INACTIVE
        case State.FAILED:
            return DeploymentState.FAILURE if blame is Blame.USER else DeploymentState.ERROR
        case State.CANCELLED | State.REJECTED:
            return DeploymentState.ERROR
        case State.SUPERSEDED | State.SKIPPED:
            return DeploymentState.INACTIVE
    assert_never(state)
