"""The only module that enqueues: names of jobs, their queue, time-outs and unique ids.

Every job carries ids, never payloads. A job that is lost, doubled or late changes nothing: the truth
is in the store, and the sweep enqueues again what is owed.
"""

import socket
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import psutil
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Queue as RqQueue
from rq import Worker
from rq.exceptions import DuplicateJobError
from rq.serializers import JSONSerializer
from rq.worker import BaseWorker

from bot.domain.ids import DeliveryId, DeploymentId, EnvironmentId, ErrandId
from bot.domain.spoken import SpokenId
from bot.log import logger

INTAKE_QUEUE = "intake"
"""Deciding about deliveries. Apart from telling GitHub, which may be slow or away."""
ANNOUNCE_QUEUE = "announce"
"""Telling GitHub."""
DEPLOY_QUEUE = "deploy"
"""Permits: each lets one worker take the fairest ready environment."""
ERRAND_QUEUE = "errands"
"""What a person waits for: it may neither wait behind deliveries nor hold them up."""

OUTGOING_QUEUE = "outgoing"
"""Telling webhooks and channels, which may be slow: nothing else waits behind them."""

INTAKE = "jobs.intake.intake"
ANNOUNCE = "jobs.announce.announce"
PERMIT = "jobs.deploy.deploy"
ERRAND = "jobs.errands.errand"
SEND = "jobs.outgoing.send"
ANSWER = "jobs.answering.answer"
AGREE = "jobs.housekeeping.agree"
CHECKS = "jobs.checks.look"

_QUICK_TIMEOUT = timedelta(minutes=5)
# The lease and the build's own time-out end a deployment; this is only RQ's last resort.
_DEPLOY_TIMEOUT = timedelta(hours=24)
_KEEP_FAILED = timedelta(minutes=10)


def connect(url: str, *, seconds: float = 1, retries: int = 1) -> Redis:
    """A client that never hangs its caller: time-outs of some seconds, one immediate retry."""
    return Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), retries),
        health_check_interval=30,
        # Else redis-py reads its own version from its package's files for each connection, which takes 5 ms.
        driver_info=None,
    )


def _is_dead(worker: BaseWorker) -> bool:
    here = worker.hostname == socket.gethostname()
    return here and worker.pid is not None and not psutil.pid_exists(worker.pid)


class Queue:
    """Enqueues jobs by name and id. When Redis is down nothing is raised: the sweep makes up for it."""

    def __init__(self, redis: Redis) -> None:
        self._intake = RqQueue(INTAKE_QUEUE, connection=redis, serializer=JSONSerializer)
        self._announce = RqQueue(ANNOUNCE_QUEUE, connection=redis, serializer=JSONSerializer)
        self._deploy = RqQueue(DEPLOY_QUEUE, connection=redis, serializer=JSONSerializer)
        self._errands = RqQueue(ERRAND_QUEUE, connection=redis, serializer=JSONSerializer)
        self._outgoing = RqQueue(OUTGOING_QUEUE, connection=redis, serializer=JSONSerializer)

    def intake(self, deliveries: Sequence[DeliveryId], slot: str = "") -> bool:
        """Ask for decisions about some deliveries. A slot makes the job differ from earlier ones."""
        if not deliveries:
            return True
        job_id = f"intake-{min(deliveries)}-{max(deliveries)}{slot}"
        return self._enqueue(self._intake, INTAKE, job_id, list(deliveries))

    def announce(self, deployment: DeploymentId, version: int, slot: str = "") -> bool:
        """Ask that GitHub be made to show a deployment's present state."""
        return self._enqueue(self._announce, ANNOUNCE, f"announce-{deployment}-{version}{slot}", deployment)

    def answer(self, spoken: SpokenId, slot: str = "") -> bool:
        """Ask that whoever wrote commands be shown that they were heard."""
        return self._enqueue(self._announce, ANSWER, f"answer-{spoken}{slot}", spoken)

    def checks(self, deployment: DeploymentId, slot: str = "") -> bool:
        """Ask that somebody look whether the checks that a deployment waits for have passed."""
        return self._enqueue(self._announce, CHECKS, f"checks-{deployment}{slot}", deployment)

    def permit(self, environment: EnvironmentId, token: int, slot: str = "") -> bool:
        """Issue a permit. Many requests between two claims of an environment make one permit."""
        return self._enqueue(self._deploy, PERMIT, f"permit-{environment}-{token}{slot}")

    def has_worker(self) -> bool:
        """Whether a process takes permits. On another machine a killed one counts for two minutes yet."""
        try:
            found = Worker.all(queue=self._deploy, serializer=JSONSerializer)
            return any(not _is_dead(worker) for worker in found)
        except RedisError:
            return False

    def errand(self, errand: ErrandId, slot: str = "") -> bool:
        """Ask that an errand be done."""
        return self._enqueue(self._errands, ERRAND, f"errand-{errand}{slot}", errand)

    def send(self, message: int, slot: str = "") -> bool:
        """Ask that what waits for webhooks and channels be sent."""
        return self._enqueue(self._outgoing, SEND, f"send-{message}{slot}")

    def agree(self) -> bool:
        """Ask that the edge be brought in step with the store, as the sweep does by itself a little later."""
        # One that runs already may have read the store before; some at once are one.
        slot = time.time_ns() // 20_000_000
        return self._enqueue(self._errands, AGREE, f"agree-{slot}")

    def is_empty(self, name: str) -> bool:
        """Whether no job waits in a queue. Raises `RedisError`: nothing is known of a queue that is away."""
        return self.lengths()[name] == 0

    def lengths(self) -> dict[str, int]:
        """How many jobs wait, by queue."""
        queues = (self._intake, self._announce, self._deploy, self._errands, self._outgoing)
        return {queue.name: queue.count for queue in queues}

    def _enqueue(self, queue: RqQueue, name: str, job_id: str, *args: Any) -> bool:
        timeout = _DEPLOY_TIMEOUT if queue is self._deploy else _QUICK_TIMEOUT
        try:
            queue.enqueue_call(
                name,
                args=args,
                job_id=job_id,
                unique=True,
                timeout=int(timeout.total_seconds()),
                result_ttl=0,
                failure_ttl=int(_KEEP_FAILED.total_seconds()),
            )
        except DuplicateJobError:
            return True
        except RedisError as error:
            logger.warning("not enqueued; the sweep will", job=job_id, error=str(error))
            return False
        return True
