"""Makes apps: checks what was given, and finds a slug and a hostname that are free."""

import dataclasses
from datetime import datetime
from pathlib import PurePosixPath

from bot.domain.app import App, is_inside, is_repository, is_slug, slug_of
from bot.domain.environment import PRODUCTION, hostname_of
from bot.errors import ErrorCode, UserError
from bot.intake.events import is_branch
from bot.store import apps, environments
from bot.store.apps import NewApp
from bot.store.engine import Tx

_INSIDE = "a path below the repository's top, without '..'"


def register(tx: Tx, new: NewApp, now: datetime, *, preview_domain: str) -> App:
    """Store an app; an empty slug is made from its root directory or its repository.

    Raises `UserError` INVALID_VALUE, which names the field.
    """
    check("repository", new.repository, is_repository(new.repository), "OWNER/NAME, such as acme/shop")
    check("production-branch", new.production_branch, is_branch(new.production_branch), "a branch's name")
    check("root-directory", new.root_directory, is_inside(new.root_directory), _INSIDE)
    output = new.output_directory or ""
    check("output-directory", output, is_inside(output), _INSIDE)
    root = "/".join(PurePosixPath(new.root_directory).parts)
    slug = new.slug or _free_slug(tx, slug_of(root.rpartition("/")[2] or new.repository.partition("/")[2]))
    check("slug", slug, is_slug(slug), "lowercase letters, digits and single hyphens, at most 40")
    check("slug", slug, apps.by_slug(tx, slug) is None, "a slug that no other app has")
    hostname = hostname_of(slug, PRODUCTION, preview_domain)
    free = not environments.has_hostname(tx, hostname)
    check("slug", slug, free, f"a slug whose hostname {hostname} is not in use")
    return apps.insert(tx, dataclasses.replace(new, slug=slug, root_directory=root), now)


def check(field: str, value: str, ok: bool, expected: str) -> None:
    """Raise `UserError` INVALID_VALUE unless it is ok."""
    if not ok:
        raise UserError(ErrorCode.INVALID_VALUE, field=field, value=value, expected=expected)


def _free_slug(tx: Tx, wanted: str) -> str:
    taken = {app.slug for app in apps.all_apps(tx)}
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return wanted if wanted not in taken else next(name for name in numbered if name not in taken)
