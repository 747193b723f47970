"""RQ's side of deploying: a process per permit, which is there before the permit comes."""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any
from uuid import uuid4

from redis.exceptions import RedisError
from rq import Queue as RqQueue
from rq import Worker
from rq.exceptions import DeserializationError
from rq.executions import Execution
from rq.job import Job
from rq.worker import WorkerStatus

from bot.log import logger
from bot.parent import die_with_parent
from bot.queue import PERMIT
from jobs.spare import Spare


class HorseWorker(Worker):
    """Deploys in a process per permit, forked ahead, which hands its work back when this worker is killed.

    Otherwise it would go on as an orphan that no launcher counts and no stop reaches. A permit carries
    nothing but its ring, which is passed on first: RQ's books are kept while the work is under way.
    """

    def __init__(
        self, queues: Sequence[RqQueue], *, work: Callable[[], None], prepare: Callable[[], None], **rest: Any
    ) -> None:
        super().__init__(queues, **rest)
        self._work, self._prepare = work, prepare
        self._spare: Spare | None = None
        self._status: int | None = None

    def dequeue_job_and_maintain_ttl(self, *args: Any, **rest: Any) -> Any:
        """Wait for a permit, with a process that is ready for it."""
        self._keep_spare()
        return super().dequeue_job_and_maintain_ttl(*args, **rest)

    def execute_job(self, job: Job, queue: RqQueue) -> None:
        """Use a permit. Whatever else a message asks for goes RQ's own way, to be refused there."""
        if not _is_permit(job):
            super().execute_job(job, queue)
            return
        spare, self._spare = self._keep_spare(), None
        spare.begin()
        self._horse_pid = spare.pid
        execution = self._begin_books(job)
        self.monitor_work_horse(job, queue, execution)
        # Redis away: what is not in the books, RQ clears up later.
        with suppress(RedisError):
            if self._status == os.EX_OK:
                self._finalize_success(job, queue, execution, None)
            self.set_state(WorkerStatus.IDLE)

    def wait_for_horse(self) -> Any:
        """Wait for the process, and remember how it ended."""
        found = super().wait_for_horse()
        self._status = found[1]
        return found

    def maintain_heartbeats(self, job: Job, execution: Execution) -> None:
        """Say that the work goes on. It does without Redis, too: leases are in the store."""
        with suppress(RedisError):
            super().maintain_heartbeats(job, execution)

    def setup_work_horse_signals(self) -> None:
        """Called in a process that RQ forked, before the job."""
        super().setup_work_horse_signals()
        assert self.pid is not None
        die_with_parent(self.pid)

    def teardown(self) -> None:
        """Leave no process behind that waits."""
        if self._spare is not None:
            self._spare.dismiss()
        super().teardown()

    def _keep_spare(self) -> Spare:
        if self._spare is not None and self._spare.is_alive():
            return self._spare
        if self._spare is not None:
            self._spare.dismiss()
        self._spare = Spare(self._work, self._prepare)
        return self._spare

    def _begin_books(self, job: Job) -> Execution:
        try:
            execution = self.prepare_execution(job)
            self.prepare_job_execution(job, remove_from_intermediate_queue=True)
        except RedisError as error:
            logger.warning("a permit is used, but not in RQ's books", error=str(error))
            return Execution(uuid4().hex, job.id, self.connection, self.name)
        else:
            return execution


def _is_permit(job: Job) -> bool:
    try:
        return job.func_name == PERMIT and job.instance is None and not job.args and not job.kwargs
    except DeserializationError:
        return False
