"""What asks GitHub by itself, at its own pace and beside what heals lost work."""

from dataclasses import dataclass

from bot.github.client import GitHub
from bot.lifecycle import Lifecycle
from bot.queue import Queue
from bot.settings import Settings
from jobs.asides import Asides
from jobs.checks import ASK_SECONDS, Checking
from jobs.drift import Drift
from jobs.reconcile import Reconciling


@dataclass(frozen=True)
class Asking:
    """The askers of one process."""

    checking: Checking
    reconciling: Reconciling
    drift: Drift


def make(settings: Settings, lifecycle: Lifecycle, *, queue: Queue, github: GitHub) -> Asking:
    """The askers, as the settings want them."""
    polls = settings.intake == "poll"
    return Asking(
        Checking(lifecycle, github, settings.poll_seconds if polls else ASK_SECONDS),
        Reconciling(lifecycle, queue, github, Asides(lifecycle, settings.github_url), with_pulls=not polls),
        Drift(lifecycle, github, settings),
    )
