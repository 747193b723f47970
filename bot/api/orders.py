"""Asking for deployments, stopping them, and asking again."""

from dataclasses import replace
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from pydantic.alias_generators import to_camel

from bot import by_hand
from bot.api.app_views import Branch, Line
from bot.api.apps import known_environment, refuse_archived
from bot.api.deployment_views import DeploymentView, note_made, shown_again
from bot.api.deployments import TAG
from bot.api.envelope import Model
from bot.api.lockers import locker
from bot.api.operation import About, Call, Operation
from bot.api.reading import is_word
from bot.api.refusals import Code, conflict, unfit
from bot.domain.deployment import UNKNOWN_COMMIT, Commit, Deployment, Trigger
from bot.domain.environment import PRODUCTION
from bot.domain.ids import Sha, is_sha, reference
from bot.domain.pull import PullNumber, preview_name
from bot.domain.release import Release
from bot.domain.roles import Verb
from bot.intake.events import is_branch
from bot.lifecycle import Order
from bot.store import environments, pulls, releases

Reason = Annotated[Line, Field(min_length=1, max_length=200, examples=["hotfix for the price"])]
ReleaseNumber = Annotated[int, Field(ge=1, le=999_999)]


def _commit(value: str) -> str:
    if not is_sha(value):
        raise ValueError("Give the full id of a commit: 40 lowercase hexadecimal digits.")
    return value


def _tag(value: str) -> str:
    if not is_branch(value):
        raise ValueError("This is not the name of a tag.")
    return value


class CreateDeployment(Model):
    """What to deploy where: at most one of branch, commit, tag, pull request, release and environment."""

    environment: Annotated[Line, Field(min_length=1, max_length=100, examples=["production"])] | None = None
    """By name or id. Default: production; of a pull request, its preview."""
    branch: Branch | None = None
    """Its head is deployed. Default: the environment's branch, else the production branch."""
    commit: Annotated[str, AfterValidator(_commit), Field(max_length=64)] | None = Field(
        default=None, examples=["5c1f0a3e9d7b2c4e6f8a0b1d3c5e7f9a1b3c5d7e"]
    )
    """Exactly this commit, instead of the branch's head. Beside a branch: which one it is said to be of."""
    tag: Annotated[str, AfterValidator(_tag), Field(max_length=250)] | None = Field(
        default=None, examples=[None]
    )
    """What the tag names when the work begins."""
    pull_request: Annotated[int, Field(ge=1, le=10**9, examples=[None])] | None = None
    """The head of a pull request that Slipway has heard of, in its preview."""
    release: Annotated[Line, Field(min_length=1, max_length=100)] | ReleaseNumber | None = Field(
        default=None, examples=[None]
    )
    """A release that exists, by name, number or commit: nothing is built."""
    from_environment: Annotated[Line, Field(min_length=1, max_length=100, examples=[None])] | None = None
    """What is live there, such as in `preview/pr-12`: nothing is built."""
    note: Reason | None = None
    """Why, for whoever looks at it later."""
    rebuild: bool = False
    """Build it also where the same content was built before: what it fetches may be another by now."""
    clean: bool = False
    """And use nothing that earlier builds left: dependencies are installed anew, and kept for later ones."""


def _create(call: Call) -> DeploymentView:
    given = call.given(CreateDeployment)
    refuse_archived(call.of_app)
    made = _made(call, given)
    note_made(call, made, given.model_dump(by_alias=True, exclude_defaults=True))
    return shown_again(call, made)


def _made(call: Call, given: CreateDeployment) -> Deployment:
    _refuse_several(given)
    if given.pull_request is not None:
        return _deploy_pull(call, given, PullNumber(given.pull_request))
    name = known_environment(call, given.environment or PRODUCTION)
    if given.release is not None or given.from_environment is not None:
        return bring(call, _release(call, given), name, given.note)
    return _ask(call, given, _order(call, given, name))


def _refuse_several(given: CreateDeployment) -> None:
    ways = ("tag", "pull_request", "release", "from_environment")
    several = [name for name in ways if getattr(given, name) is not None]
    several += ["branch"] if several and given.branch else []
    several += ["commit"] if several and given.commit else []
    if len(several) > 1:
        names = [to_camel(name) for name in several]
        raise unfit(names[1], f"Say one of {', '.join(names)}, not several.")
    unfit_here = next((name for name in ("rebuild", "clean") if getattr(given, name)), None)
    if unfit_here is not None and (given.release is not None or given.from_environment is not None):
        raise unfit(
            unfit_here, "What exists is brought without a build. Say a branch, commit or tag instead."
        )


