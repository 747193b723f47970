"""A queue that keeps what is enqueued, or loses it as a dead process or a dead Redis would."""

from collections.abc import Sequence

from bot.domain.ids import DeliveryId, DeploymentId, EnvironmentId
from bot.queue import Queue


class KeptQueue(Queue):
    """Nobody works on it: a test takes from `permits` and `announcements` what it wants."""

    def __init__(self) -> None:
        self.is_down = False
        self.permits: list[EnvironmentId] = []
        self.announcements: list[tuple[DeploymentId, int]] = []

    def intake(self, deliveries: Sequence[DeliveryId], slot: str = "") -> bool:  # noqa: ARG002
        return not self.is_down

    def agree(self) -> bool:
        return not self.is_down

    def checks(self, deployment: DeploymentId, slot: str = "") -> bool:  # noqa: ARG002
        return not self.is_down

    def permit(self, environment: EnvironmentId, token: int, slot: str = "") -> bool:  # noqa: ARG002
        if not self.is_down:
            self.permits.append(environment)
        return not self.is_down

    def announce(self, deployment: DeploymentId, version: int, slot: str = "") -> bool:  # noqa: ARG002
        if not self.is_down:
            self.announcements.append((deployment, version))
        return not self.is_down
