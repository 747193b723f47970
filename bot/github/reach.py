"""Which installation of the GitHub App an app is worked on with, and whether its tenant may use it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from bot.domain.app import App
from bot.domain.ids import TenantId
from bot.github.errors import NotEntitledError, NotFoundError
from bot.github.session import Call, Session

T = TypeVar("T")
MayUse = Callable[[TenantId, int | None], bool]
"""Whether a tenant's apps may be worked on with an installation's sign-in; without a number, the token's."""


class _Id(msgspec.Struct):
    id: int


def everybody(_tenant: TenantId, _installation: int | None) -> bool:
    """Where there is one tenant alone."""
    return True


@dataclass
class Reach:
    """Finds installations, and remembers them by repository."""

    session: Session
    may_use: MayUse = everybody
    _known: dict[str, int] = field(default_factory=dict[str, int])

    def of(self, app: App) -> int:
        """The app's installation. Raises `NotFoundError`, or `NotEntitledError`."""
        known = self._known.get(app.repository) or app.installation_id
        if known is None:
            known = self._known[app.repository] = self.covering(app.repository)
        self.check(app, known)
        return known

    def on(self, app: App, act: Callable[[int], T]) -> T:
        """Do something with the app's installation. Raises `GitHubError`."""
        number = self.of(app)
        try:
            return act(number)
        except NotFoundError:
            # An App that was installed anew has a new number; the stored one answers 404 for ever.
            found = self.covering(app.repository)
            if found == number:
                raise
            self.check(app, found)
            self._known[app.repository] = found
            return act(found)

    def check(self, app: App, installation: int | None) -> None:
        """Raise `NotEntitledError` unless the app's tenant may use an installation; None: the token."""
        if not self.may_use(app.tenant_id, installation):
            text = f"The organisation of {app.slug} may not use the GitHub sign-in of {app.repository}."
            raise NotEntitledError(text)

    def covering(self, repository: str) -> int:
        """The installation that covers a repository. Raises `NotFoundError` when none does."""
        return self.session.as_app(Call("GET", f"repos/{repository}/installation")).read(_Id).id
