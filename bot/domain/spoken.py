"""What became of the commands of a comment, and what people are told of it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType

from bot.domain.ids import AppId, DeliveryId
from bot.domain.pull import PullNumber

SpokenId = NewType("SpokenId", int)


class Outcome(StrEnum):
    """What became of a comment's commands as a whole, and so which reaction it gets."""

    DONE = "done"
    REFUSED = "refused"
    """At least one of them could not be carried out; the answer tells why."""
    DENIED = "denied"
    """Its author may not command."""
    UNKNOWN = "unknown"
    """GitHub did not say whether its author may, so nothing was done."""


REACTIONS = {
    Outcome.DONE: "+1",
    Outcome.REFUSED: "confused",
    Outcome.DENIED: "-1",
    Outcome.UNKNOWN: "confused",
}
"""GitHub's names (docs.github.com/rest/reactions)."""


@dataclass(frozen=True)
class Said:
    """What became of one command. `text`: a sentence for people, empty where there is nothing to say.

    `helps`: the list of commands follows.
    """

    word: str
    ok: bool
    text: str = ""
    helps: bool = False

    @property
    def is_answer(self) -> bool:
        """Whether people must be told anything."""
        return bool(self.text) or self.helps


@dataclass(frozen=True)
class Spoken:
    """The commands of one comment, as one app carried them out."""

    id: SpokenId
    app_id: AppId
    delivery_id: DeliveryId
    repository_id: int
    number: PullNumber
    comment_id: int
    author: str
    outcome: Outcome
    answers: tuple[Said, ...]
    told_at: datetime | None
    attempts: int
    note: str
