"""Asking for deployments, stopping them, and asking again."""

from typing import Annotated, Any

from pydantic import AfterValidator, Field

from bot import by_hand
from bot.api.app_views import Branch, Line
from bot.api.apps import known_environment, refuse_archived
from bot.api.deployment_views import DeploymentView, shown_again
from bot.api.deployments import TAG
from bot.api.envelope import Model
from bot.api.operation import About, Call, Operation
from bot.api.refusals import Code, conflict
from bot.domain.deployment import UNKNOWN_COMMIT, Commit, Trigger
from bot.domain.environment import PRODUCTION
from bot.domain.ids import Sha, is_sha, reference
from bot.domain.roles import Verb
from bot.lifecycle import Order
from bot.store import environments

Reason = Annotated[Line, Field(min_length=1, max_length=200, examples=["hotfix for the price"])]


def _commit(value: str) -> str:
    if not is_sha(value):
        raise ValueError("Give the full id of a commit: 40 lowercase hexadecimal digits.")
    return value


class CreateDeployment(Model):
    """What to deploy where."""

    environment: Annotated[Line, Field(min_length=1, max_length=100, examples=["production"])] = PRODUCTION
    branch: Branch | None = None
    """Its head is deployed. Default: the environment's branch, else the production branch."""
    commit: Annotated[str, AfterValidator(_commit), Field(max_length=64)] | None = Field(
        default=None, examples=["5c1f0a3e9d7b2c4e6f8a0b1d3c5e7f9a1b3c5d7e"]
    )
    """Exactly this commit, instead of the branch's head."""
    note: Reason | None = None
    """Why, for whoever looks at it later."""


def _create(call: Call) -> DeploymentView:
    app, given, by = call.of_app, call.given(CreateDeployment), call.principal.name
    refuse_archived(app)
    known_environment(call, given.environment)
    environment = environments.by_name(call.tx, app.id, given.environment)
    branch = given.branch
    if branch is None and given.commit is None:
        branch = (environment.branch if environment else None) or app.production_branch
    order = Order(
        app=app,
        environment=given.environment,
        branch=branch,
        commit=Commit(Sha(given.commit) if given.commit else UNKNOWN_COMMIT),
        trigger=Trigger.MANUAL,
        reason=f"{given.note} (asked for by {by})" if given.note else f"asked for by {by}",
        requested_by=by,
    )
    return shown_again(call, by_hand.deploy(call.services.lifecycle, call.writing, order))


def _cancel(call: Call) -> DeploymentView:
    one = call.of_deployment.deployment
    if one.state.is_final:
        raise conflict(Code.ALREADY_ENDED, f"{reference(one.id)} has ended already: {one.state}.")
    call.services.lifecycle.cancel(call.writing, one, call.principal.name)
    return shown_again(call, one)


def _retry(call: Call) -> DeploymentView:
    refuse_archived(call.of_app)
    one = call.of_deployment.deployment
    made = by_hand.retry(call.services.lifecycle, call.writing, one, call.principal.name)
    return shown_again(call, made)


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.DEPLOYMENT, **more)


OPERATIONS = (
    Operation(
        id="createDeployment",
        method="POST",
        path="/apps/{app}/deployments",
        summary="Deploy a branch or a commit",
        tag=TAG,
        about=About.APP,
        verb=Verb.DEPLOY,
        handle=_create,
        answer=DeploymentView,
        body=CreateDeployment,
        status=201,
        refusals={409: "The app is archived.", 422: "There is no such environment."},
        description="Asks for a deployment and answers at once; follow `/stream` or `/logs` to see it "
        "happen. It takes the place of what waits in the environment, also while that is pinned.",
    ),
    _about(
        id="cancelDeployment",
        method="POST",
        path="/deployments/{deployment}/cancel",
        summary="Cancel a deployment",
        verb=Verb.DEPLOY,
        handle=_cancel,
        answer=DeploymentView,
        refusals={409: "It has ended already."},
        description="At once while it waits; else its build is stopped; `cancelling` until then.",
    ),
    _about(
        id="retryDeployment",
        method="POST",
        path="/deployments/{deployment}/retry",
        summary="Deploy the same again",
        verb=Verb.DEPLOY,
        handle=_retry,
        answer=DeploymentView,
        status=201,
        refusals={409: "It has not ended, its release is gone, or its app is archived."},
        description="A new deployment of the same commit, or of the same release, in the same environment.",
    ),
)
