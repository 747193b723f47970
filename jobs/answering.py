"""Shows people that their commands were heard: a reaction to their comment, an answer within ours."""

from bot.domain.app import App
from bot.domain.spoken import REACTIONS, Outcome, Spoken, SpokenId
from bot.github.comments import PullComments
from bot.github.errors import GitHubError, NotFoundError, RejectedError, RetryLaterError
from bot.log import logger
from bot.queue import Queue
from bot.store import apps, spoken
from bot.store.engine import reading, writing
from jobs import pull_comment
from jobs.announce import Announcing, pause_after

MAX_UNTOLD = 100
"""How many answers one sweep enqueues."""
MAX_ATTEMPTS = 12
"""Attempts after which nobody waits for a receipt any more."""


def answer(tools: Announcing, spoken_id: SpokenId) -> None:
    """Show the receipt of a comment's commands, or note when to try again; nothing is raised."""
    with reading(tools.lifecycle.engine) as tx:
        one = spoken.find(tx, spoken_id)
        app = apps.get(tx, one.app_id) if one is not None else None
    if one is None or app is None or one.told_at is not None:
        return
    try:
        if tools.github.is_set:
            _show(tools, app, one)
    except GitHubError as error:
        if one.attempts + 1 < MAX_ATTEMPTS:
            _put_off(tools, one, error)
            return
        logger.warning("a command stays without its receipt", comment=one.comment_id, why=str(error))
    with writing(tools.lifecycle.engine) as tx:
        spoken.set_told(tx, [one.id], tools.clock())


def untold(tools: Announcing, queue: Queue) -> None:
    """Enqueue the answers that GitHub does not show yet and that are due."""
    now = tools.clock()
    with reading(tools.lifecycle.engine) as tx:
        due = spoken.untold(tx, MAX_UNTOLD, now)
    for one in due:
        queue.answer(one, f"-{int(now.timestamp() * 1000)}")


def _show(tools: Announcing, app: App, one: Spoken) -> None:
    repository = tools.github.repository(app)
    # What strangers write must not take the writes that others wait for.
    share = 1.0 if one.outcome in (Outcome.DONE, Outcome.REFUSED) else 0.5
    try:
        PullComments(repository, one.number).react(one.comment_id, REACTIONS[one.outcome], share=share)
    except NotFoundError:
        logger.info("the comment is gone", comment=one.comment_id)
    except RetryLaterError:
        raise
    except RejectedError as error:
        logger.warning("GitHub takes no reaction", comment=one.comment_id, why=str(error))
    if one.outcome in (Outcome.DONE, Outcome.REFUSED):
        pull_comment.show(tools.pull_comments, app, one.number)


def _put_off(tools: Announcing, one: Spoken, error: GitHubError) -> None:
    retry_at = tools.clock() + pause_after(error, one.attempts)
    with writing(tools.lifecycle.engine) as tx:
        spoken.put_off(tx, one.id, f"GitHub does not show the receipt yet: {error}", retry_at)
