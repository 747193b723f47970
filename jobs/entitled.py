"""Whose apps may be worked on with which sign-in of GitHub's, and hear of what."""

from collections.abc import Callable, Sequence

from bot.domain.app import App
from bot.domain.ids import TenantId
from bot.intake.check_events import CheckEvent
from bot.intake.comment_events import CommentEvent
from bot.intake.events import PushEvent
from bot.intake.place_events import RepositoryEvent
from bot.intake.pull_events import PullEvent
from bot.store import installations
from bot.store.deliveries import Delivery
from bot.store.engine import Engine, Tx, reading

Told = PushEvent | PullEvent | CommentEvent | CheckEvent | RepositoryEvent
"""What tells of one repository."""


def entitlement(engine: Engine) -> Callable[[TenantId, int | None], bool]:
    """Whether a tenant may use an installation, as the store has it."""

    def may_use(tenant: TenantId, installation: int | None) -> bool:
        with reading(engine) as tx:
            return installations.may_use(tx, tenant, installation)

    return may_use


def entitled(tx: Tx, found: Sequence[App], delivery: Delivery, event: Told) -> list[App]:
    """Those of a repository's apps that a delivery may be told to.

    What an app's own secret verified is for that app. Else anybody could make an app that bears the name
    of a private repository: it hears nothing unless its tenant may use the installation that told.
    """
    if delivery.verified_app_id is not None:
        return [app for app in found if app.id == delivery.verified_app_id]
    if event.repository.private is False:
        return list(found)
    told = event.installation_id
    return [app for app in found if installations.may_use(tx, app.tenant_id, told or app.installation_id)]


def may_keep(tx: Tx, app: App, installation: int | None) -> bool:
    """Whether an app may be pinned to the installation that told of it."""
    return installation is not None and installations.may_use(tx, app.tenant_id, installation)
