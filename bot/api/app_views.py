"""What apps look like in requests and answers."""

from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from bot.api.envelope import Model
from bot.api.lean import lean
from bot.api.operation import Call, Searching
from bot.api.patterns import LINE, REMOTE
from bot.domain.app import App, is_inside, is_repository, is_slug
from bot.domain.environment import PRODUCTION, hostname_of
from bot.intake.events import is_branch
from bot.registration import INSIDE
from bot.store.places import Production

_NOTHING = "Nothing is live yet. The first deployment that succeeds makes the address work."


def _repository(value: str) -> str:
    if not is_repository(value):
        raise ValueError("Write OWNER/NAME, such as acme/shop, without .git.")
    return value


def _branch(value: str) -> str:
    if not is_branch(value):
        raise ValueError("This is not the name of a branch.")
    return value


def _inside(value: str) -> str:
    if not is_inside(value):
        raise ValueError(f"It must be {INSIDE}.")
    return value


def _slug(value: str) -> str:
    if not is_slug(value):
        raise ValueError(
            "Use lowercase letters, digits and single hyphens, at most 40, and not digits alone."
        )
    return value


Line = Annotated[str, Field(max_length=4096, pattern=LINE)]
Repository = Annotated[str, AfterValidator(_repository), Field(max_length=200, examples=["acme/shop"])]
Branch = Annotated[str, AfterValidator(_branch), Field(max_length=250, examples=["main"])]
Directory = Annotated[Line, AfterValidator(_inside), Field(max_length=1024, examples=["web"])]
Slug = Annotated[str, AfterValidator(_slug), Field(max_length=40, examples=["shop"])]
Command = Annotated[Line, Field(min_length=1, examples=["npm run build"])]
CloneUrl = Annotated[
    str, Field(max_length=1000, pattern=REMOTE, examples=["https://github.com/acme/shop.git"])
]


class LiveRelease(Model):
    """What is live in an app's production."""

    release: str = Field(examples=["amber-otter-42"])
    number: int = Field(examples=[42])
    commit: str = Field(examples=["5c1f0a3e9d7b2c4e6f8a0b1d3c5e7f9a1b3c5d7e"])
    since: datetime | None = Field(examples=["2026-01-31T12:00:00Z"])


class AppView(Model):
    """An app."""

    id: int = Field(examples=[7])
    slug: str = Field(examples=["shop"])
    """Its name in addresses; ids and slugs both work in paths."""
    project: str = Field(examples=["default"])
    repository: str = Field(examples=["acme/shop"])
    clone_url: str = Field(examples=["https://github.com/acme/shop.git"])
    production_branch: str = Field(examples=["main"])
    root_directory: str = Field(examples=[""])
    install_command: str | None = Field(examples=[None])
    build_command: str | None = Field(examples=["npm run build"])
    """Null: slipway.toml says it, or it is detected."""
    output_directory: str | None = Field(examples=["dist"])
    enabled: bool = Field(examples=[True])
    """Whether pushes deploy."""
    private: bool | None = Field(examples=[True])
    """Whether its repository is, as GitHub told last; null until then, which counts as private."""
    protection: Literal["auto", "off", "link", "login"] | None = Field(examples=[None])
    """Who sees its previews. Null: slipway.toml says it (`policy.previews.protection`)."""
    status: Literal["active", "disabled", "archived"] = Field(examples=["active"])
    url: str = Field(examples=["https://shop.example.org"])
    """Where production is, once something is live."""
    live: LiveRelease | None
    notice: str | None = Field(examples=[None])
    """What to know about its present state."""
    created_at: datetime = Field(examples=["2026-01-31T11:00:00Z"])
    archived_at: datetime | None = Field(examples=[None])


class CreatedApp(AppView):
    """A new app."""

    webhook_secret: str | None = Field(examples=[None])
    """The secret of its own webhook, when one was asked for; shown this once."""


class CreateApp(Model):
    """What is needed for an app. What is left out is guessed, detected, or read from slipway.toml."""

    repository: Repository
    clone_url: CloneUrl | None = None
    """Any git URL without a password in it; default: the repository on GitHub."""
    slug: Slug | None = None
    production_branch: Branch | None = None
    """Default: GitHub's default branch where that is known, else `main`."""
    root_directory: Directory = ""
    install_command: Command | None = None
    build_command: Command | None = None
    output_directory: Directory | None = None
    own_secret: bool = Field(default=False, examples=[False])
    """Make a webhook secret for this app alone."""


class UpdateApp(Model):
    """What of an app can be changed; what is left out stays. Null means: read or detect it."""

    project: Annotated[Line, Field(min_length=1, max_length=40, examples=["default"])] = ""
    """Another project of the same organisation, by slug or id."""
    production_branch: Branch = "main"
    root_directory: Directory = ""
    install_command: Command | None = None
    build_command: Command | None = None
    output_directory: Directory | None = None
    enabled: bool = Field(default=True, examples=[True])
    """False: pushes pass without a deployment; what is live stays live."""
    protection: Literal["auto", "off", "link", "login"] | None = Field(default=None, examples=["link"])
    """Who sees previews: whoever knows the address (`off`), who has a share link or signs in (`link`), who
    signs in (`login`); `auto` is `link` for private repositories. Null: slipway.toml says it."""


class AppQuery(Searching):
    """Which apps."""

    status: Literal["active", "disabled", "archived", "all"] | None = Field(default=None, examples=["active"])
    """Default: those that are not archived."""
    sort: Literal["slug", "-slug", "createdAt", "-createdAt"] = Field(default="slug", examples=["slug"])


row = lean(AppView)
"""Makes a row of a list of the fields of an app."""


def view(call: Call, app: App, live: Production | None) -> dict[str, Any]:
    """The fields of an app, as models take them."""
    settings = call.services.settings
    hostname = live.hostname if live else hostname_of(app.slug, PRODUCTION, settings.preview_domain)
    status = "archived" if app.archived_at else "active" if app.enabled else "disabled"
    return {
        **dict(zip(_COPIED, _copied(app), strict=True)),
        "status": status,
        "url": settings.site_url(hostname),
        "live": _live(live),
        "notice": app.absence.sentence if app.absence else None if live and live.release else _NOTHING,
    }


_COPIED = (
    "id slug repository clone_url production_branch root_directory install_command build_command "
    "output_directory enabled private protection created_at archived_at"
).split()
_copied = attrgetter(*_COPIED)


def _live(live: Production | None) -> dict[str, Any] | None:
    if live is None or live.release is None or live.release_number is None or live.sha is None:
        return None
    return {
        "release": live.release,
        "number": live.release_number,
        "commit": live.sha,
        "since": live.since,
    }
