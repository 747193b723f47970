"""Whose apps may be worked on with which sign-in of GitHub's, and hear of what."""

from collections.abc import Callable, Iterable, Sequence

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


def entitled(tx: Tx, found: Sequence[App], delivery: Delivery, event: Told, *, github_url: str) -> list[App]:
    """Those of a repository's apps that a delivery may be told to.

    What an app's own secret verified is for that app. Else anybody could make an app that bears the name
    of a private repository: it hears nothing unless its tenant may use the installation that told. Of
    what is public hear those, too, that are made from that very repository: what others wait for may
    not depend on a server of somebody's choice.
    """
    if delivery.verified_app_id is not None:
        return [app for app in found if app.id == delivery.verified_app_id]
    told, name = event.installation_id, event.repository.full_name
    is_public = event.repository.private is False
    return [
        app
        for app in found
        if installations.may_use(tx, app.tenant_id, told)
        or (is_public and _is_of(app, f"{github_url.rstrip('/')}/{name}"))
    ]


def _is_of(app: App, address: str) -> bool:
    return app.clone_url.lower().rstrip("/").removesuffix(".git") == address.lower()


def kin(tx: Tx, app: App, found: Iterable[App]) -> list[App]:
    """Those of some apps that are shown on GitHub, and spoken to there, together with one: itself, too.

    Apps of other tenants that bear the same repository's name, or say that they are of it, are not,
    unless both are worked on with the same installation.
    """
    return [one for one in found if _has_name_of(one, app) and _is_with(tx, one, app)]


def _has_name_of(one: App, other: App) -> bool:
    return one.repository.lower() == other.repository.lower()


def _is_with(tx: Tx, one: App, other: App) -> bool:
    if one.tenant_id == other.tenant_id:
        return True
    by = one.installation_id
    is_same = by is not None and by == other.installation_id
    return is_same and all(installations.may_use(tx, each.tenant_id, by) for each in (one, other))


def may_keep(tx: Tx, app: App, installation: int | None) -> bool:
    """Whether an app may be pinned to the installation that told of it."""
    return installation is not None and installations.may_use(tx, app.tenant_id, installation)
