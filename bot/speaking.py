"""Who speaks commands, where, and how one is turned down."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.domain.permission import Level
from bot.domain.pull import PullNumber, PullRequest
from bot.intake.recipe_file import Policy
from bot.locks import Locker

T = TypeVar("T")


@dataclass(frozen=True)
class Speaker:
    """Who wrote the comment, and what they may do in the repository on GitHub."""

    login: str
    level: Level

    @property
    def key(self) -> str:
        """Who it is, unmistakably."""
        return f"github:{self.login.lower()}"

    @property
    def locker(self) -> Locker:
        """The same, as locks know people."""
        return Locker(self.login, self.key, is_admin=self.level >= Level.MAINTAIN)


@dataclass(frozen=True)
class Ground:
    """Where commands are spoken. `pull` is None while nothing is known of it; `head`: as git has it.

    `siblings`: every app that is made from the repository, this one too.
    """

    app: App
    number: PullNumber
    policy: Policy
    pull: PullRequest | None
    head: Commit | None
    siblings: Sequence[str]

    @property
    def others(self) -> str:
        """The apps that can be named, for people."""
        return ", ".join(self.siblings)


class RefusedError(Exception):
    """A command is not carried out; the text says why, in a sentence."""


class UnconcernedError(Exception):
    """A command that names no app is about the repository's other apps."""


def known(found: T | None, otherwise: str) -> T:
    """What was found. Raises `RefusedError` with the other words when nothing was."""
    if found is None:
        raise RefusedError(otherwise)
    return found
