"""Registers apps: what of a wish is given, what is guessed, and what can't be."""

import secrets
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path, PurePosixPath

from bot.domain.app import App, is_inside, is_repository, is_slug, slug_of
from bot.domain.environment import PRODUCTION, hostname_of, is_free_of_others
from bot.domain.ids import ProjectId, TenantId
from bot.domain.listing import Listed
from bot.errors import ErrorCode, UserError
from bot.intake.events import is_branch
from bot.settings import Settings
from bot.store import apps, environments
from bot.store.apps import NewApp
from bot.store.engine import Tx
from bot.vault import Vault

_RESERVED = frozenset({"detect"})
"""Parts of the API's addresses."""
_SLUG = "lowercase letters, digits and single hyphens, at most 40, and not digits alone"
INSIDE = "a path below the repository's top, without '..'"


@dataclass(frozen=True)
class Wish:
    """An app as somebody wants it. Without a slug it is named after its folder or repository.

    Without a branch it is the default one of GitHub, where that is known, else `main`.
    """

    repository: str
    clone_url: str | None = None
    root_directory: str = ""
    build_command: str | None = None
    output_directory: str | None = None
    production_branch: str | None = None
    slug: str | None = None
    own_secret: bool = False
    install_command: str | None = None


@dataclass(frozen=True)
class Registered:
    """An app that was registered, and its own webhook secret where it has one: nobody can read it later."""

    app: App
    secret: str | None


@dataclass(frozen=True)
class Registry:
    """Registers apps of one instance."""

    settings: Settings
    vault: Vault

    def register(
        self,
        tx: Tx,
        wish: Wish,
        now: datetime,
        scope: tuple[TenantId, ProjectId] | None = None,
        *,
        listed: Listed | None = None,
    ) -> Registered:
        """Store an app; `listed` is its repository as GitHub listed it, which fills in what nobody said.

        Raises `UserError` INVALID_VALUE.
        """
        if listed is not None:
            wish = replace(wish, repository=listed.full_name, clone_url=listed.clone_url)
        branch = wish.production_branch or (listed.default_branch if listed else "main")
        _check_wish(wish, branch)
        secret = secrets.token_hex(32) if wish.own_secret else None
        new = NewApp(
            slug=wish.slug or "",
            repository=wish.repository,
            clone_url=self._clone_url(wish),
            production_branch=branch,
            root_directory="/".join(PurePosixPath(wish.root_directory).parts),
            install_command=wish.install_command,
            build_command=wish.build_command,
            output_directory=wish.output_directory,
            webhook_secret=self.vault.seal(secret.encode()) if secret else None,
        )
        app = apps.insert(tx, self._named(tx, new), now, scope)
        if listed is not None:
            apps.pin_repository(tx, app.id, listed.id, listed.installation_id)
        return Registered(apps.get(tx, app.id), secret)

    def _clone_url(self, wish: Wish) -> str:
        if wish.clone_url is None:
            return f"{self.settings.github_url.rstrip('/')}/{wish.repository}.git"
        return Path(wish.clone_url).as_uri() if Path(wish.clone_url).is_absolute() else wish.clone_url

    def _named(self, tx: Tx, new: NewApp) -> NewApp:
        folder = new.root_directory.rpartition("/")[2] or new.repository.partition("/")[2]
        slug = new.slug or _free_slug(tx, slug_of(folder))
        check("slug", slug, is_slug(slug), _SLUG)
        expected = "a slug unlike 'pr-12-shop' and '0123456789ab-shop', which are addresses of the app 'shop'"
        check("slug", slug, is_free_of_others(slug), expected)
        free = apps.by_slug(tx, slug) is None and slug not in _RESERVED
        check("slug", slug, free, "a slug that no other app has")
        hostname = hostname_of(slug, PRODUCTION, self.settings.preview_domain)
        free = not environments.has_hostname(tx, hostname)
        check("slug", slug, free, f"a slug whose hostname {hostname} is not in use")
        return replace(new, slug=slug)


def check(field: str, value: str, ok: bool, expected: str) -> None:
    """Raise `UserError` INVALID_VALUE unless a value is what it must be."""
    if not ok:
        raise UserError(ErrorCode.INVALID_VALUE, field=field, value=value, expected=expected)


def _check_wish(wish: Wish, branch: str) -> None:
    check("repository", wish.repository, is_repository(wish.repository), "OWNER/NAME, such as acme/shop")
    check("production-branch", branch, is_branch(branch), "a branch's name")
    check("root-directory", wish.root_directory, is_inside(wish.root_directory), INSIDE)
    output = wish.output_directory or ""
    check("output-directory", output, is_inside(output), INSIDE)


def _free_slug(tx: Tx, wanted: str) -> str:
    taken = {app.slug for app in apps.all_apps(tx)} | _RESERVED
    numbered = (f"{wanted}-{number}" for number in range(2, len(taken) + 3))
    return wanted if wanted not in taken else next(name for name in numbered if name not in taken)
