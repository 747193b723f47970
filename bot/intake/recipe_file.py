"""What a `slipway.toml` may say: every key once, with its type, limits, default and help. Pure.

Reading, checking, `GET /schema/slipway.json` and `slipway config` all go by these definitions.
"""

from datetime import timedelta
from typing import Annotated, Literal

from msgspec import Meta, Struct

from bot.domain.duration import PATTERN as DURATION
from bot.domain.duration import duration
from bot.domain.variable import MAX_COUNT, MAX_NAME

PREVIEW = "preview"
"""Stands in `[policy.checks]` for all previews."""
SKIP_MARKERS = (
    "[skip ci]",
    "[ci skip]",
    "[no ci]",
    "[skip actions]",
    "[actions skip]",
    "[skip cd]",
    "[skip deploy]",
    "[deploy skip]",
)
"""The first five are GitHub's own (docs.github.com: "Skipping workflow runs")."""
# `$` alone would let a newline follow, in Python though not in JSON Schema.
# Names that Slipway gives itself: production, previews, and releases by the digits of their id.
OWN_NAME = (
    r"^(?!(?:production|preview.*|pr-[0-9]+|[0-9a-f]{12})$)(?!.*--)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?!\n)$"
)
_PLACE = r"^(?!.*--)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?!\n)$"
_NAME = "a name of at most 30 lowercase letters, digits and single hyphens"
_INSIDE = r"^(?!/)(?!(?:[\s\S]*/)?\.\.(?:/|$))[^\u0000]*(?!\n)$"

Command = Annotated[str, Meta(min_length=1, max_length=4096)]
Directory = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=1024,
        pattern=_INSIDE,
        extra={"expected": "a path without a '/' at its beginning and without '..'"},
    ),
]
Environment = Annotated[
    str,
    Meta(
        max_length=30,
        pattern=OWN_NAME,
        extra={"expected": f"{_NAME}, and none that Slipway uses itself"},
    ),
]
Place = Annotated[
    str,
    Meta(max_length=30, pattern=_PLACE, extra={"expected": "production, preview, or an environment's name"}),
]
AppName = Annotated[
    str,
    Meta(max_length=40, pattern=_PLACE, extra={"expected": "an app's name as 'slipway app list' shows it"}),
]
Branch = Annotated[str, Meta(min_length=1, max_length=255, examples=["develop"])]
BranchGlob = Annotated[str, Meta(min_length=1, max_length=255, examples=["main", "release/*"])]
PathGlob = Annotated[str, Meta(min_length=1, max_length=1024, examples=["src/**", "!docs/**"])]
Label = Annotated[str, Meta(min_length=1, max_length=50, examples=["preview"])]
Marker = Annotated[
    str,
    Meta(
        max_length=50,
        pattern=r"^\[[^\[\]\r\n]+\](?!\n)$",
        examples=["[skip deploy]"],
        extra={"expected": 'words in square brackets, such as "[skip deploy]"'},
    ),
]
CheckName = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=255,
        pattern=r"^(?![sS][lL][iI][pP][wW][aA][yY]/)",
        examples=["test"],
        extra={"expected": "the name of a check of others, such as a job of your CI"},
    ),
]
VariableName = Annotated[
    str,
    Meta(
        max_length=MAX_NAME,
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*(?!\n)$",
        examples=["API_URL"],
        extra={"expected": "a variable's name: letters, digits and underscores, no digit first"},
    ),
]
Duration = Annotated[
    str,
    Meta(
        pattern=DURATION,
        examples=["30m", "72h", "3d"],
        extra={"expected": 'a number and m, h, d or w, such as "72h"'},
    ),
]


class BuildPart(Struct, frozen=True, forbid_unknown_fields=True):
    """How the app is built. Read from the commit that is built."""

    root_directory: Annotated[
        Directory | None,
        Meta(description="Where the app lives in the repository. Default: its top.", examples=["apps/web"]),
    ] = None
    install: Annotated[
        Command | None,
        Meta(description="Installs the dependencies, in the app's root directory.", examples=["npm ci"]),
    ] = None
    command: Annotated[
        Command | None, Meta(description="Builds the app, in its root directory.", examples=["npm run build"])
    ] = None
    output: Annotated[
        Directory | None,
        Meta(
            description="The directory that is published, relative to the root directory.", examples=["dist"]
        ),
    ] = None
    required_variables: Annotated[
        tuple[VariableName, ...],
        Meta(
            max_length=MAX_COUNT,
            description="Names of variables that must be set for builds: without one of them a deployment "
            "fails before anything is built.",
        ),
    ] = ()


class SitePart(Struct, frozen=True, forbid_unknown_fields=True):
    """How the site is served. Read from the commit that is built."""

    spa: Annotated[bool, Meta(description="Whether a path that is no file is answered with index.html.")] = (
        False
    )


