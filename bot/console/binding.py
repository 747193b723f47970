"""Binds an installation of the GitHub App to the organisation of who installed it."""

import msgspec

from bot.console.desk import Desk
from bot.console.providers import NotSignedInError, Person, Ways
from bot.domain.audit import Act
from bot.domain.ids import TenantId
from bot.domain.roles import VERBS_OF, Verb
from bot.fetching import FetchError
from bot.store import audit, installations, people
from bot.store.engine import Tx, writing
from bot.store.people import Membership, User

DONE = "/account"


class _Account(msgspec.Struct):
    id: int
    login: str = ""
    type: str = ""


class _Installation(msgspec.Struct):
    id: int
    account: _Account


class _Installations(msgspec.Struct):
    installations: list[_Installation]


def bind_installation(
    desk: Desk, ways: Ways, user: User, *, person: Person, number: int, tenant: TenantId | None
) -> str:
    """Bind an installation to a tenant that the person manages; where to go on to.

    The number comes by the browser, which could name anybody's: GitHub is asked. One owns what is on one's
    own account; for an organisation counts who installed the App there, as a delivery of GitHub's says.
    Raises `NotSignedInError`.
    """
    found = next((one for one in _visible(ways, person) if one.id == number), None)
    with writing(desk.engine) as tx:
        if found is None or not _is_owner(tx, found, person):
            raise NotSignedInError(
                "GitHub does not say that you installed the App there. Ask the operator of this instance "
                f"to bind the installation {number} to your organisation."
            )
        own = _managed(tx, user, tenant)
        installations.bind(
            tx, number, own.tenant.id, account=found.account.login, created_by=user.email, now=desk.clock()
        )
        act = Act(
            "installation.bound",
            user.email,
            f"user:{user.id}",
            tenant_id=own.tenant.id,
            subject=f"installation {number}",
            after={"account": found.account.login},
        )
        audit.record(tx, act, desk.clock())
    return DONE


def _visible(ways: Ways, person: Person) -> list[_Installation]:
    github = ways.github()
    if github is None or not person.token:
        return []
    try:
        told = github.ask("user/installations?per_page=100", person.token)
        return msgspec.convert(told, _Installations).installations
    except (FetchError, msgspec.ValidationError) as error:
        raise NotSignedInError(f"GitHub did not answer as it should: {error}.") from error


def _is_owner(tx: Tx, found: _Installation, person: Person) -> bool:
    if found.account.type == "User":
        return found.account.id == person.github_id
    return person.github_id is not None and installations.installer(tx, found.id) == person.github_id


def _managed(tx: Tx, user: User, tenant: TenantId | None) -> Membership:
    mine = [one for one in people.memberships(tx, user.id) if Verb.MANAGE in VERBS_OF[one.role]]
    chosen = [one for one in mine if tenant in (None, one.tenant.id)]
    if not chosen:
        raise NotSignedInError("You manage no organisation here. Ask an owner to bind the installation.")
    return chosen[0]
