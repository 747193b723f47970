"""An app: one deployable thing, a root directory of a repository with its recipe."""

import re
from dataclasses import dataclass
from datetime import datetime

from bot.domain.ids import AppId, ProjectId, TenantId

MAX_LABEL = 63
"""Longest DNS label (RFC 1035, section 2.3.4)."""
# Room for the longest prefix of a preview's hostname, 'pr-123456-' or twelve digits of a release.
MAX_SLUG = 40

_SLUG = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?")
_REPOSITORY = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*)/[A-Za-z0-9._-]+")


@dataclass(frozen=True)
class App:
    """What is deployed and how. Directories are relative to the repository's and the app's root.

    `private` is None until GitHub told; `protection` unless it was set here.
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
    private: bool | None = None
    protection: str | None = None


def is_slug(text: str) -> bool:
    """Whether the text can be an app's slug, which is also a part of its hostnames."""
    return _SLUG.fullmatch(text) is not None and "--" not in text


def is_repository(text: str) -> bool:
    """Whether the text is GitHub's `owner/name`."""
    return _REPOSITORY.fullmatch(text) is not None


def slug_of(text: str) -> str:
    """Make a slug of a repository's or a directory's name; never empty."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return words[:MAX_SLUG].strip("-") or "app"


def is_inside(directory: str) -> bool:
    """Whether a relative directory stays below where it starts."""
    parts = directory.split("/")
    return not directory.startswith("/") and ".." not in parts and "\0" not in directory
