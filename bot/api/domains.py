"""Custom domains: claiming a hostname for an environment, proving it by DNS, giving it up."""

import secrets
from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from bot.api.envelope import Model
from bot.api.environment_views import place
from bot.api.operation import About, Call, Operation, Page, Paging
from bot.api.refusals import Code, conflict, not_found, unfit
from bot.domain.custom_domain import Domain, DomainState
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.errand import ErrandKind
from bot.domain.hostname import counterpart, objection, plain_hostname
from bot.domain.roles import Verb
from bot.store import domains, errands
from bot.store.domains import NewDomain

TAG = "Domains"
MOST = 50
"""Custom domains of one environment."""


def _hostname(value: str) -> str:
    name = plain_hostname(value)
    if name is None:
        raise ValueError("Write a hostname such as www.example.org, of at most 180 characters.")
    return name


Hostname = Annotated[str, Field(max_length=253, examples=["www.acme.example"]), AfterValidator(_hostname)]


class AddDomain(Model):
    """A hostname that is yours."""

    hostname: Hostname
    redirect_to: Hostname | None = None
    """Send its visitors to this other domain of the environment."""
    pair: bool = Field(default=False, examples=[False])
    """Claim `www.` beside it, or what stands behind `www.`, and redirect that here."""


class RecordView(Model):
    """A record to make in your DNS."""

    type: Literal["TXT", "CNAME"] = Field(examples=["TXT"])
    name: str = Field(examples=["_slipway-challenge.www.acme.example"])
    value: str = Field(examples=["slipway-3q2-7wABCDEF"])
    purpose: str = Field(examples=["proves that the hostname is yours"])


class CertificateView(Model):
    """What the edge has to speak HTTPS for it."""

    state: Literal["off", "waiting", "issued", "external"] = Field(examples=["issued"])
    """`off`: the edge speaks HTTP. `waiting`: had at the first visit. `external`: the operator's files."""
    expires_at: datetime | None = Field(examples=["2026-04-30T12:00:00Z"])


class DomainView(Model):
    """A custom domain of an environment."""

    id: int = Field(examples=[4])
    hostname: str = Field(examples=["www.acme.example"])
    environment: str = Field(examples=["production"])
    status: DomainState = Field(examples=["verified"])
    """`pending`: not looked at yet. `failing`: not proved. `losing`: proved, and the record went away."""
    message: str = Field(examples=["_slipway-challenge.www.acme.example has the right value."])
    """What was found, and what would be right."""
    redirect_to: str | None = Field(examples=[None])
    redirected_here: list[str] = Field(examples=[["acme.example"]])
    url: str = Field(examples=["https://www.acme.example"])
    records: list[RecordView]
    certificate: CertificateView
    checked_at: datetime | None = Field(examples=["2026-01-31T12:00:00Z"])
    next_check_at: datetime = Field(examples=["2026-02-01T00:00:00Z"])
    verified_at: datetime | None = Field(examples=["2026-01-31T12:00:00Z"])
    ends_at: datetime | None = Field(examples=[None])
    """When it is taken down unless its record is back."""
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])


def _view(call: Call, one: Domain, environment: Environment) -> DomainView:
    settings = call.services.settings
    others = domains.of_environments(call.tx, [environment.id])
    return DomainView(
        id=one.id,
        hostname=one.hostname,
        environment=environment.name,
        status=one.state,
        message=one.found or f"Make the TXT record {one.challenge} with the value {one.token}.",
        redirect_to=one.redirect_to,
        redirected_here=[other.hostname for other in others if other.redirect_to == one.hostname],
        url=settings.site_url(one.hostname),
        records=[
            RecordView(
                type="TXT", name=one.challenge, value=one.token, purpose="proves that the hostname is yours"
            ),
            RecordView(
                type="CNAME", name=one.hostname, value=environment.hostname, purpose="brings visitors here"
            ),
        ],
        certificate=_certificate(call, one),
        checked_at=one.checked_at,
        next_check_at=one.due_at,
        verified_at=one.verified_at,
        ends_at=one.ends_at,
        created_at=one.created_at,
    )


def _certificate(call: Call, one: Domain) -> CertificateView:
    match call.services.settings.edge_tls:
        case "off":
            return CertificateView(state="off", expires_at=None)
        case "files":
            return CertificateView(state="external", expires_at=None)
        case _:
            state = "issued" if one.certificate_until is not None else "waiting"
            return CertificateView(state=state, expires_at=one.certificate_until)


def _list(call: Call) -> Page:
    environment, part = place(call).environment, call.asked(Paging).part("")
    found = domains.of_environments(call.tx, [environment.id])
    cut = found[part.offset : part.offset + part.limit]
    return Page([_view(call, one, environment) for one in cut], len(found))


