"""Brings a release that exists onwards into an environment; nothing is built."""

from bot.domain.deployment import Deployment, Kind, State, Trigger
from bot.domain.environment import Environment
from bot.domain.ids import reference
from bot.domain.release import Release
from bot.lifecycle import Change
from bot.orders import commit_of, refuse_strange
from bot.store import deployments
from bot.store.deployments import NewDeployment


def promote(
    change: Change, environment: Environment, release: Release, *, by: str, note: str | None = None
) -> Deployment:
    """Ask for a release in an environment; automatic deploys go on there as before.

    What waits to show another release makes way; a build that runs or waits is not touched. Raises
    `UserError` RELEASE_OF_STRANGER for what a stranger's code built for another environment.
    """
    change.use(environment)
    refuse_strange(change.tx, environment, release)
    kept = environment.waits_for(automatic=False)
    hold, why = kept or (None, "")
    new = NewDeployment(
        app_id=environment.app_id,
        environment_id=environment.id,
        kind=Kind.ROLLBACK,
        trigger=Trigger.MANUAL,
        state=State.HELD if hold else State.QUEUED,
        commit=commit_of(change.tx, release),
        branch=environment.branch,
        reason=why or f"{release.name} promoted by {by}" + (f": {note}" if note else ""),
        requested_by=by,
        release_id=release.id,
        hold=hold,
        note=note,
    )
    deployment = change.add(new)
    for other in deployments.unfinished(change.tx, environment.id):
        if other.kind is Kind.ROLLBACK and other.state.is_waiting and other.id != deployment.id:
            reason = f"superseded by {reference(deployment.id)}"
            change.move(other, State.SUPERSEDED, reason, superseded_by=deployment.id)
    change.keep_awake(environment)
    if hold is None:
        change.permit(environment)
    return deployment
