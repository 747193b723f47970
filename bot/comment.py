"""The one comment on a pull request, for all apps of its repository; pure.

It changes only when a state does: no clocks that run and no positions in queues, since each edit is a
write to GitHub and a call for attention.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from bot.domain.comment import ShownComment
from bot.domain.deployment import State
from bot.domain.ids import DeploymentId, Sha
from bot.intake.commands import MEANS, USAGE
from bot.render import text

MARKER = "<!-- slipway:pr -->"
"""The first line: by it and by its author the comment is found again."""
MAX_LENGTH = 60_000
"""Characters; GitHub takes 65,536."""
MAX_ROWS = 100
"""Apps shown; the rest are counted."""

_EARLY_EDITS = 2
_GONE = "💤"
_EMBLEMS = {
    State.HELD: "✋",
    State.QUEUED: "⏳",
    State.RUNNING: "⏳",
    State.CANCELLING: "⏳",
    State.SUCCEEDED: "✅",
    State.FAILED: "❌",
    State.CANCELLED: "⏹️",
    State.REJECTED: "⛔",
    State.SUPERSEDED: "⏭️",
    State.SKIPPED: "➖",
}


@dataclass(frozen=True)
class Row:
    """One app whose preview is, was or will be there.

    `says`: the state as a sentence, with what a stranger wrote in it. `url` is None unless the preview
    is served; `link`: where a click leads, when that is not the same. `took`: how long its deployment
    took, None until it has ended. `gone`: taken down again.
    """

    app: str
    deployment: DeploymentId
    state: State
    says: str
    sha: Sha
    commit_url: str
    page: str
    url: str | None = None
    link: str | None = None
    took: timedelta | None = None
    gone: bool = False

    @property
    def host(self) -> str:
        """Where the preview is, without the scheme."""
        return (self.url or "").partition("://")[2].rstrip("/")

    @property
    def emblem(self) -> str:
        """The state at a glance."""
        return _GONE if self.gone else _EMBLEMS[self.state]


@dataclass(frozen=True)
class SkippedRow:
    """An app that this pull request does not deploy, and why."""

    app: str
    reason: str


@dataclass(frozen=True)
class HeldRow:
    """An app whose preview waits, for what, and the command that releases this very commit."""

    app: str
    sha: Sha
    reason: str
    deployment: DeploymentId
    command: str | None = None


@dataclass(frozen=True)
class AnswerLine:
    """What became of one command, for one app; `app` is None where a repository has but one."""

    word: str
    text: str
    app: str | None = None


@dataclass(frozen=True)
class Answer:
    """What there is to say to whoever wrote commands last. `comment`: the one that they stand in."""

    author: str
    comment: int
    lines: Sequence[AnswerLine]
    helps: bool = False


@dataclass(frozen=True)
class PullComment:
    """Everything that the comment says. `notes`: sentences about lifetime, limits and locks."""

    rows: Sequence[Row] = ()
    held: Sequence[HeldRow] = ()
    skipped: Sequence[SkippedRow] = ()
    notes: Sequence[str] = ()
    commands: Sequence[str] = ()
    answer: Answer | None = None

    @property
    def is_worth_it(self) -> bool:
        """Whether there is anything to tell: nobody wants to read that nothing happens."""
        return bool(self.rows or self.held or self.answer)


def body(comment: PullComment) -> str:
    """The comment's text in GitHub's Markdown, at most `MAX_LENGTH` characters, the marker first."""
    shown = comment.rows
    count = min(len(shown), MAX_ROWS)
    while True:
        facts = {
            "marker": MARKER,
            "rows": shown[:count],
            "more": len(shown) - count,
            "held": comment.held[:MAX_ROWS],
            "skipped": comment.skipped[:MAX_ROWS],
            "notes": comment.notes,
            "commands": comment.commands,
            "answer": comment.answer,
            "usage": USAGE,
            "means": MEANS,
        }
        made = text("comment/pull.md.j2", facts)
        if len(made) <= MAX_LENGTH or count == 0:
            return made[:MAX_LENGTH]
        count //= 2


def next_shown(comment: PullComment, before: ShownComment | None) -> ShownComment | None:
    """What to remember once the comment is written; None when it must not be written now.

    A deployment costs two edits at most before its end, and one more for that.
    """
    digest = sha256(body(comment).encode()).hexdigest()
    if before is not None and before.digest == digest:
        return None
    states = {str(row.deployment): _state(row) for row in comment.rows}
    states |= {str(row.deployment): f"held {row.reason}" for row in comment.held}
    # Neither is a deployment's: each is said at once.
    told = {"notes": " ".join(comment.notes)} if comment.notes else {}
    told |= {"answer": str(comment.answer.comment)} if comment.answer else {}
    states |= told
    known = before or ShownComment("", {}, {})
    changed = {one for one, state in states.items() if known.states.get(one) != state}
    waiting = {str(row.deployment) for row in comment.rows if not row.state.is_final}
    waiting |= {str(row.deployment) for row in comment.held}
    if changed and all(one in waiting and known.edits.get(one, 0) >= _EARLY_EDITS for one in changed):
        return None
    edits = {one: known.edits.get(one, 0) + (one in changed) for one in states if one not in told}
    return ShownComment(digest, states, edits)


def _state(row: Row) -> str:
    # Of a link that opens a protected preview no more than whether it is another one.
    link = sha256(row.link.encode()).hexdigest()[:12] if row.link else ""
    return f"{row.state}{row.gone}{row.url}{link}{row.says}"
