"""An environment: a named place where an app lives, with hostnames, a lease and one active release."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from bot.domain.app import MAX_LABEL
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


def hostname_of(slug: str, environment: str, domain: str) -> str:
    """Hostname of an environment: `shop.example.org` in production, else `staging-shop.example.org`."""
    if environment == PRODUCTION:
        return f"{slug}.{domain}"
    words = "".join(letter if letter.isalnum() else "-" for letter in environment.lower()).strip("-")
    return f"{label(words.removeprefix('preview-'), slug)}.{domain}"
