"""The sweep: periodic work that heals what crashes and outages left. One leads, by lease; others wait.

Whatever a lost message, a killed process or an outage left undone is found here by looking at the
store, not by remembering what went wrong.
"""

import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType

from redis.exceptions import RedisError

from bot import anchors, program
from bot import holder as holders
from bot.log import logger, set_up_logging
from bot.queue import DEPLOY_QUEUE, ERRAND_QUEUE, INTAKE_QUEUE, OUTGOING_QUEUE
from bot.settings import Settings
from bot.store import deliveries, environments, errands, lease_rows, singletons
from bot.store.engine import StoreError, reading, writing
from jobs.workshop import Workshop, furnish

_LEAD = timedelta(seconds=20)
_SLOW_LEAD = timedelta(minutes=15)
_END_SECONDS = 2.0
_LISTEN_SECONDS = 0.2
# A delivery this old that nobody decided about: its job was lost.
_FORGOTTEN = timedelta(seconds=5)
_KEPT_ERRANDS = timedelta(days=1)
_BATCH = 200


@dataclass
class Chore:
    """Something to be done every so many seconds."""

    name: str
    seconds: float
    do: Callable[[], object]
    due: float = 0.0


@dataclass(frozen=True)
class Round:
    """Chores that are done one after the other, and how long its leader may be silent."""

    name: str
    lead: timedelta
    chores: Sequence[Chore]


