"""A release: the immutable result of a build, a manifest of content-addressed files."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from bot.domain.ids import AppId, DeploymentId, Digest, ReleaseId, Sha

_ADJECTIVES = """
amber bold brave bright calm clear cool crisp deep eager early fair fast fine fresh gentle glad golden grand
green happy honest jolly keen kind light lively lucky mellow merry mild neat noble pale plain proud quick
quiet rapid ready rich royal sharp shiny silent silver smooth snowy solid spry steady still sunny
swift tidy true vivid warm wise witty young zesty
""".split()
_ANIMALS = """
badger bear beaver bison crane deer dolphin dove duck eagle egret elk falcon ferret finch fox gecko goose gull
hare hawk heron ibis jackal jay kestrel kite koala lark lemur lion lynx magpie marten mole moose newt otter
owl panda pelican petrel pika plover puffin quail rabbit raven robin salmon seal shrew sparrow stork
swan swift tern tiger toad trout turtle vole whale wolf wren
""".split()


@dataclass(frozen=True)
class Release:
    """One release of an app. `key` is the digest of everything that decided its content."""

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


def release_name(app: AppId, number: int) -> str:
    """A name that people can say, such as `amber-otter-42`; unique in its app through the number."""
    seed = hashlib.sha256(f"{app}/{number}".encode()).digest()
    adjective = _ADJECTIVES[int.from_bytes(seed[:2], "big") % len(_ADJECTIVES)]
    animal = _ANIMALS[int.from_bytes(seed[2:4], "big") % len(_ANIMALS)]
    return f"{adjective}-{animal}-{number}"
