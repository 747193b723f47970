"""Does everything once in an empty store in memory, so that processes forked afterwards need not learn it.

SQLAlchemy makes SQL of a statement when it first sees it, for one to three milliseconds each. A process that
is forked for one deployment would spend half of its processor time so.
"""

from collections.abc import Callable

from bot.clock import utc_now
from bot.domain.app import App
from bot.domain.deployment import Commit, Deployment, Phase, State, Trigger
from bot.domain.ids import DeploymentId, Digest, EnvironmentId, ReleaseId, Sha
from bot.leases import Claim, Leases
from bot.lifecycle import Lifecycle, Order
from bot.queue import Queue
from bot.store import apps, deployments, releases, variables
from bot.store.apps import NewApp
from bot.store.engine import Engine, reading, rehearsal_of, writing
from bot.store.releases import NewRelease


class _Silent(Queue):
    """A queue that takes everything and passes nothing on."""

    def __init__(self) -> None:
        pass

    def permit(self, environment: EnvironmentId, token: int, slot: str = "") -> bool:  # noqa: ARG002
        return True

    def announce(self, deployment: DeploymentId, version: int, slot: str = "") -> bool:  # noqa: ARG002
        return True


Steps = Callable[[Engine, Claim, ReleaseId], None]
"""Asks an empty store for what the steps of a deployment ask for."""


def rehearse(engine: Engine, steps: Steps | None = None) -> None:
    """Deploy twice and roll back, in a store of its own; `engine` then knows the statements."""
    stage = rehearsal_of(engine)
    if stage is None:
        return
    lifecycle = Lifecycle(stage, _Silent(), preview_domain="localhost")
    leases = Leases(lifecycle, concurrency=2)
    with writing(stage) as tx:
        app = apps.insert(tx, NewApp("app", "owner/name", "https://localhost", "main"), utc_now())
    for number in (1, 2):
        commit = Commit(Sha(f"{number:040}"), "a change", "somebody")
        order = Order(app, "production", "main", commit, Trigger.PUSH, "pushed", "somebody")
        with lifecycle.change() as change:
            lifecycle.request(change, order)
        _deploy(stage, leases, app, steps)
    with lifecycle.change() as change:
        lifecycle.rollback(change, app, "production", word=None, by="somebody")
    _deploy(stage, leases, app, steps)
    leases.reap()
    stage.dispose()


def _deploy(stage: Engine, leases: Leases, app: App, steps: Steps | None) -> None:
    claim = leases.claim("rehearsal/1/0")
    assert claim is not None
    with reading(stage) as tx:
        apps.get(tx, app.id)
        variables.values(tx, [one.id for one in variables.of_app(tx, app, [claim.environment.id])])
    leases.standing(claim)
    leases.renew(claim)
    for phase in Phase:
        leases.enter(claim, phase)
    release = claim.deployment.release_id or _release(stage, claim.deployment)
    leases.switch(claim, release)
    if steps is not None:
        steps(stage, claim, release)
    leases.finish(claim, State.SUCCEEDED, "live")


def _release(stage: Engine, made: Deployment) -> ReleaseId:
    new = NewRelease(
        made.app_id, Digest(f"{made.id:064}"), Digest(f"{0:064}"), made.sha, 1, 1, False, made.id
    )
    with writing(stage) as tx:
        releases.by_key(tx, made.app_id, new.key)
        release = releases.insert(tx, new, utc_now())
        deployments.set_release(tx, made.id, release.id)
        return releases.get(tx, release.id).id
