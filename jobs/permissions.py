"""Asks GitHub what people may do, remembers it for a moment, and takes silence for a no."""

import time
from dataclasses import dataclass, field

from bot.domain.app import App
from bot.domain.ids import TenantId
from bot.domain.permission import Level
from bot.github.client import GitHub
from bot.github.errors import GitHubError, NotEntitledError
from bot.github.people import level
from bot.log import logger

KEPT_SECONDS = 60.0
"""How long an answer counts: for so long somebody who lost the permission may still command."""
_LEFT_ALONE_SECONDS = 1.0
_MOST = 500


_Question = tuple[TenantId, str, str, int | None]


@dataclass
class Permissions:
    """Answers of one process's."""

    hub: GitHub
    _known: dict[_Question, tuple[Level, float]] = field(default_factory=dict[_Question, tuple[Level, float]])
    _silent_until: dict[TenantId, float] = field(default_factory=dict[TenantId, float])

    def __call__(self, app: App, login: str, number: int | None) -> Level | None:
        """What somebody may do in the app's repository; None when GitHub does not say.

        Once it did not answer a tenant it is left alone for that for a moment: pushes wait behind us.
        Nobody may do anything without credentials, or where the tenant may not use those that there are.
        """
        if not self.hub.is_set:
            return Level.NONE
        key, now = (app.tenant_id, app.repository, login.lower(), number), time.monotonic()
        if key in self._known and now - self._known[key][1] < KEPT_SECONDS:
            return self._known[key][0]
        if now < self._silent_until.get(app.tenant_id, 0.0):
            return None
        try:
            found = level(self.hub, app, login, number)
        except NotEntitledError:
            return Level.NONE
        except GitHubError as error:
            logger.warning("GitHub did not say what somebody may do", login=login, why=str(error))
            self._silent_until[app.tenant_id] = time.monotonic() + _LEFT_ALONE_SECONDS
            return None
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[key] = (found, time.monotonic())
        return found
