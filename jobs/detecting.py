"""Looks at a repository for somebody who thinks of making an app of it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from bot.domain.app import App
from bot.domain.ids import AppId, ProjectId, TenantId
from bot.domain.listing import Listed
from bot.errors import ErrorCode, UserError
from bot.settings import Settings
from jobs.detection import RULES
from jobs.git import Mirrors
from jobs.git.glance import glance
from jobs.suggest import suggest

_MAIN = "main"
MAX_SUGGESTIONS = 20


def detect_for(mirrors: Mirrors, settings: Settings, subject: Mapping[str, Any]) -> dict[str, Any]:
    """What the newest commit of a branch can be made of. Without a branch it is the default one.

    Raises `UserError` REPOSITORY_UNREACHABLE, BRANCH_GONE or NOTHING_DETECTED, `PlatformError`
    REPOSITORY_SILENT.
    """
    name, root = str(subject["repository"] or ""), subject["root"]
    url = subject["clone_url"] or f"{settings.github_url.rstrip('/')}/{name}.git"
    app = _draft(name, url, TenantId(subject["tenant_id"]))
    branch = subject["branch"] or mirrors.default_branch(app) or _MAIN
    with glance(mirrors, app, branch) as seen:
        found = suggest(seen.names, seen.read, root)
        if not found:
            raise UserError(ErrorCode.NOTHING_DETECTED, **nothing_in(seen.names, root))
        suggestions = [one.facts() for one in found[:MAX_SUGGESTIONS]]
        return {"branch": branch, "commit": seen.sha, "suggestions": suggestions}


def draft_of(listed: Listed, tenant: TenantId) -> App:
    """A listed repository as an app that is not stored, for git's sake."""
    return _draft(
        listed.full_name,
        listed.clone_url,
        tenant,
        number=listed.id,
        installation=listed.installation_id,
        branch=listed.default_branch,
    )


def nothing_in(names: Sequence[str], root: str | None) -> dict[str, str | int]:
    """The facts of NOTHING_DETECTED: what is there, and what was looked for."""
    top = sorted({name.partition("/")[0] for name in names})
    return {
        "root": root or "the repository's top",
        "seen": ", ".join(top[:20]) or "no files",
        "looked_for": ", ".join(dict.fromkeys(rule.framework for rule in RULES)),
    }


def _draft(
    repository: str,
    url: str,
    tenant: TenantId,
    *,
    number: int | None = None,
    installation: int | None = None,
    branch: str = _MAIN,
) -> App:
    return App(
        id=AppId(0),
        tenant_id=tenant,
        project_id=ProjectId(0),
        slug="",
        repository=repository,
        repository_id=number,
        clone_url=url,
        installation_id=installation,
        production_branch=branch,
        root_directory="",
        build_command=None,
        output_directory=None,
        enabled=True,
        created_at=datetime.fromtimestamp(0, UTC),
    )
