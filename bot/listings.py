"""What GitHub listed last of repositories, as far as an organisation may use them."""

from bot.domain.errand import ErrandKind, ErrandState
from bot.domain.ids import TenantId
from bot.domain.listing import Installed, Listed, find, from_json
from bot.store import errands, installations
from bot.store.engine import Tx


def seen_by(tx: Tx, tenant: TenantId | None) -> tuple[Installed, ...]:
    """The installations that a tenant may use, with their repositories; all of them without a tenant."""
    last = errands.newest(tx, ErrandKind.LIST_REPOSITORIES, ErrandState.DONE)
    found = from_json(last.result) if last else ()
    if tenant is None:
        return found
    # What the token of the settings reaches is listed under no installation.
    return tuple(one for one in found if installations.may_use(tx, tenant, one.id or None))


def repository(tx: Tx, tenant: TenantId, name: str) -> Listed | None:
    """A repository by its full name, if it is among those that a tenant may use."""
    return find(seen_by(tx, tenant), name=name)
