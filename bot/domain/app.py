"""An app: one deployable thing, a root directory of a repository with its recipe."""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from urllib.parse import urlsplit

from bot.domain.ids import AppId, ProjectId, TenantId

MAX_LABEL = 63
"""Longest DNS label (RFC 1035, section 2.3.4)."""
# Room for the longest prefix of a preview's hostname, 'pr-123456-' or twelve digits of a release.
MAX_SLUG = 40

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_REPOSITORY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*)/[A-Za-z0-9._-]+")


class Absence(StrEnum):
    """Why GitHub does not let us deploy an app: its automatic deploys are off until that has passed."""

    SUSPENDED = "suspended"
    UNINSTALLED = "uninstalled"
    REMOVED = "removed"
    ARCHIVED = "archived"
    DELETED = "deleted"

    @property
    def sentence(self) -> str:
        """What happened on GitHub, for people."""
        return _ABSENCES[self]


_ABSENCES = {
    Absence.SUSPENDED: "The GitHub App's installation is suspended.",
    Absence.UNINSTALLED: "The GitHub App was uninstalled.",
    Absence.REMOVED: "The repository was taken out of the GitHub App's installation.",
    Absence.ARCHIVED: "The repository is archived on GitHub.",
    Absence.DELETED: "The repository was deleted on GitHub.",
}


@dataclass(frozen=True)
class App:
    """What is deployed and how. Directories are relative to the repository's and the app's root.

    `required_variables` is None where slipway.toml says what builds need.

    `enabled`: whether automatic deploys are on. `absence` says why GitHub switched them off; None when a
    person did, or when they are on. `private` is None until GitHub told; `protection` unless it was set here.
    """

    id: AppId
    tenant_id: TenantId
    project_id: ProjectId
    slug: str
    repository: str
    repository_id: int | None
    clone_url: str
    installation_id: int | None
    production_branch: str
    root_directory: str
    build_command: str | None
    output_directory: str | None
    enabled: bool
    created_at: datetime
    archived_at: datetime | None = None
    install_command: str | None = None
    private: bool | None = None
    protection: str | None = None
    absence: Absence | None = None
    required_variables: tuple[str, ...] | None = None

    @property
    def off_reason(self) -> str:
        """Why automatic deploys are off, as a sentence; empty while they are on."""
        if self.enabled:
            return ""
        return self.absence.sentence if self.absence else f"Deploys of {self.slug} are switched off."


def is_slug(text: str) -> bool:
    """Whether the text can be an app's slug, which is also a part of its hostnames.

    Digits alone can't: they name the app that has them for an id.
    """
    return _SLUG.fullmatch(text) is not None and "--" not in text and not text.isdigit()


def is_repository(text: str) -> bool:
    """Whether the text is GitHub's `owner/name`; names never end with `.git` there."""
    name = text.partition("/")[2].lower()
    return _REPOSITORY.fullmatch(text) is not None and name not in (".", "..") and not name.endswith(".git")


def moved_url(clone_url: str, old: str, new: str, github_url: str) -> str:
    """Where a repository on GitHub is cloned from, once its full name is a new one; other addresses stay."""
    base = github_url.rstrip("/").lower()
    low, host = clone_url.lower(), urlsplit(base).hostname
    by_ssh = host is not None and low.startswith((f"git@{host}:", f"ssh://git@{host}/"))
    bare = clone_url.rstrip("/")
    suffix = ".git" if bare.lower().endswith(".git") else ""
    stem = bare[: len(bare) - len(suffix)]
    is_it = stem.lower().endswith((f"/{old.lower()}", f":{old.lower()}"))
    if not is_it or not (by_ssh or low.startswith(f"{base}/")):
        return clone_url
    return f"{stem[: -len(old)]}{new}{suffix}"


def slug_of(text: str) -> str:
    """Make a slug of a repository's or a directory's name; never empty."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    slug = words[:MAX_SLUG].strip("-") or "app"
    return f"app-{slug}"[:MAX_SLUG] if slug.isdigit() else slug


def is_inside(directory: str) -> bool:
    """Whether a relative directory stays below where it starts."""
    parts = directory.split("/")
    return not directory.startswith("/") and ".." not in parts and "\0" not in directory
