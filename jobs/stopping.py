"""How work that must end early ends."""

from bot.domain.ids import DeploymentId, reference


class StoppedError(Exception):
    """The work must end now: it was cancelled, handed back, or its lease was lost."""


class OvertakenError(Exception):
    """The branch has a newer commit than this deployment's; `by` is the deployment of that one."""

    def __init__(self, by: DeploymentId) -> None:
        self.by = by
        super().__init__(reference(by))
