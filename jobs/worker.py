"""Composition root of the worker: its collaborators, its job functions, and its processes.

One launcher forks a process per executor: one decides about deliveries, one tells GitHub, one tells
webhooks and channels, one does errands, the others deploy. Each serves one RQ queue, since RQ loses jobs in a
crash when a worker serves several (it then takes them by BLPOP), and what ends is started again.
"""

import gc
import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import ForkProcess
from types import FrameType
from typing import Any

import psutil
from redis import Redis
from rq import Queue as RqQueue
from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from bot import program
from bot.log import logger, set_up_logging
from bot.parent import die_with_parent
from bot.queue import (
    AGREE,
    ANNOUNCE,
    ANNOUNCE_QUEUE,
    ANSWER,
    CHECKS,
    DEPLOY_QUEUE,
    ERRAND,
    ERRAND_QUEUE,
    INTAKE,
    INTAKE_QUEUE,
    OUTGOING_QUEUE,
    PERMIT,
    SEND,
)
from bot.settings import Settings
from jobs.horses import HorseWorker
from jobs.workshop import Workshop, furnish

_PAUSE_SECONDS = 0.2
_NICE = 5
_RESPAWN_SECONDS = 1.0
_HAND_BACK_SECONDS = 2.5
# RQ's own recovery is not relied on; short times only keep its books tidy after a crash.
_TTL, _MAINTENANCE, _MONITORING = 45, 30, 10

Jobs = Mapping[str, Callable[..., None]]


def jobs_of(workshop: Workshop) -> Jobs:
    """Every job that may run, by name. A message with any other name is refused."""
    return {
        INTAKE: workshop.intake,
        ANNOUNCE: workshop.announce,
        ANSWER: workshop.answer,
        PERMIT: workshop.deploy,
        ERRAND: workshop.errand,
        SEND: workshop.send,
        AGREE: workshop.agree,
        CHECKS: workshop.look_at_checks,
    }


def job_class_for(jobs: Jobs) -> type[Job]:
    """An RQ job class that runs these jobs alone.

    RQ itself imports and runs whatever dotted name a message carries, with any serializer.
    """

    class AllowedJob(Job):
        @property
        def func(self) -> Callable[..., None]:
            job = jobs.get(self.func_name or "")
            if job is None or self.instance is not None:
                raise PermissionError(f"'{self.func_name}' is not a job of Slipway's")
            return job

    return AllowedJob


@dataclass
class Executor:
    """One process of the worker: the queue that it serves, and whether jobs get a process each.

    `nice`: how far it gives way to the others; what is told may wait for what is done.
    """

    queue: str
    forks: bool = False
    nice: int = 0
    process: ForkProcess | None = None
    started: float = 0.0


class Launcher:
    """Keeps the executors running until it is told to stop; then lets their work end or takes it back."""

    def __init__(self, workshop: Workshop) -> None:
        settings = workshop.settings
        self._settings = settings
        self._workshop = workshop
        deploying = [Executor(DEPLOY_QUEUE, forks=True) for _ in range(settings.build_concurrency)]
        self._executors = [
            Executor(INTAKE_QUEUE),
            Executor(ANNOUNCE_QUEUE, nice=_NICE),
            Executor(ERRAND_QUEUE),
            Executor(OUTGOING_QUEUE, nice=_NICE),
            *deploying,
        ]
        self._stopping = False

    def run(self) -> None:
        """Start, watch, and stop when a signal says so."""
        signal.signal(signal.SIGTERM, self._stop)
        signal.signal(signal.SIGINT, self._stop)
        # What an earlier worker of this machine left behind would otherwise wait for its lease's end.
        self.reap()
        self._workshop.rehearse()
        # What is here already stays: no collection writes into pages that the executors share.
        gc.collect()
        gc.freeze()
        while not self._stopping:
            for executor in self._executors:
                self._keep(executor)
            time.sleep(_PAUSE_SECONDS)
        self._drain()

    def reap(self) -> None:
        """Take back what dead processes held, and leave no connection to the store open.

        SQLite's locks are lost in a fork without its noticing (sqlite.org/howtocorrupt.html, 2.6), and this
        process and its executors fork.
        """
        self._workshop.leases.reap()
        self._workshop.engine.dispose()

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True

    def _keep(self, executor: Executor) -> None:
        if executor.process is not None and executor.process.is_alive():
            return
        if time.monotonic() - executor.started < _RESPAWN_SECONDS:
            return
        if executor.process is not None:
            logger.warning("an executor ended and is started again", queue=executor.queue)
        executor.started = time.monotonic()
        fork = multiprocessing.get_context("fork")
        executor.process = fork.Process(
            target=self._execute, args=(executor, os.getpid()), name=executor.queue
        )
        executor.process.start()

    def _execute(self, executor: Executor, parent: int) -> None:
        # One that deploys would take SIGTERM as a wish to end after its job, half an hour later.
        die_with_parent(parent, signal.SIGKILL if executor.forks else signal.SIGTERM)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.nice(executor.nice)
        # RQ blocks on its connection for minutes: the patient client that it asks for, not ours.
        redis = Redis.from_url(self._settings.redis, driver_info=None)
        queue = RqQueue(executor.queue, connection=redis, serializer=JSONSerializer)
        horses = partial(HorseWorker, work=self._workshop.deploy, prepare=self._workshop.warm_up)
        kind = horses if executor.forks else SimpleWorker
        worker = kind(
            [queue],
            connection=redis,
            serializer=JSONSerializer,
            job_class=job_class_for(jobs_of(self._workshop)),
            work_horse_killed_handler=self._on_killed,
            log_job_description=False,
            worker_ttl=_TTL,
            maintenance_interval=_MAINTENANCE,
            job_monitoring_interval=_MONITORING,
        )
        worker.work(logging_level="WARNING")

    def _on_killed(self, _job: Job, _pid: int, status: int, _usage: Any) -> None:
        how = "was killed" if os.WIFSIGNALED(status) else "failed"
        logger.error(f"a deploying process {how}", status=status)
        self.reap()

    def _drain(self) -> None:
        _signal_all(self._processes(), signal.SIGTERM)
        if not self._await_end(self._settings.drain_seconds):
            # The processes of the jobs themselves: they put their deployment back into the queue.
            _signal_all(self._horses(), signal.SIGTERM)
            if not self._await_end(_HAND_BACK_SECONDS):
                _signal_all([*self._horses(), *self._processes()], signal.SIGKILL)
        self._workshop.leases.reap()

    def _await_end(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not any(executor.process and executor.process.is_alive() for executor in self._executors):
                return True
            time.sleep(0.05)
        return False

    def _processes(self) -> list[psutil.Process]:
        return psutil.Process().children()

    def _horses(self) -> list[psutil.Process]:
        return [horse for process in self._processes() for horse in _children(process)]


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.NoSuchProcess:
        return []


def _signal_all(processes: list[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)
        except psutil.NoSuchProcess:
            continue


def main() -> None:
    """Run the worker until SIGTERM or SIGINT."""
    set_up_logging("worker")
    logging.getLogger("rq").setLevel(logging.WARNING)
    Launcher(furnish(Settings())).run()
    sys.exit(0)


if __name__ == "__main__":
    program.run(main)
