"""What a comment on a pull request means for one app, before anybody is asked about its author. Pure."""

from datetime import datetime, timedelta

from bot.domain.app import App
from bot.intake.commands import Command, Unknown
from bot.intake.comment_events import CommentEvent
from bot.intake.decision import Ignore, Reason

MAX_AGE = timedelta(hours=1)
"""How old a command may be: what was meant then may not be meant now (a rollback, say)."""


def ignored(event: CommentEvent, app: App) -> Ignore | None:
    """Why a comment means nothing for an app; None when its author must be asked about."""
    if not event.commands:
        return Ignore(Reason.NO_COMMAND, f"The comment on #{event.pull} holds no command.")
    if not event.is_person:
        return Ignore(Reason.NO_PERSON, "Commands count when people write them, not bots or apps.")
    if not app.enabled:
        return Ignore(Reason.APP_DISABLED, app.off_reason)
    return None


def is_late(event: CommentEvent, now: datetime) -> bool:
    """Whether the comment is too old to be obeyed."""
    return now - event.written_at > MAX_AGE


def is_unknown(commands: tuple[Command, ...]) -> bool:
    """Whether none of the commands is one of ours: they may be meant for another bot."""
    return all(isinstance(one.verb, Unknown) for one in commands)
