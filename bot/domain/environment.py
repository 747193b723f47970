"""An environment: a named place where an app lives, with hostnames, a lease and one active release."""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.domain.app import MAX_LABEL
from bot.domain.deployment import Hold
from bot.domain.ids import AppId, DeploymentId, EnvironmentId, ReleaseId
from bot.domain.pull import PullNumber

PRODUCTION = "production"


class EnvironmentKind(StrEnum):
    """How an environment behaves: what supersedes what, and how it is named on GitHub."""

    PRODUCTION = "production"
    BRANCH = "branch"
    PREVIEW = "preview"


@dataclass(frozen=True)
class Environment:
    """One place of one app. `activation` counts the switches made there; it orders them at the edge.

    `follows` is the branch that was named by hand, which wins over slipway.toml. Pushes to a `manual`
    one are recorded and not deployed.
    `locked_by` and what follows are of a lock: who has it, by name and unmistakably, why, and until when.

    The rest is about previews: `pull` is the pull request, `born_at` when the present life began,
    `used_at` when it last changed or was visited. One that is asleep has its address, but its files are laid
    out at the next visit. `expires_at` is set where somebody chose its end. An archived one is taken down;
    its release is kept for a return.
    """

    id: EnvironmentId
    app_id: AppId
    name: str
    kind: EnvironmentKind
    branch: str | None
    hostname: str
    active_release_id: ReleaseId | None
    active_deployment_id: DeploymentId | None
    activation: int
    pinned: bool
    pin_reason: str | None
    lease_holder: str | None
    lease_token: int
    lease_until: datetime | None
    pull: PullNumber | None = None
    born_at: datetime | None = None
    used_at: datetime | None = None
    asleep_at: datetime | None = None
    expires_at: datetime | None = None
    archived_at: datetime | None = None
    archive_reason: str | None = None
    follows: str | None = None
    manual: bool = False
    locked_by: str | None = None
    lock_key: str | None = None
    lock_reason: str | None = None
    lock_until: datetime | None = None

    @property
    def lock(self) -> str | None:
        """The lock as a sentence; None where there is none."""
        if self.locked_by is None:
            return None
        until = f" until {moment(self.lock_until)}" if self.lock_until else ""
        return f"locked by {self.locked_by}{until}" + (f": {self.lock_reason}" if self.lock_reason else "")

    def waits_for(self, *, automatic: bool) -> tuple[Hold, str] | None:
        """What keeps a deployment waiting here, and why; `automatic`: no person asked for it."""
        if self.lock is not None:
            return Hold.LOCKED, self.lock
        return (Hold.PINNED, self.pin_reason or "pinned") if self.pinned and automatic else None


def moment(when: datetime) -> str:
    """A point in time as people are told it: `25 Nov 2026, 10:00 UTC`."""
    return f"{when:%-d %b %Y, %H:%M} UTC"


def kind_of(name: str) -> EnvironmentKind:
    """How an environment of that name behaves."""
    if name == PRODUCTION:
        return EnvironmentKind.PRODUCTION
    return EnvironmentKind.PREVIEW if name.startswith("preview/") else EnvironmentKind.BRANCH


def label(*parts: str) -> str:
    """Join parts to one DNS label; too long a label is cut and made unique by a hash suffix."""
    whole = "-".join(parts)
    if len(whole) <= MAX_LABEL:
        return whole
    suffix = hashlib.sha256(whole.encode()).hexdigest()[:8]
    return f"{whole[: MAX_LABEL - 9].rstrip('-')}-{suffix}"


_RELEASE = re.compile(r"[0-9a-f]{12}-(.+)")
_PREVIEW = re.compile(r"pr-[0-9]+-.+")


def app_of_release(first: str) -> str | None:
    """The slug in the first label of a hostname, where that is one that a release of some app may have."""
    match = _RELEASE.fullmatch(first)
    return match[1] if match is not None else None


def is_free_of_others(slug: str) -> bool:
    """Whether an app's slug is not one that the hostnames of others' previews or releases begin with."""
    return _PREVIEW.fullmatch(slug) is None and app_of_release(slug) is None


def hostname_of(slug: str, environment: str, domain: str) -> str:
    """Hostname of an environment: `shop.example.org` in production, else `staging-shop.example.org`."""
    if environment == PRODUCTION:
        return f"{slug}.{domain}"
    words = "".join(letter if letter.isalnum() else "-" for letter in environment.lower()).strip("-")
    return f"{label(words.removeprefix('preview-'), slug)}.{domain}"
