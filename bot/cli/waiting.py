"""Waiting for a deployment's last word, with an eye on whether anybody is there to speak it."""

import sys
import time

from bot import holder as holders
from bot.cli.instance import Instance
from bot.clock import utc_now
from bot.domain.deployment import Deployment, State
from bot.domain.environment import Environment
from bot.domain.ids import reference
from bot.errors import ErrorCode, PlatformError
from bot.store import deployments, environments
from bot.store.engine import reading

PATIENCE_SECONDS = 5.0
_POLL_SECONDS = 0.05


def await_end(
    instance: Instance, deployment: Deployment, *, patience: float = PATIENCE_SECONDS
) -> Deployment:
    """The deployment with its last word.

    Looks every `patience` seconds whether a worker is there. Raises `PlatformError` WORKER_AWAY when
    none is: the deployment stays as it is, and a worker goes on with it later.
    """
    look_at = time.monotonic() + patience
    is_told = False
    while True:
        found, environment = _present(instance, deployment)
        if found.state.is_final:
            return found
        if time.monotonic() > look_at:
            look_at = time.monotonic() + patience
            _check(instance, found, environment)
            if not is_told and found.state is State.QUEUED:
                is_told = True
                sys.stderr.write(f"{reference(found.id)} waits for a worker to come free.\n")
        time.sleep(_POLL_SECONDS)


def _present(instance: Instance, deployment: Deployment) -> tuple[Deployment, Environment]:
    with reading(instance.engine) as tx:
        return deployments.get(tx, deployment.id), environments.get(tx, deployment.environment_id)


def _check(instance: Instance, deployment: Deployment, environment: Environment) -> None:
    if not _is_held(environment) and not instance.queue.has_worker():
        facts = {"deployment": reference(deployment.id), "state": deployment.state.value}
        raise PlatformError(ErrorCode.WORKER_AWAY, **facts)


def _is_held(environment: Environment) -> bool:
    """Whether some process works there: as far as is known it lives, and its lease runs."""
    holder, until = environment.lease_holder, environment.lease_until
    return holder is not None and until is not None and until > utc_now() and not holders.is_gone(holder)
