"""What the comment on a pull request was last made to show."""

from dataclasses import dataclass


@dataclass(frozen=True)
class ShownComment:
    """`states`: what it says of each present deployment. `edits`: how many writes each has cost so far."""

    digest: str
    states: dict[str, str]
    edits: dict[str, int]
