"""The feeds of this process: one for each deployment that is watched, as long as it is."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from bot.api.feed import Feed
from bot.api.standing import Standings
from bot.domain.ids import DeploymentId
from bot.logs.reader import LogReader
from bot.store.engine import Engine

# Each log that is watched waits on a connection of its own; redis-py would allow a hundred.
_MOST_WATCHED = 4096


class Feeds:
    """The feeds of this process; one lives as long as it has viewers."""

    def __init__(self, engine: Engine, logs: LogReader, redis_url: str) -> None:
        self.engine = engine
        self.logs = logs
        self._feeds: dict[DeploymentId, Feed] = {}
        self._standings = Standings(engine)
        self._redis: Redis = Redis.from_url(
            redis_url,
            protocol=2,
            socket_timeout=5,
            socket_connect_timeout=1,
            retry=Retry(NoBackoff(), 0),
            max_connections=_MOST_WATCHED,
        )

    @asynccontextmanager
    async def watch(self, deployment: DeploymentId) -> AsyncGenerator[Feed]:
        """The feed of a deployment that exists, started for its first viewer, stopped after its last."""
        feed = self._feeds.get(deployment)
        if feed is None or feed.ended:
            feed = self._feeds[deployment] = self._new(deployment)
            feed.start()
        feed.enter()
        try:
            await feed.ready()
            yield feed
        finally:
            feed.leave()

    def _new(self, deployment: DeploymentId) -> Feed:
        return Feed(
            deployment,
            logs=self.logs,
            redis=self._redis,
            standings=self._standings,
            unwatched=self._forget,
        )

    def _forget(self, feed: Feed) -> None:
        if self._feeds.get(feed.deployment) is feed:
            del self._feeds[feed.deployment]

    @property
    def watched(self) -> int:
        """How many logs are read at present."""
        return len(self._feeds)

    async def close(self) -> None:
        """Let every viewer go: they come back to the next process, and go on where they were."""
        for feed in list(self._feeds.values()):
            feed.stop()
        self._standings.close()
        await self._redis.aclose()
