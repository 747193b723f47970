"""Who looks at a page: the operator of the instance, or a person in one organisation."""

from contextvars import ContextVar
from dataclasses import dataclass

from starlette.requests import Request

from bot.callers import principal_of
from bot.console.access import Access
from bot.domain.ids import TenantId
from bot.domain.roles import Principal, Verb, operator
from bot.sessions import Sessions
from bot.store import people
from bot.store.engine import Engine, reading
from bot.store.people import Tenant
from bot.store.sessions import Session

OPERATOR = "the instance's operator"


@dataclass(frozen=True)
class Visitor:
    """Who looks. The operator has no session and sees all; a person sees their organisation."""

    principal: Principal
    session: Session | None = None
    tenant: Tenant | None = None
    tenants: tuple[Tenant, ...] = ()
    form_token: str = ""

    @property
    def is_operator(self) -> bool:
        """Whether it is whoever holds the instance's own key."""
        return self.session is None

    @property
    def name(self) -> str:
        """As pages greet."""
        return self.principal.name

    @property
    def scope(self) -> TenantId | None:
        """The tenant whose things may be seen; None: all."""
        return self.tenant.id if self.tenant is not None else None

    def may(self, verb: Verb) -> bool:
        """Whether the visitor has a right."""
        return verb in self.principal.verbs

    def sees(self, tenant: TenantId) -> bool:
        """Whether the things of a tenant are the visitor's to see."""
        return self.scope in (None, tenant)


_current: ContextVar[Visitor | None] = ContextVar("visitor", default=None)


def visitor() -> Visitor:
    """Who looks at the page that is being made. Only guarded pages have one."""
    found = _current.get()
    assert found is not None
    return found


def visitor_or_none() -> Visitor | None:
    """The same, or None on pages for everybody."""
    return _current.get()


def enter(who: Visitor) -> None:
    """Remember who looks, for this request alone: each has a context of its own."""
    _current.set(who)


@dataclass(frozen=True)
class Doors:
    """Tells who looks, by the two cookies."""

    engine: Engine
    access: Access
    sessions: Sessions

    def visitor_of(self, request: Request) -> Visitor | None:
        """Who sent a request; None for strangers, and for people who belong nowhere any more."""
        if self.access.allows(request):
            return Visitor(operator("operator", OPERATOR))
        session = self.sessions.find(request)
        if session is None:
            return None
        with reading(self.engine) as tx:
            user = people.user(tx, session.user_id)
            assert user is not None
            chosen = str(session.tenant_id) if session.tenant_id is not None else None
            only = session.tenant_id if session.is_bound else None
            found = principal_of(tx, user, f"session:{session.id}", wanted=chosen, only=only)
            mine = [one.tenant for one in people.memberships(tx, user.id) if only in (None, one.tenant.id)]
        if found is None:
            return None
        tenant = next(one for one in mine if one.id == found.tenant_id)
        return Visitor(found, session, tenant, tuple(mine), self.sessions.form_token(request))