def _release(call: Call, given: CreateDeployment) -> Release:
    app = call.of_app
    if given.release is not None:
        found = releases.by_word(call.tx, app.id, str(given.release))
        if found is None:
            raise unfit("release", f"{app.slug} keeps no release '{given.release}'.")
        return found
    word = given.from_environment or ""
    origin = environments.by_word(call.tx, app.id, word) if is_word(word) else None
    active = origin.active_release_id if origin is not None else None
    kept = releases.find(call.tx, active) if active is not None else None
    if kept is None:
        raise unfit("fromEnvironment", f"Nothing is live in '{given.from_environment}'.")
    return kept


def bring(call: Call, release: Release, name: str, note: str | None) -> Deployment:
    """Make a release live in the environment of that name: onwards, or back where a newer one is live."""
    lifecycle = call.services.lifecycle
    environment = lifecycle.environment(call.writing, call.of_app, name)
    return by_hand.show(lifecycle, call.writing, environment, release, by=locker(call), note=note)


def _order(call: Call, given: CreateDeployment, name: str) -> Order:
    app, by = call.of_app, call.principal.name
    environment = environments.by_name(call.tx, app.id, name)
    branch = given.branch
    if branch is None and given.commit is None and given.tag is None:
        branch = (environment.branch if environment else None) or app.production_branch
    return Order(
        app=app,
        environment=name,
        branch=branch,
        commit=Commit(Sha(given.commit) if given.commit else UNKNOWN_COMMIT),
        trigger=Trigger.MANUAL,
        reason=f"asked for by {by}",
        requested_by=by,
        tag=given.tag,
    )


def _deploy_pull(call: Call, given: CreateDeployment, number: PullNumber) -> Deployment:
    app = call.of_app
    pull = pulls.of_app(call.tx, app, number)
    if pull is None:
        raise unfit("pullRequest", f"Slipway has not heard of #{number} of {app.repository}.")
    name = preview_name(number)
    if given.environment not in (None, name, f"pr-{number}"):
        raise unfit("environment", f"#{number} is deployed to {name}. Promote its release from there.")
    order = Order(
        app=app,
        environment=name,
        branch=pull.head_branch,
        commit=Commit(pull.head_sha, pull.title, pull.author),
        trigger=Trigger.MANUAL,
        reason=f"asked for by {call.principal.name}",
        requested_by=call.principal.name,
        pull=number,
    )
    return _ask(call, given, order)


def _ask(call: Call, given: CreateDeployment, order: Order) -> Deployment:
    reason = f"{given.note} ({order.reason})" if given.note else order.reason
    builds = {"rebuild": given.rebuild or given.clean, "clean": given.clean}
    wanted = replace(order, reason=reason, note=given.note, **builds)
    return by_hand.deploy(call.services.lifecycle, call.writing, wanted)


def _cancel(call: Call) -> DeploymentView:
    one = call.of_deployment.deployment
    if one.state.is_final:
        raise conflict(Code.ALREADY_ENDED, f"{reference(one.id)} has ended already: {one.state}.")
    after = call.services.lifecycle.cancel(call.writing, one, call.principal.name)
    call.note(reference(one.id), {"status": one.state}, {"status": after.state})
    return shown_again(call, one)


def _retry(call: Call) -> DeploymentView:
    refuse_archived(call.of_app)
    one = call.of_deployment.deployment
    made = by_hand.retry(call.services.lifecycle, call.writing, one, call.principal.name)
    note_made(call, made, {"again": reference(one.id)})
    return shown_again(call, made)


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.DEPLOYMENT, **more)


OPERATIONS = (
    Operation(
        id="createDeployment",
        method="POST",
        path="/apps/{app}/deployments",
        summary="Deploy",
        tag=TAG,
        about=About.APP,
        verb=Verb.DEPLOY,
        handle=_create,
        answer=DeploymentView,
        body=CreateDeployment,
        status=201,
        refusals={
            409: "The app is archived, or the release is live there already.",
            422: "There is no such environment, release or pull request.",
        },
        description="Asks for a deployment and answers at once; follow `/stream` or `/logs` to see it "
        "happen. It takes the place of what waits in the environment, also while that is pinned. A release, "
        "or what is live in another environment, is brought there without a build.",
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
