"""One transaction on deployments: their moves, and whom to tell of them once it is committed."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from bot import occasions
from bot.domain.audit import Act
from bot.domain.deployment import Deployment, Hold, State, check_move
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import DeploymentId, EnvironmentId, ErrandId
from bot.domain.outgoing import Event
from bot.store import audit, deployments, environments, steps
from bot.store.deployments import NewDeployment
from bot.store.engine import Tx


@dataclass
class Change:
    """One transaction on deployments, and whom to tell when it is committed."""

    tx: Tx
    now: datetime
    permits: dict[EnvironmentId, int] = field(default_factory=dict[EnvironmentId, int])
    changed: dict[DeploymentId, int] = field(default_factory=dict[DeploymentId, int])
    reroutes: bool = False
    """Whether the edge is to be brought in step at once."""
    waiting: set[DeploymentId] = field(default_factory=set[DeploymentId])
    errands: list[ErrandId] = field(default_factory=list[ErrandId])
    message: int = 0
    """The newest message for webhooks and channels, if there is one."""

    def move(self, deployment: Deployment, state: State, reason: str, **changes: Any) -> Deployment:
        """Move a deployment to another state; raises `ImpossibleMoveError` when that can't be.

        One that ends without success does not stay live: its switch, if there was one, is taken back.
        """
        check_move(deployment.state, state)
        if state.is_final:
            ended = "succeeded" if state is State.SUCCEEDED else "failed"
            steps.end_open(self.tx, deployment.id, self.now, state=ended)
            changes["finished_at"] = self.now
            if state is not State.SUCCEEDED:
                self.withdraw(deployment)
        moved = deployments.change(
            self.tx, deployment.id, self.now, event=reason, state=state, reason=reason, **changes
        )
        return self._happened(moved)

    def add(self, new: NewDeployment) -> Deployment:
        """Store a deployment."""
        return self._happened(deployments.insert(self.tx, new, self.now))

    def record(self, act: Act) -> None:
        """Remember in the audit log what somebody did, and tell those who want to know."""
        audit.record(self.tx, act, self.now)
        self._tell(occasions.of_act(self.tx, act, self.now))

    def archive(self, environment: Environment, reason: str) -> Environment:
        """Remember that an environment is taken down, and why."""
        archived = environments.archive(self.tx, environment.id, self.now, reason)
        if archived.kind is EnvironmentKind.PREVIEW:
            self._tell(occasions.of_preview(self.tx, archived, Event.PREVIEW_REMOVED, self.now))
        return archived

    def _happened(self, deployment: Deployment) -> Deployment:
        self.changed[deployment.id] = deployment.version
        self._tell(occasions.of_deployment(self.tx, deployment, self.now))
        return deployment

    def _tell(self, message: int) -> None:
        self.message = max(self.message, message)

    def wait(self, deployment: Deployment, hold: Hold, reason: str, **changes: Any) -> Deployment:
        """Let a held deployment wait for something else than before."""
        if (deployment.hold, deployment.reason) == (hold, reason) and not changes:
            return deployment
        wanted = {"state": State.HELD, "hold": hold, "reason": reason, **changes}
        moved = deployments.change(self.tx, deployment.id, self.now, event=reason, **wanted)
        self.changed[moved.id] = moved.version
        if hold is Hold.CHECKS:
            self.waiting.add(moved.id)
        return moved

    def withdraw(self, deployment: Deployment) -> bool:
        """Point the environment at what succeeded before, if it points at this deployment; whether it did."""
        environment = environments.get(self.tx, deployment.environment_id)
        if environment.active_deployment_id != deployment.id:
            return False
        before, release = deployments.last_shown(self.tx, environment.id) or (None, None)
        environments.activate(self.tx, environment.id, release, before)
        return True

    def touch(self, deployment: DeploymentId) -> None:
        """Let GitHub be told anew of a deployment, whose surroundings have changed."""
        touched = deployments.change(self.tx, deployment, self.now)
        self.changed[touched.id] = touched.version

    def use(self, environment: Environment) -> None:
        """Remember that a preview is used; one that was taken down, or is new, begins a life."""
        if environment.kind is not EnvironmentKind.PREVIEW:
            if environment.archived_at is not None:
                back = {"archived_at": None, "archive_reason": None}
                environments.configure(self.tx, environment.id, back)
            return
        if environment.born_at is None or environment.archived_at is not None:
            born = environments.revive(self.tx, environment.id, self.now)
            self._tell(occasions.of_preview(self.tx, born, Event.PREVIEW_CREATED, self.now))
        else:
            environments.use(self.tx, environment.id, self.now)

    def keep_awake(self, environment: Environment) -> None:
        """Count what is done with a preview as its use, unless it was taken down."""
        if environment.archived_at is None:
            self.use(environment)

    def permit(self, environment: Environment) -> None:
        """Issue a permit for an environment that has work."""
        self.permits[environment.id] = environment.lease_token
