"""Who may do what: roles, what each may do, and the one decision about a caller and a thing (pure)."""

from dataclasses import dataclass
from enum import StrEnum, auto

from bot.domain.ids import AppId, TenantId


class Role(StrEnum):
    """What a member is in a tenant."""

    OWNER = "owner"
    ADMIN = "admin"
    DEVELOPER = "developer"
    VIEWER = "viewer"


class Verb(StrEnum):
    """What can be done. A token may be given fewer than its holder's role has."""

    READ = "read"
    """See apps, deployments, logs, releases, deliveries."""
    DEPLOY = "deploy"
    """Start, cancel and retry deployments."""
    APPROVE = "approve"
    """Let a commit be built that waits for somebody's word, or turn it down."""
    ROLLBACK = "rollback"
    """Make an existing release live, and let automatic deploys go on."""
    CONFIGURE = "configure"
    """Create, change and archive apps."""
    MANAGE = "manage"
    """Members, tokens of apps, and deleting apps."""
    OWN = "own"
    """Make and unmake owners, and name the organisation."""
    ACCOUNT = "account"
    """One's own personal tokens."""
    OPERATE = "operate"
    """The instance itself: its tenants."""


_VIEWER = frozenset({Verb.READ, Verb.ACCOUNT})
_DEVELOPER = _VIEWER | {Verb.DEPLOY, Verb.APPROVE, Verb.ROLLBACK}
_ADMIN = _DEVELOPER | {Verb.CONFIGURE, Verb.MANAGE}
VERBS_OF: dict[Role, frozenset[Verb]] = {
    Role.OWNER: _ADMIN | {Verb.OWN},
    Role.ADMIN: _ADMIN,
    Role.DEVELOPER: _DEVELOPER,
    Role.VIEWER: _VIEWER,
}
"""What each role may do in its tenant."""
APP_VERBS = frozenset({Verb.READ, Verb.DEPLOY, Verb.ROLLBACK})
"""What a token of one app can be given."""


@dataclass(frozen=True)
class Principal:
    """Who calls. Without a tenant it is the operator of the instance; with an app, a token of that app."""

    key: str
    """Stable and unique, such as `token:12`: what limits and repeated requests are counted by."""
    name: str
    """As people and logs are told, such as an e-mail address."""
    verbs: frozenset[Verb]
    tenant_id: TenantId | None = None
    app_id: AppId | None = None
    user_id: int | None = None
    roams: bool = False
    """Whether it is a person who may be in other tenants, too, by naming them."""

    @property
    def is_operator(self) -> bool:
        """Whether the caller holds the instance's own key."""
        return self.tenant_id is None


@dataclass(frozen=True)
class Resource:
    """What is asked for: a thing of a tenant, perhaps of one of its apps; or, without both, no such thing."""

    tenant_id: TenantId | None = None
    app_id: AppId | None = None


class Verdict(StrEnum):
    """Whether the caller may."""

    ALLOWED = auto()
    FORBIDDEN = auto()
    NOT_FOUND = auto()


def operator(key: str, name: str) -> Principal:
    """Whoever holds the instance's own key: nobody in particular, so without tokens of its own."""
    return Principal(key, name, frozenset(Verb) - {Verb.ACCOUNT})


def authorise(principal: Principal, verb: Verb, resource: Resource) -> Verdict:
    """Decide. What belongs to others is not found, so that nobody learns that it is there.

    A token of one app finds nothing of other apps, and may do nothing that is not about one app.
    """
    if principal.is_operator:
        return Verdict.ALLOWED if verb in principal.verbs else Verdict.FORBIDDEN
    if resource.tenant_id is not None and resource.tenant_id != principal.tenant_id:
        return Verdict.NOT_FOUND
    if principal.app_id is not None and resource.app_id not in (None, principal.app_id):
        return Verdict.NOT_FOUND
    if principal.app_id is not None and resource.app_id is None:
        return Verdict.FORBIDDEN
    return Verdict.ALLOWED if verb in principal.verbs else Verdict.FORBIDDEN