class Previews(Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of pull requests. Read from the default branch."""

    enabled: Annotated[bool, Meta(description="Whether pull requests get previews.")] = True
    drafts: Annotated[
        Literal["deploy", "wait"], Meta(description="Drafts are deployed, or wait until they are ready.")
    ] = "deploy"
    bots: Annotated[
        Literal["deploy", "wait", "skip"],
        Meta(description="What becomes of pull requests of bots; those that wait need an `/approve <sha>`."),
    ] = "deploy"
    forks: Annotated[
        Literal["off", "hold", "sandboxed"],
        Meta(
            description="Pull requests from forks are skipped, held until somebody approves their very "
            "commit by `/approve <sha>`, or built at once in a sandbox, without any secrets."
        ),
    ] = "hold"
    only_label: Annotated[
        Label | None, Meta(description="Only pull requests with this label are deployed.")
    ] = None
    skip_label: Annotated[Label | None, Meta(description="Pull requests with this label are not.")] = None
    base_branches: Annotated[
        tuple[BranchGlob, ...],
        Meta(description="Only pull requests into these branches are deployed; empty: into any."),
    ] = ()
    idle: Annotated[
        Duration,
        Meta(description="A preview without a visit or a push for so long sleeps until the next one."),
    ] = "72h"
    max_age: Annotated[Duration, Meta(description="A preview is taken down after that, visited or not.")] = (
        "30d"
    )
    limit: Annotated[
        int, Meta(ge=1, le=1000, description="Previews of the app at once; the longest idle makes room.")
    ] = 20
    comment: Annotated[
        Literal["comment", "status-only", "off"],
        Meta(description="How a pull request is told: comment and status, status alone, or neither."),
    ] = "comment"
    protection: Annotated[
        Literal["auto", "off", "link", "login"],
        Meta(
            description="Who sees previews: whoever knows the address (off), who has a share link or signs "
            "in (link), who signs in (login). 'auto' is 'link' for private repositories, else 'off'."
        ),
    ] = "auto"

    @property
    def idle_after(self) -> timedelta:
        """`idle` as a length of time."""
        return _length(self.idle)

    @property
    def gone_after(self) -> timedelta:
        """`max_age` as a length of time."""
        return _length(self.max_age)


class Checks(Struct, frozen=True, forbid_unknown_fields=True):
    """What a deployment waits for."""

    require: Annotated[
        tuple[CheckName, ...],
        Meta(
            min_length=1,
            max_length=50,
            description="Names of check runs or commit statuses that must have passed before a commit is "
            "deployed by itself; what a person asks for does not wait.",
        ),
    ]
    timeout: Annotated[
        Duration, Meta(description="How long to wait for them; then the deployment is cancelled.")
    ] = "1h"

    @property
    def patience(self) -> timedelta:
        """`timeout` as a length of time."""
        return _length(self.timeout)


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """What is deployed, and where. Read from the default branch only."""

    environments: Annotated[
        dict[Environment, Branch],
        Meta(max_length=50, description="Environments besides production, and the branch brought into each."),
    ] = {}
    paths: Annotated[
        tuple[PathGlob, ...],
        Meta(
            max_length=200,
            description="Ordered globs, relative to the repository's top, of files whose change deploys the "
            "app; '!' negates, the last match wins. Default: its root directory and what that depends on.",
        ),
    ] = ()
    skip_markers: Annotated[
        tuple[Marker, ...],
        Meta(max_length=50, description="Words of a commit's message that keep it from being deployed."),
    ] = SKIP_MARKERS
    checks: Annotated[
        dict[Place, Checks],
        Meta(max_length=50, description="Checks that deployments to a place wait for, by place."),
    ] = {}
    previews: Previews = Previews()

    def checks_for(self, environment: str) -> Checks | None:
        """What deployments to an environment, such as `production` or `preview/pr-12`, wait for."""
        return self.checks.get(PREVIEW if environment.startswith(f"{PREVIEW}/") else environment)


class AppPart(Struct, frozen=True, forbid_unknown_fields=True):
    """One app's own words, in a repository of several. They win over the file's, key by key."""

    build: BuildPart = BuildPart()
    site: SitePart = SitePart()
    policy: Policy = Policy()


class SlipwayFile(Struct, frozen=True, forbid_unknown_fields=True):
    """A slipway.toml: how Slipway builds and deploys the apps of a repository."""

    build: BuildPart = BuildPart()
    site: SitePart = SitePart()
    policy: Policy = Policy()
    apps: Annotated[
        dict[AppName, AppPart],
        Meta(max_length=200, description="One table for each app of the repository, by the app's name."),
    ] = {}


class BuildRecipe(Struct, frozen=True):
    """How the repository wants to be built."""

    build: BuildPart = BuildPart()
    site: SitePart = SitePart()


class Recipe(Struct, frozen=True):
    """What a `slipway.toml` says to one app."""

    build: BuildRecipe = BuildRecipe()
    policy: Policy = Policy()


def _length(text: str) -> timedelta:
    length = duration(text)
    assert length is not None
    return length
