"""A custom domain: a hostname that somebody says is theirs, and what DNS says to that. Pure.

It is theirs when the TXT record `_slipway-challenge.<hostname>` has their token. Any number of
environments may claim a hostname; one at a time can have it verified.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from bot.domain.ids import DomainId, EnvironmentId

CHALLENGE = "_slipway-challenge"
GRACE = timedelta(days=7)
"""How long a verified domain that lost its record is served yet."""
_AGAIN = timedelta(hours=12)
_WHEN_LOST = timedelta(hours=1)
# How often a claim is looked at, by its age.
_PATIENCE = (
    (timedelta(hours=1), timedelta(minutes=1)),
    (timedelta(days=1), timedelta(minutes=10)),
    (timedelta(days=7), timedelta(hours=1)),
)


class DomainState(StrEnum):
    """Where a custom domain stands."""

    PENDING = "pending"
    FAILING = "failing"
    VERIFIED = "verified"
    LOSING = "losing"


@dataclass(frozen=True)
class Domain:
    """One claim. `found` says what was found at the last look; `lost_at` since when the record is missing."""

    id: DomainId
    environment_id: EnvironmentId
    hostname: str
    redirect_to: str | None
    token: str
    found: str
    misses: int
    checked_at: datetime | None
    due_at: datetime
    verified_at: datetime | None
    lost_at: datetime | None
    certificate_until: datetime | None
    created_at: datetime

    @property
    def challenge(self) -> str:
        """Name of the TXT record that must have the token."""
        return f"{CHALLENGE}.{self.hostname}"

    @property
    def state(self) -> DomainState:
        """Where it stands."""
        if self.verified_at is not None:
            return DomainState.VERIFIED if self.lost_at is None else DomainState.LOSING
        return DomainState.PENDING if self.checked_at is None else DomainState.FAILING

    @property
    def ends_at(self) -> datetime | None:
        """When it is taken down unless its record is back."""
        return self.lost_at + GRACE if self.lost_at is not None else None


@dataclass(frozen=True)
class Texts:
    """What the TXT record says; nothing when there is none."""

    values: Sequence[str]


@dataclass(frozen=True)
class Silent:
    """Nobody knows: DNS did not answer, which says nothing about the record."""

    why: str


@dataclass(frozen=True)
class Verdict:
    """What a look at DNS means. `is_news`: somebody should hear of it."""

    verified_at: datetime | None
    lost_at: datetime | None
    misses: int
    found: str
    due_at: datetime
    is_news: bool = False


def judge(domain: Domain, answer: Texts | Silent, *, taken: bool, now: datetime) -> Verdict:
    """What an answer means for a claim; `taken` says that another one has the hostname verified."""
    if isinstance(answer, Silent):
        found = f"DNS did not say: {answer.why}. It is asked again."
        return Verdict(domain.verified_at, domain.lost_at, domain.misses, found, now + _pause(domain, now))
    if domain.token in answer.values:
        if taken:
            found = "The record is right, but another environment has this hostname verified."
            return Verdict(None, None, domain.misses, found, now + _pause(domain, now))
        found = f"{domain.challenge} has the right value."
        is_news = domain.state is not DomainState.VERIFIED
        return Verdict(domain.verified_at or now, None, 0, found, now + _AGAIN, is_news)
    return _missed(domain, _told(domain, answer), now)


def _missed(domain: Domain, found: str, now: datetime) -> Verdict:
    misses = domain.misses + 1
    if domain.verified_at is None:
        return Verdict(None, None, misses, found, now + _pause(domain, now))
    if domain.lost_at is None:
        return Verdict(domain.verified_at, now, misses, found, now + _WHEN_LOST, is_news=True)
    if domain.lost_at + GRACE <= now:
        gone = f"{found} It was missing for {GRACE.days} days, so the domain was taken down."
        return Verdict(None, None, misses, gone, now + _AGAIN, is_news=True)
    return Verdict(domain.verified_at, domain.lost_at, misses, found, now + _WHEN_LOST)


def _told(domain: Domain, answer: Texts) -> str:
    right = f"Right would be a TXT record {domain.challenge} with the value {domain.token}."
    if not answer.values:
        return f"There is no TXT record {domain.challenge}. {right}"
    seen = ", ".join(f"'{value[:80]}'" for value in answer.values[:3])
    return f"The TXT record {domain.challenge} has {seen}. {right}"


def _pause(domain: Domain, now: datetime) -> timedelta:
    if domain.verified_at is not None:
        return _WHEN_LOST if domain.lost_at is not None else _AGAIN
    age = now - domain.created_at
    return next((pause for until, pause in _PATIENCE if age < until), _AGAIN)
