"""A pull request as GitHub last told of it, and which of two tales is the newer one."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType

from bot.domain.ids import Sha

PullNumber = NewType("PullNumber", int)
"""A pull request's number in its repository: 1 or more."""
UNDATED = datetime(1970, 1, 1, tzinfo=UTC)
"""When a tale without a date is from: before all others."""


class PullState(StrEnum):
    """Whether a pull request is open. A merged one is closed."""

    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True)
class PullRequest:
    """Facts of one pull request.

    `repository_id` is the repository that it wants to change. `head_repository_id` is the one that its
    branch is in; None when that is gone. `updated_at` is GitHub's own, to the second. `reopened` says
    that the tale is of its reopening, which matters only beside another tale of the same second.
    """

    repository_id: int
    number: PullNumber
    state: PullState
    merged: bool
    draft: bool
    title: str
    author: str
    by_bot: bool
    labels: tuple[str, ...]
    head_sha: Sha
    head_branch: str
    head_repository_id: int | None
    head_repository: str | None
    base_branch: str
    base_sha: Sha | None
    updated_at: datetime
    reopened: bool = False

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor merged."""
        return self.state is PullState.OPEN

    @property
    def is_fork(self) -> bool:
        """Whether its commits come from another repository, or from one that is gone."""
        return self.head_repository_id != self.repository_id

    @property
    def name(self) -> str:
        """How people name it: `#12`."""
        return f"#{self.number}"

    @property
    def ref(self) -> str:
        """The ref under which GitHub shows its head (docs.github.com: 'Checking out pull requests')."""
        return f"refs/pull/{self.number}/head"


def preview_name(number: PullNumber) -> str:
    """Name of the environment of a pull request: `preview/pr-12`."""
    return f"preview/pr-{number}"


def newer(known: PullRequest | None, told: PullRequest) -> PullRequest:
    """The newer of what is known and what is told of one pull request.

    GitHub's dates are whole seconds. Of two tales of one second the later told counts, but closed beats
    open unless the open one tells of a reopening.
    """
    if known is None or told.updated_at > known.updated_at:
        return told
    if told.updated_at < known.updated_at:
        return known
    if told.is_open != known.is_open:
        opened, closed = (told, known) if told.is_open else (known, told)
        return opened if opened.reopened else closed
    return told
