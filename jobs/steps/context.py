"""What a step is given, and what steps hand on to each other."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bot.domain.app import App
from bot.domain.deployment import Deployment, Phase
from bot.domain.environment import Environment
from bot.domain.ids import Digest
from bot.domain.pull import PullRequest
from bot.domain.trust import Trust, trust_of
from bot.logs import LogWriter
from bot.settings import Settings
from bot.variables import NOTHING, Given
from jobs.stopping import StoppedError


@dataclass(frozen=True)
class Context:
    """One attempt at one deployment, as its steps see it.

    `stopped` is asked often, at least every 0.2 s while something long runs; once it is true, a step
    ends what it started and raises `StoppedError`. `workspace` is a folder of this attempt alone; it
    exists, is empty at first, and is removed afterwards. `ran` is told of each command of the user's
    that ran, with its exit code. `variables` are what the environment gives to a build, `pull` is what is
    known of the pull request that it is of.
    """

    app: App
    environment: Environment
    deployment: Deployment
    settings: Settings
    log: LogWriter
    workspace: Path
    stopped: Callable[[], bool]
    ran: Callable[[Phase, str, int], None]
    variables: Given = NOTHING
    pull: PullRequest | None = None

    @property
    def trust(self) -> Trust:
        """How far the commit's code is trusted."""
        return trust_of(self.deployment, self.pull)

    def check(self) -> None:
        """Raise `StoppedError` when the work must end."""
        if self.stopped():
            raise StoppedError


PLACE_VARIABLES = ("SLIPWAY_ENVIRONMENT", "SLIPWAY_URL", "SLIPWAY_BRANCH")
"""What tells a build where its result is going to be."""


@dataclass(frozen=True)
class Source:
    """The exact commit's files. `tree` is kept between deployments and is never written by a build.

    `root` is the app's root directory below `tree`; `digest` names the content of `root` and of what
    the app needs besides.
    """

    tree: Path
    root: Path
    digest: str


@dataclass(frozen=True)
class Plan:
    """How a static app is built, and why we think so.

    `install` and `build` are argv lists, or a user's own command as `["sh", "-c", command]`; empty
    when there is nothing to run. `output` is relative to the root; when it is not there after the
    build, the first of `alternatives` that is there is the output. `key` is the digest of everything
    that decides the release's content: the tree, the recipe, the tools. With `tells_place` the build is
    told which environment, address and branch it is for, and what it makes is used nowhere else.
    `required` names variables that must be set, as `required_by` says: a file, or the app's settings.
    """

    framework: str
    evidence: tuple[str, ...]
    package_manager: str | None
    install: tuple[str, ...]
    build: tuple[str, ...]
    output: str
    lock_files: tuple[str, ...]
    spa: bool
    key: Digest
    alternatives: tuple[str, ...] = ()
    tells_place: bool = True
    required: tuple[str, ...] = ()
    required_by: str = ""

    @property
    def is_built(self) -> bool:
        """Whether anything runs: else files are published as they are, whatever the variables."""
        return bool(self.install or self.build)
