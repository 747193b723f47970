"""What a page says on top: what was done, or why something was refused; and what the form held."""

from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field

from bot.api.refusals import RefusalError
from bot.console.forms import Form

SAID = {
    "approved": "Approved: the commit waits for its turn now.",
    "asked": "Asked for.",
    "cancelled": "Asked to stop.",
    "changed": "Saved.",
    "checking": "The worker asks DNS within seconds; this page shows what it finds.",
    "closed": "The preview is taken down.",
    "extended": "The preview has a new end.",
    "invited": "The invitation is on its way by mail.",
    "locked": "Locked: every deployment waits until it is unlocked.",
    "made": "It is there.",
    "rejected": "Turned down. Its status on GitHub says so.",
    "removed": "It is gone.",
    "resumed": "Automatic deploys go on.",
    "revoked": "Revoked: it opens nothing any more.",
    "tested": "A test is on its way; what came of it shows below within seconds.",
    "unlocked": "Unlocked: what waited goes on.",
    "variables": "Saved. It takes effect with the next build.",
    "waking": "The preview wakes up within seconds.",
}
"""What a page says after a form was carried out, by the word in its address (`?said=`)."""


@dataclass(frozen=True)
class Notice:
    """What is said on top of a page."""

    done: str = ""
    refusal: RefusalError | None = None
    form: Form = field(default_factory=lambda: Form({}))

    def held(self, name: str, default: str = "") -> str:
        """What a field of the refused form held; of a form without a refusal, the default."""
        return self.form.get(name, default) if self.refusal else default

    def ticked(self, name: str, default: Sequence[str]) -> Sequence[str]:
        """Which boxes of a name were ticked in the refused form; else the default."""
        return self.form.every.get(name, []) if self.refusal and self.form else default

    def wrong(self, name: str) -> str:
        """What was wrong with a field, if it was that one."""
        problems = self.refusal.problems if self.refusal else ()
        return next((one.message for one in problems if one.field == name), "")


_current: ContextVar[Notice | None] = ContextVar("notice", default=None)
_NOTHING = Notice()


def notice() -> Notice:
    """What the page that is being made says on top."""
    return _current.get() or _NOTHING


def say(word: str) -> None:
    """Have the page say what was done, if the word is one of ours."""
    _current.set(Notice(done=SAID.get(word, "")))


def say_no(refusal: RefusalError, form: Form) -> None:
    """Have the page say why a form was refused, and hold what the form held, but for secrets."""
    kept = {name: values for name, values in form.every.items() if name not in _UNKEPT}
    _current.set(Notice(refusal=refusal, form=Form(kept)))


_UNKEPT = frozenset({"token", "value", "text", "password"})
