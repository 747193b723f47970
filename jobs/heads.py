"""Whether a branch has moved on: the commit of an event may be old by the time somebody looks at it."""

from collections.abc import Sequence

from bot.domain.app import App
from bot.domain.deployment import Commit
from bot.domain.ids import Sha
from bot.intake.decide import skip_marker
from bot.intake.recipe_file import SKIP_MARKERS
from jobs.git import Mirrors


def overtaking(
    mirrors: Mirrors, app: App, sha: Sha, head: Commit, *, markers: Sequence[str] = SKIP_MARKERS
) -> Commit | None:
    """The branch's head, when it takes the place of an event's commit; None when that commit stands.

    It stands when it is the head; when the head is behind it, since git may show a push later than the
    event tells of it; and when the head says by one of `markers` that it wants to be skipped. The mirror
    must have the head.
    """
    if head.sha == sha or skip_marker(head.message, markers) or mirrors.contains(app, sha, head.sha):
        return None
    return head


def head_of_pull(told: Sha, branch: Sha | None, ref: Sha | None) -> Sha:
    """A pull request's head: what an event told, unless git shows another.

    `branch` is where its branch is, when that is in the same repository, and `ref` where GitHub's ref for
    it is. Either may be late or gone; the branch is what people push to.
    """
    found = [one for one in (branch, ref) if one is not None]
    return told if not found or told in found else found[0]
