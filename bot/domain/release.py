"""A release: the immutable result of a build, a manifest of content-addressed files."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from bot.domain.deployment import Kind
from bot.domain.environment import label
from bot.domain.ids import AppId, DeploymentId, Digest, ReleaseId, Sha
from bot.domain.trust import Trust

_ADJECTIVES = """
amber bold brave bright calm clear cool crisp deep eager early fair fast fine fresh gentle glad golden grand
green happy honest jolly keen kind light lively lucky mellow merry mild neat noble pale plain proud quick
quiet rapid ready rich royal sharp shiny silent silver smooth snowy solid spry steady still sunny swift tidy
true vivid warm wise witty young zesty
""".split()
_ANIMALS = """
badger bear beaver bison crane deer dolphin dove duck eagle egret elk falcon ferret finch fox gecko goose gull
hare hawk heron ibis jackal jay kestrel kite koala lark lemur lion lynx magpie marten mole moose newt otter
owl panda pelican petrel pika plover puffin quail rabbit raven robin salmon seal shrew sparrow stork swan
swift tern tiger toad trout turtle vole whale wolf wren
""".split()


@dataclass(frozen=True)
class Release:
    """One release of an app. `key` is the digest of everything that decided its content.

    `trust` is that of the code that built it; it is a part of the key, too.
    """

    id: ReleaseId
    app_id: AppId
    number: int
    name: str
    key: Digest
    manifest: Digest
    sha: Sha
    files: int
    size: int
    spa: bool
    deployment_id: DeploymentId
    created_at: datetime
    trust: Trust = Trust.FULL


def release_hostname(release: Release, slug: str, domain: str) -> str:
    """The hostname that shows this release and never another: `<12 hexadecimal digits>-<app>.<domain>`.

    Nobody can guess it who does not know the content.
    """
    seed = f"{release.app_id}/{release.id}/{release.manifest}"
    digits = hashlib.sha256(seed.encode()).hexdigest()[:12]
    return f"{label(digits, slug)}.{domain}"


def release_name(app: AppId, number: int) -> str:
    """A name that people can say, such as `amber-otter-42`; unique in its app through the number."""
    seed = hashlib.sha256(f"{app}/{number}".encode()).digest()
    adjective = _ADJECTIVES[int.from_bytes(seed[:2], "big") % len(_ADJECTIVES)]
    animal = _ANIMALS[int.from_bytes(seed[2:4], "big") % len(_ANIMALS)]
    return f"{adjective}-{animal}-{number}"


def previous(
    shown: Iterable[tuple[Kind, ReleaseId]], active: ReleaseId | None, kept: Collection[ReleaseId]
) -> ReleaseId | None:
    """What was live before the active release, of what is kept yet; None when there is nothing.

    `shown` is the environment's history, oldest first. A rollback takes back what came after the
    release that it brought back, so that the next one goes further back instead of to and fro.
    """
    row: list[ReleaseId] = []
    for kind, release in shown:
        if kind is Kind.ROLLBACK and release in row:
            while row[-1] != release:
                row.pop()
        elif row[-1:] != [release]:
            row.append(release)
    return next((one for one in reversed(row) if one != active and one in kept), None)


def releases_to_keep(releases: Iterable[Release], live: Collection[ReleaseId], keep: int) -> set[ReleaseId]:
    """The releases that must not be swept away: the live ones, and the newest `keep` others of each app.

    `live` are those that something needs now: an environment, or a deployment that is not finished. Those
    of strangers count apart: however many they make, what production may roll back to stays.
    """
    kept: set[ReleaseId] = set()
    spare: Counter[tuple[AppId, Trust]] = Counter()
    for release in sorted(releases, key=lambda release: release.number, reverse=True):
        if release.id not in live:
            spare[release.app_id, release.trust] += 1
        if release.id in live or spare[release.app_id, release.trust] <= keep:
            kept.add(release.id)
    return kept