class Sweep:
    """Runs the chores that are due; one that fails does not stop the others.

    What may wait for a git server or read all artifacts has a round, and a thread, of its own: it must
    not keep lost work from being found.
    """

    def __init__(self, workshop: Workshop) -> None:
        settings = workshop.settings
        self._settings = settings
        self._workshop = workshop
        self._holder = holders.this_process()
        self._ended = threading.Event()
        self._rounds = self._plan(settings.sweep_seconds)

    def _plan(self, every: float) -> tuple[Round, ...]:
        workshop = self._workshop
        quick = [
            Chore("leases", every, self._reap),
            Chore("deliveries", every, self._decide),
            Chore("permits", every, self._permit),
            Chore("announcements", every, workshop.tell_owed),
            Chore("errands", every, self._remind),
            Chore("outgoing", every, self._send),
            Chore("locks", every, workshop.end_locks),
            Chore("previews", every, workshop.housekeeping.tidy_previews),
            Chore("visits", every, workshop.housekeeping.hear_visits),
            Chore("edge", every, workshop.housekeeping.agree_with_edge),
            Chore("leftovers", every, workshop.housekeeping.clear_leftovers),
        ]
        slow = [
            Chore("recovery", 300, workshop.recover),
            Chore("what was missed", every, workshop.catch_up),
            Chore("domains", 30, workshop.domains.look_at_due),
            Chore("retention", 3600, workshop.retention.prune),
            Chore("old errands", 3600, self._drop_errands),
            Chore("audit anchor", 900, self._anchor),
        ]
        # What asks GitHub, which may hang, has a round of its own beside what heals lost work.
        asking = [
            Chore("checks", every, workshop.asking.checking.sweep),
            Chore("drift", 6 * every, workshop.asking.drift.run),
        ]
        rounds = [
            Round("sweep", _LEAD, quick),
            Round("sweep-slowly", _SLOW_LEAD, slow),
            Round("ask", _SLOW_LEAD, asking),
        ]
        if self._settings.intake == "poll":
            # Beside what may take long: a push should not wait for a repository that does not answer.
            rounds.append(Round("poll", _SLOW_LEAD, [Chore("poll", 0.0, workshop.poll)]))
        return tuple(rounds)

    def run(self) -> None:
        """Sweep until told to end; then after the chore that runs, or a moment later."""
        threads = [
            threading.Thread(target=self._go_round, args=(one,), name=one.name, daemon=True)
            for one in self._rounds
        ]
        threads.append(threading.Thread(target=self._listen, name="visits", daemon=True))
        for thread in threads:
            thread.start()
        self._ended.wait()
        deadline = time.monotonic() + _END_SECONDS
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def end(self) -> None:
        """End soon."""
        self._ended.set()

    def _go_round(self, one: Round) -> None:
        while not self._ended.is_set():
            try:
                if self._leads(one):
                    self._sweep(one)
            except StoreError as error:
                logger.warning("the store does not answer; the sweep tries again", error=str(error))
            self._ended.wait(self._settings.sweep_seconds)

    def _listen(self) -> None:
        # Each machine for itself: it looks at the edge's files, and does no harm when it is done twice.
        while not self._ended.wait(_LISTEN_SECONDS):
            self._do(Chore("waking", 0.0, self._workshop.housekeeping.wake_visited))

    def _sweep(self, one: Round) -> None:
        for chore in one.chores:
            if self._ended.is_set() or time.monotonic() < chore.due:
                continue
            chore.due = time.monotonic() + chore.seconds
            self._do(chore)

    def _do(self, chore: Chore) -> None:
        try:
            chore.do()
        except (OSError, RedisError, StoreError) as error:
            logger.warning("a chore failed; it is tried again", chore=chore.name, error=str(error))
        except Exception:  # noqa: BLE001  the other chores heal: they go on, the trace is the operator's
            logger.exception("a chore failed unexpectedly", chore=chore.name)

    def _leads(self, one: Round) -> bool:
        now = self._workshop.clock()
        with writing(self._workshop.engine) as tx:
            return singletons.lead(
                tx, one.name, self._holder, now=now, until=now + one.lead, is_gone=holders.is_gone
            )

    def _reap(self) -> None:
        for deployment in self._workshop.leases.reap():
            logger.warning(
                "a lost deployment was taken back", deployment=deployment.id, state=deployment.state
            )

    def _decide(self) -> None:
        now = self._workshop.clock()
        with reading(self._workshop.engine) as tx:
            forgotten = deliveries.undecided(tx, now, _BATCH, received_before=now - _FORGOTTEN)
        if forgotten and self._workshop.queue.is_empty(INTAKE_QUEUE):
            self._workshop.queue.intake(forgotten, slot=self._slot())

    def _permit(self) -> None:
        with reading(self._workshop.engine) as tx:
            ready = lease_rows.ready_ids(tx, self._workshop.clock())
            found = [
                environments.get(tx, environment) for environment in ready[: self._settings.build_concurrency]
            ]
        if not found or not self._workshop.queue.is_empty(DEPLOY_QUEUE):
            return
        for environment in found:
            self._workshop.queue.permit(environment.id, environment.lease_token, slot=self._slot())

    def _remind(self) -> None:
        now = self._workshop.clock()
        with reading(self._workshop.engine) as tx:
            forgotten = errands.forgotten(tx, now, now - _FORGOTTEN)
        if forgotten and self._workshop.queue.is_empty(ERRAND_QUEUE):
            for errand in forgotten:
                self._workshop.queue.errand(errand, slot=self._slot())

    def _send(self) -> None:
        if self._workshop.postman.is_owed() and self._workshop.queue.is_empty(OUTGOING_QUEUE):
            self._workshop.queue.send(0, slot=self._slot())

    def _drop_errands(self) -> None:
        with writing(self._workshop.engine) as tx:
            errands.drop_old(tx, self._workshop.clock() - _KEPT_ERRANDS)

    def _anchor(self) -> None:
        anchors.anchor(self._workshop.engine, self._settings, self._workshop.clock())

    def _slot(self) -> str:
        # A job id of its own each time: that of a job that was lost stays taken for a while.
        return f"-{time.time_ns() // 1_000_000}"


def main() -> None:
    """Sweep until SIGTERM or SIGINT."""
    set_up_logging("sweep")
    sweep = Sweep(furnish(Settings()))

    def stop(_signal: int, _frame: FrameType | None) -> None:
        sweep.end()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    sweep.run()


if __name__ == "__main__":
    program.run(main)