def _add(call: Call) -> DomainView:
    environment, given = place(call).environment, call.given(AddDomain)
    if environment.kind is EnvironmentKind.PREVIEW or environment.archived_at is not None:
        raise unfit("hostname", f"{environment.name} can't have custom domains.")
    there = domains.of_environments(call.tx, [environment.id])
    _check(call, given, there)
    made = _claim(call, environment, given.hostname, given.redirect_to)
    pair = counterpart(given.hostname)
    if given.pair and all(one.hostname != pair for one in there):
        _refuse_foreign(call, "pair", pair)
        _claim(call, environment, pair, given.hostname)
    call.note(f"domain {given.hostname}", after={"environment": environment.name, "pair": given.pair})
    return _view(call, made, environment)


def _check(call: Call, given: AddDomain, there: list[Domain]) -> None:
    _refuse_foreign(call, "hostname", given.hostname)
    names = {one.hostname: one for one in there}
    if given.hostname in names:
        raise conflict(Code.NAME_TAKEN, f"{given.hostname} is claimed for this environment already.")
    if len(there) + 1 + given.pair > MOST:
        raise conflict(Code.CONFLICT, f"An environment may have {MOST} custom domains. Remove one first.")
    if given.redirect_to is None:
        return
    target = names.get(given.redirect_to)
    if target is None or target.redirect_to is not None or given.pair:
        message = "Name another domain of the same environment, which redirects nowhere itself."
        raise unfit("redirectTo", message)


def _refuse_foreign(call: Call, field: str, hostname: str) -> None:
    settings = call.services.settings
    own = urlsplit(settings.url).hostname or ""
    why = objection(hostname, preview_domain=settings.preview_domain, own=own)
    if why is not None:
        raise unfit(field, f"{hostname} can't be a custom domain: {why}")


def _claim(call: Call, environment: Environment, hostname: str, redirect_to: str | None) -> Domain:
    token = f"slipway-{secrets.token_urlsafe(24)}"
    new = NewDomain(environment.id, hostname, token, redirect_to)
    return domains.insert(call.tx, new, call.writing.now)


def _named(call: Call, environment: Environment) -> Domain:
    word = call.path["domain"]
    for one in domains.of_environments(call.tx, [environment.id]):
        if word.lower() == one.hostname or word == str(one.id):
            return one
    raise not_found("domain", word)


def _read(call: Call) -> DomainView:
    environment = place(call).environment
    return _view(call, _named(call, environment), environment)


def _verify(call: Call) -> DomainView:
    environment = place(call).environment
    one = _named(call, environment)
    errand = errands.ask(call.tx, ErrandKind.CHECK_DOMAIN, {"domain": one.id}, call.writing.now)
    call.writing.errands.append(errand)
    call.note(f"domain {one.hostname}")
    return _view(call, one, environment)


def _remove(call: Call) -> None:
    one = _named(call, place(call).environment)
    call.note(f"domain {one.hostname}", before={"status": one.state})
    domains.remove(call.tx, one)


def _about(**more: Any) -> Operation:
    return Operation(tag=TAG, about=About.APP, **more)


_DOMAINS = "/apps/{app}/environments/{environment}/domains"
OPERATIONS = (
    _about(
        id="listDomains",
        method="GET",
        path=_DOMAINS,
        summary="List an environment's custom domains",
        verb=Verb.READ,
        handle=_list,
        answer=DomainView,
        lists=True,
        query=Paging,
    ),
    _about(
        id="addDomain",
        method="POST",
        path=_DOMAINS,
        summary="Claim a hostname",
        verb=Verb.CONFIGURE,
        handle=_add,
        answer=DomainView,
        body=AddDomain,
        status=201,
        refusals={
            409: "It is claimed here already, or there are too many.",
            422: "It can't be a custom domain.",
        },
        description="Make the records of the answer in your DNS. The TXT record is looked at every minute at "
        "first; once it is right, the hostname shows what is live. Others may claim it, "
        "too; who proves it has it. A domain that loses its record is served for seven days yet.",
    ),
    _about(
        id="getDomain",
        method="GET",
        path=f"{_DOMAINS}/{{domain}}",
        summary="Read a custom domain",
        verb=Verb.READ,
        handle=_read,
        answer=DomainView,
        description="By hostname or id.",
    ),
    _about(
        id="verifyDomain",
        method="POST",
        path=f"{_DOMAINS}/{{domain}}/verify",
        summary="Look at its record now",
        verb=Verb.CONFIGURE,
        handle=_verify,
        answer=DomainView,
        status=202,
        description="The worker asks DNS within seconds; read the domain to see what it found.",
    ),
    _about(
        id="removeDomain",
        method="DELETE",
        path=f"{_DOMAINS}/{{domain}}",
        summary="Give a hostname up",
        verb=Verb.CONFIGURE,
        handle=_remove,
        description="With it go the domains that redirect to it. It is dark within two minutes.",
    ),
)
