"""Asks GitHub what people may do, remembers it for a moment, and takes silence for a no."""

import time
from dataclasses import dataclass, field

from bot.domain.app import App
from bot.domain.permission import Level
from bot.github.client import GitHub
from bot.github.errors import GitHubError
from bot.github.people import level
from bot.log import logger

KEPT_SECONDS = 60.0
"""How long an answer counts: for so long somebody who lost the permission may still command."""
_LEFT_ALONE_SECONDS = 1.0
_MOST = 500


@dataclass
class Permissions:
    """Answers of one process's."""

    hub: GitHub
    _known: dict[tuple[str, str, int | None], tuple[Level, float]] = field(
        default_factory=dict[tuple[str, str, int | None], tuple[Level, float]]
    )
    _silent_until: float = 0.0

    def __call__(self, app: App, login: str, number: int | None) -> Level | None:
        """What somebody may do in the app's repository; None when GitHub does not say.

        Once it did not answer it is left alone for a moment: pushes wait behind us. Without credentials
        nobody may do anything.
        """
        if not self.hub.is_set:
            return Level.NONE
        key, now = (app.repository, login.lower(), number), time.monotonic()
        if key in self._known and now - self._known[key][1] < KEPT_SECONDS:
            return self._known[key][0]
        if now < self._silent_until:
            return None
        try:
            found = level(self.hub, app, login, number)
        except GitHubError as error:
            logger.warning("GitHub did not say what somebody may do", login=login, why=str(error))
            self._silent_until = time.monotonic() + _LEFT_ALONE_SECONDS
            return None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (found, time.monotonic())
        return found
