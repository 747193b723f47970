"""How the deployments that are watched stand: the store is asked for all of them at once, twice a second."""

import asyncio
from collections.abc import Callable, Sequence

from starlette.concurrency import run_in_threadpool

from bot.domain.deployment import Deployment
from bot.domain.ids import DeploymentId
from bot.log import logger
from bot.store.engine import Engine, StoreError, reading
from bot.store.steps import Step
from bot.store.watched import standing

PAUSE = 0.5
Tell = Callable[[Deployment | None, list[Step]], None]
"""Takes a deployment and its steps; None when there is no such deployment any more."""


class Standings:
    """Tells feeds how their deployments stand, from when they ask until they want no more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._told: dict[DeploymentId, Tell] = {}
        self._new: set[DeploymentId] = set()
        self._task: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()

    def follow(self, deployment: DeploymentId, tell: Tell) -> None:
        """Tell of a deployment, at first as soon as may be."""
        self._told[deployment] = tell
        self._new.add(deployment)
        self._wanted.set()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    def forget(self, deployment: DeploymentId, tell: Tell) -> None:
        """Tell no more."""
        if self._told.get(deployment) == tell:
            del self._told[deployment]

    def close(self) -> None:
        """Tell nobody any more."""
        self._told.clear()
        if self._task is not None:
            self._task.cancel()

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        while self._told:
            self._wanted.clear()
            is_due = loop.time() >= due
            asked = list(self._told) if is_due else [one for one in self._new if one in self._told]
            self._new.clear()
            if is_due:
                due = loop.time() + PAUSE
            await self._look(asked)
            try:
                await asyncio.wait_for(self._wanted.wait(), max(0.0, due - loop.time()))
            except TimeoutError:
                continue

    async def _look(self, asked: Sequence[DeploymentId]) -> None:
        try:
            found = await run_in_threadpool(self._find, asked)
        except StoreError as error:
            logger.warning("states wait for the store", error=str(error))
            return
        standing = {deployment.id: (deployment, done) for deployment, done in found}
        for one in asked:
            self._tell(one, standing.get(one))

    def _tell(self, number: DeploymentId, found: tuple[Deployment, list[Step]] | None) -> None:
        deployment, done = found or (None, [])
        try:
            if (tell := self._told.get(number)) is not None:
                tell(deployment, done)
        except Exception as error:  # noqa: BLE001 the others are told all the same
            logger.error("a feed broke", deployment=number, exc_info=error)

    def _find(self, asked: Sequence[DeploymentId]) -> list[tuple[Deployment, list[Step]]]:
        with reading(self._engine) as tx:
            return standing(tx, asked)
