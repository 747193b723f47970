"""Approving what waits for somebody's word, and turning it down."""

from typing import Annotated, Any

from pydantic import Field

from bot import approvals
from bot.api.deployment_views import DeploymentView, shown_again
from bot.api.deployments import TAG
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation
from bot.api.orders import Reason
from bot.api.patterns import COMMIT
from bot.approvals import Approval
from bot.domain.ids import reference
from bot.domain.roles import Verb


class Approve(Model):
    """What is approved."""

    commit: Annotated[str, Field(pattern=COMMIT, examples=["5c1f0a3"])] | None = None
    """The commit that was looked at, or how it begins: anything else is refused."""
    with_secrets: bool = Field(default=False, examples=[False])
    """Whether its build may have the environment's secrets, too."""


class Reject(Model):
    """Why it is turned down."""

    reason: Reason | None = None


def _approve(call: Call) -> DeploymentView:
    given, one = call.given(Approve), call.of_deployment.deployment
    approval = Approval(call.principal.name, given.commit, with_secrets=given.with_secrets)
    made = approvals.approve(call.services.lifecycle, call.writing, one, approval)
    told = {"commit": one.sha, "withSecrets": given.with_secrets}
    call.note(reference(one.id), {"status": one.state.value}, {"status": made.state.value, **told})
    return shown_again(call, made)


def _reject(call: Call) -> DeploymentView:
    one, by = call.of_deployment.deployment, call.principal.name
    made = approvals.reject(call.writing, one, by, call.given(Reject).reason or "")
    call.note(reference(one.id), {"status": one.state.value}, {"status": made.state.value, "commit": one.sha})
    return shown_again(call, made)


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.DEPLOYMENT, method="POST", verb=Verb.APPROVE, **more)


OPERATIONS = (
    _about(
        id="approveDeployment",
        path="/deployments/{deployment}/approve",
        summary="Approve a held deployment",
        handle=_approve,
        answer=DeploymentView,
        body=Approve,
        refusals={409: "It waits for no approval, is of another commit, or its pull request is closed."},
        description="Counts for its commit alone; a push makes another one, which waits again. A fork's "
        "deployment that ran without secrets can be approved with them: it is asked for once more then.",
    ),
    _about(
        id="rejectDeployment",
        path="/deployments/{deployment}/reject",
        summary="Turn a held deployment down",
        handle=_reject,
        answer=DeploymentView,
        body=Reject,
        refusals={409: "It waits for no approval."},
        description="Its status on GitHub says so. Another commit can be approved as ever.",
    ),
)
