"""A wish to bring a commit into an environment, and what answers it."""

from dataclasses import dataclass, replace

from bot.domain.app import App
from bot.domain.checks import waiting_for
from bot.domain.deployment import Commit, Deployment, Hold, Kind, State, Trigger
from bot.domain.environment import PRODUCTION, Environment
from bot.domain.ids import DeliveryId
from bot.domain.pull import PullNumber
from bot.domain.release import Release, previous
from bot.domain.trust import Trust
from bot.errors import ErrorCode, UserError
from bot.intake.recipe_file import Checks
from bot.store import deployments, pulls, releases
from bot.store.deployments import NewDeployment
from bot.store.engine import Tx

RESUMED = "the environment was resumed"


@dataclass(frozen=True)
class Order:
    """A wish to bring a commit into an environment; of `pull` when that is a preview.

    With `hold` it waits for that, and nothing is done before. With `rebuild` it is built, also where a
    release of the same content is kept, with `clean` without what earlier builds left.
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
    tag: str | None = None
    approved_by: str | None = None
    with_secrets: bool = False
    note: str | None = None
    rebuild: bool = False
    clean: bool = False


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
        tag=order.tag,
        approved_by=order.approved_by,
        with_secrets=order.with_secrets,
        note=order.note,
        rebuild=order.rebuild,
        clean=order.clean,
    )


def is_of_fork(tx: Tx, app: App, number: PullNumber | None) -> bool:
    """Whether a pull request, if it is one, is not known to come from the app's own repository."""
    if number is None:
        return False
    pull = pulls.of_app(tx, app, number)
    return pull is None or pull.is_fork


def refuse_strange(tx: Tx, environment: Environment, release: Release) -> None:
    """Keep what a stranger's code built where it was built for.

    Raises `UserError` RELEASE_OF_STRANGER when it is asked for elsewhere.
    """
    if release.trust is Trust.FULL:
        return
    if deployments.get(tx, release.deployment_id).environment_id != environment.id:
        raise UserError(
            ErrorCode.RELEASE_OF_STRANGER, release=release.name, environment=environment.name, sha=release.sha
        )


def commit_of(tx: Tx, release: Release) -> Commit:
    """The commit that a release was built from, as the deployment knew it that built it."""
    built = deployments.find(tx, release.deployment_id)
    return Commit(release.sha, built.message, built.author) if built else Commit(release.sha)


def new_rollback(
    environment: Environment, release: Release, commit: Commit, *, reason: str, by: str, note: str | None
) -> NewDeployment:
    """What is stored for bringing a release back."""
    return NewDeployment(
        app_id=environment.app_id,
        environment_id=environment.id,
        kind=Kind.ROLLBACK,
        trigger=Trigger.MANUAL,
        state=State.QUEUED,
        commit=commit,
        branch=environment.branch,
        reason=reason,
        requested_by=by,
        release_id=release.id,
        note=note,
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
        hold=head.hold if head.hold in (Hold.APPROVAL, Hold.CHECKS) else None,
        approved_by=head.approved_by,
        with_secrets=head.with_secrets,
    )


def answers(newest: Deployment, order: Order) -> bool:
    """Whether the newest deployment of an environment is what an automatic order asks for."""
    if newest.state is State.REJECTED and newest.sha == order.commit.sha and order.hold is Hold.APPROVAL:
        return True
    unwanted = (State.FAILED, State.CANCELLED, State.REJECTED, State.CANCELLING, State.SUPERSEDED)
    if newest.sha != order.commit.sha or newest.state in unwanted:
        return False
    # What a pull request's label, title or base kept back before may be wanted now.
    if newest.hold is Hold.CHECKS and order.hold in (None, Hold.CHECKS):
        # Nothing has to pass any more, or it has passed.
        return order.hold is Hold.CHECKS
    kept_back = newest.state is State.SKIPPED or newest.hold in (Hold.APPROVAL, Hold.CHECKS)
    return order.pull is None or order.hold is Hold.APPROVAL or not kept_back


def said_of_manual(app: App, environment: Environment) -> str:
    """Why a push is not deployed where deploys are started by hand, and how to start one."""
    where = f"POST /api/v1/apps/{app.slug}/deployments"
    place = "" if environment.name == PRODUCTION else f" with environment {environment.name}"
    return f"Skipped: {environment.name} is deployed by hand. Start it by {where}{place}."


def approved_before(order: Order, newest: Deployment | None) -> Order:
    """What was approved for a commit stays so: nobody is asked twice about the same one."""
    if newest is None or newest.approved_by is None or newest.sha != order.commit.sha:
        return order
    if order.approved_by is not None:
        return order
    hold = None if order.hold is Hold.APPROVAL else order.hold
    return replace(order, hold=hold, approved_by=newest.approved_by, with_secrets=newest.with_secrets)


def release_to_restore(tx: Tx, environment: Environment, word: str | None) -> Release:
    """The release that a word names, else the one that was live before. Raises `UserError`."""
    if word is not None:
        named = releases.by_word(tx, environment.app_id, word)
        if named is None:
            raise UserError(ErrorCode.UNKNOWN_NAME, field="release", value=word)
        refuse_strange(tx, environment, named)
        return named
    kept = {release.id: release for release in releases.of_app(tx, environment.app_id)}
    history = deployments.shown(tx, environment.id)
    before = previous(history, environment.active_release_id, kept)
    if before is None:
        raise UserError(ErrorCode.NO_RELEASE, environment=environment.name)
    return kept[before]
