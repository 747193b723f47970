"""The release step: makes the release's files ready beside what is live, then switches the hostname."""

from dataclasses import dataclass
from pathlib import Path

from bot.domain.release import Release
from bot.errors import ErrorCode, PlatformError
from jobs.artifacts.store import ArtifactStore, DamagedError
from jobs.release_folder import has_rules, lay_out
from jobs.site_entry import Watch
from jobs.sites import Sites
from jobs.steps.context import Context


@dataclass(frozen=True)
class Ready:
    """A release whose files stand where the edge can serve them."""

    release: Release
    has_rules: bool


def prepare(context: Context, release: Release, artifacts: ArtifactStore) -> Ready:
    """Put the release's files below the edge's home; visitors see nothing of it yet.

    Raises `PlatformError` RELEASE_DAMAGED when its artifacts are missing or not what they were.
    """
    target = _folder(context, release)
    try:
        warnings = lay_out(artifacts, release.manifest, target)
    except (FileNotFoundError, DamagedError) as error:
        raise PlatformError(ErrorCode.RELEASE_DAMAGED, release=release.name, detail=str(error)) from error
    for warning in warnings:
        context.log.say("release", str(warning))
    ready = "1 file is ready" if release.files == 1 else f"{release.files:,} files are ready"
    context.log.say("release", f"{release.name}: {ready}.")
    return Ready(release, has_rules(target))


def is_whole(context: Context, release: Release, artifacts: ArtifactStore) -> bool:
    """Whether a release can be shown; what is damaged of it is forgotten, so that a build makes it anew."""
    try:
        lay_out(artifacts, release.manifest, _folder(context, release))
    except (FileNotFoundError, DamagedError) as error:
        context.log.say("plan", f"Release {release.name} has this content, but can't be shown: {error}")
        artifacts.forget(release.manifest)
        if isinstance(error, DamagedError):
            artifacts.forget(error.digest)
        return False
    return True


def activate(
    context: Context,
    ready: Ready,
    activation: int,
    sites: Sites,
    *,
    lasting: str,
    unlisted: bool,
    watches: tuple[Watch, Watch],
) -> None:
    """Switch the environment's hostname to the release; `lasting` is the hostname of the release alone.

    With `unlisted`, search engines are asked to leave the environment out. `watches`: what is asked before
    the environment's hostname is served, and before the release's.
    """
    hostname, release = context.environment.hostname, ready.release
    asked, asked_always = watches
    # What visitors wait for comes first; the other, should we be killed between them, the sweep adds.
    for name, number, hidden, watch in (
        (hostname, activation, unlisted, asked),
        (lasting, 1, True, asked_always),
    ):
        sites.activate(
            name,
            activation=number,
            release=release.id,
            spa=release.spa,
            rules=ready.has_rules,
            unlisted=hidden,
            watch=watch,
        )
    context.log.say("release", f"{release.name} is live at {context.settings.site_url(hostname)}")
    context.log.say("release", f"and, as long as it is kept, at {context.settings.site_url(lasting)}")


def _folder(context: Context, release: Release) -> Path:
    return context.settings.edge_home / "releases" / str(release.id)
