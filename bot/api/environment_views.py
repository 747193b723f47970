"""What environments look like in requests and answers, and how a path names one."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from bot import pending
from bot.api.app_views import Branch, Line
from bot.api.envelope import Model
from bot.api.operation import Call, Paging
from bot.api.orders import Reason
from bot.api.patterns import LENGTH, PLACE
from bot.api.reading import is_word
from bot.api.refusals import not_found
from bot.domain.environment import Environment, EnvironmentKind
from bot.domain.ids import reference
from bot.intake.recipe import policy_from_json
from bot.store import apps, domains, environments, places
from bot.store.places import Live

DeployPolicy = Literal["automatic", "manual"]


class LockView(Model):
    """Who locked an environment, why, and until when."""

    by: str = Field(examples=["mona"])
    reason: str = Field(examples=["we are moving the database"])
    until: datetime | None = Field(examples=["2026-02-01T12:00:00Z"])


class EnvironmentView(Model):
    """A named place where an app lives."""

    id: int = Field(examples=[3])
    name: str = Field(examples=["production"])
    kind: EnvironmentKind = Field(examples=["production"])
    branch: str | None = Field(examples=["main"])
    url: str = Field(examples=["https://shop.example.org"])
    hostnames: list[str] = Field(examples=[["shop.example.org", "www.acme.example"]])
    """Its own, and the custom domains that are verified."""
    deploys: DeployPolicy = Field(examples=["automatic"])
    """`manual`: pushes are recorded as skipped, with how to deploy them."""
    checks: list[str] = Field(examples=[[]])
    """Checks that slipway.toml asks deployments here to wait for."""
    release: str | None = Field(examples=["amber-otter-42"])
    release_number: int | None = Field(examples=[42])
    commit: str | None = Field(examples=["5c1f0a3e9d7b2c4e6f8a0b1d3c5e7f9a1b3c5d7e"])
    deployment: str | None = Field(examples=["DEP-12"])
    live_since: datetime | None = Field(examples=["2026-01-31T12:00:09Z"])
    pinned: bool = Field(examples=[False])
    """Automatic deploys wait, after a rollback, until `resume`."""
    pin_reason: str | None = Field(examples=[None])
    lock: LockView | None
    """While there is one, every deployment waits."""
    expires_at: datetime | None = Field(examples=[None])
    """When a preview is taken down, if somebody said so."""
    held: int = Field(examples=[0])
    """How many deployments wait: for `resume`, an unlocking or an approval."""
    is_busy: bool = Field(examples=[False])
    archived_at: datetime | None = Field(examples=[None])
    """When it was taken down; deploying to it brings it back."""
    pending_variables: list[str] = Field(examples=[["API_URL"]])
    """Variables that changed since the live release was built: deploy again to apply them."""


class EnvironmentQuery(Paging):
    """Which environments."""

    archived: bool = Field(default=False, examples=[False])
    """True: those that were taken down, such as previews of closed pull requests."""


class CreateEnvironment(Model):
    """A new environment."""

    name: Annotated[str, Field(pattern=PLACE, examples=["staging"])]
    """Lowercase letters, digits and hyphens. `production` is there without being made."""
    branch: Branch
    """Pushes to it are brought here."""
    deploys: DeployPolicy = Field(default="automatic", examples=["automatic"])


class UpdateEnvironment(Model):
    """What of an environment can be changed; what is left out stays."""

    branch: Branch | None = None
    """Null: the one that slipway.toml names. That of production is the app's production branch."""
    deploys: DeployPolicy = Field(default="automatic", examples=["manual"])


class Lock(Model):
    """Why an environment is locked, and for how long."""

    reason: Reason | None = None
    length: Annotated[str, Field(pattern=LENGTH, examples=["2h"])] | None = None
    """Such as `30m`, `2h`, `3d`; default: until it is unlocked."""


class Rollback(Model):
    """What to bring back."""

    release: Annotated[Line, Field(min_length=1, max_length=100, examples=["amber-otter-42"])] | None = None
    """Name, number or commit; default: what was live before."""
    reason: Reason | None = None


def environment_views(call: Call, found: Sequence[Live]) -> list[EnvironmentView]:
    """An app's environments as they stand."""
    there = [one.environment for one in found]
    changed = pending.of_app(call.tx, call.of_app, there)
    custom = domains.hostnames(call.tx, [one.id for one in there])
    policy = policy_from_json(apps.policy(call.tx, call.of_app.id))
    views: list[EnvironmentView] = []
    for one in found:
        number, name = one.environment.id, one.environment.name
        checks = policy.checks_for(name) if policy else None
        more = {"hostnames": [one.environment.hostname, *custom.get(number, [])]}
        more |= {"checks": list(checks.require) if checks else []}
        views.append(_view(call, one, **more, pending_variables=changed.get(number, [])))
    return views


def environment_view(call: Call, live: Live) -> EnvironmentView:
    """An environment as it stands."""
    return environment_views(call, [live])[0]


def _view(call: Call, live: Live, **more: list[str]) -> EnvironmentView:
    one, now = live.environment, call.services.clock()
    return EnvironmentView(
        id=one.id,
        name=one.name,
        kind=one.kind,
        branch=one.branch,
        url=call.services.settings.site_url(one.hostname),
        deploys="manual" if one.manual else "automatic",
        release=live.release,
        release_number=live.release_number,
        commit=live.sha,
        deployment=reference(one.active_deployment_id) if one.active_deployment_id else None,
        live_since=live.since,
        pinned=one.pinned,
        pin_reason=one.pin_reason,
        lock=_lock_view(one),
        expires_at=one.expires_at,
        held=live.held,
        is_busy=one.lease_until is not None and one.lease_until > now,
        archived_at=one.archived_at,
        **more,
    )


def _lock_view(one: Environment) -> LockView | None:
    if one.locked_by is None:
        return None
    return LockView(by=one.locked_by, reason=one.lock_reason or "", until=one.lock_until)


def place(call: Call) -> Live:
    """The environment that a path names. Raises `RefusalError` 404."""
    named = environment_named(call, call.path["environment"])
    return next(one for one in places.live_in(call.tx, [call.of_app.id]) if one.environment.id == named.id)


def environment_named(call: Call, word: str) -> Environment:
    """An environment of the app, by name or id; a preview also as `pr-12`. Raises `RefusalError` 404."""
    found = environments.by_word(call.tx, call.of_app.id, word) if is_word(word) else None
    if found is None:
        raise not_found("environment", word)
    return found
