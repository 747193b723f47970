"""A person as a caller: in one of the tenants that they belong to, with what their role may."""

from bot.domain.ids import TenantId
from bot.domain.roles import VERBS_OF, Principal
from bot.store import people
from bot.store.engine import Tx
from bot.store.people import User


def principal_of(
    tx: Tx, user: User, key: str, *, wanted: str | None = None, only: TenantId | None = None
) -> Principal | None:
    """The person in the tenant of that slug or id, else in the one they are in for longest.

    With `only`, in that tenant or in none. None: the person is in no tenant. Whoever names a tenant that
    the person is not in finds nothing there, as in any tenant of others.
    """
    found = [one for one in people.memberships(tx, user.id) if only in (None, one.tenant.id)]
    if not found:
        return None
    named = (one for one in found if wanted in (one.tenant.slug, str(one.tenant.id)))
    chosen = next(named, found[0])
    who = f"{key}@{chosen.tenant.id}"
    verbs, tenant = VERBS_OF[chosen.role], chosen.tenant.id
    return Principal(who, user.email, verbs, tenant, user_id=user.id, roams=only is None)
