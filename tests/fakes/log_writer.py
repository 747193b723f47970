"""Writes a deployment's log as the worker does: spool, Redis stream, and an archive at the end."""

import gzip
import json
from pathlib import Path

from redis import Redis

from bot.domain.ids import DeploymentId
from bot.transcript import Transcript, stream_key


class FakeLogWriter:
    def __init__(self, home: Path, redis: Redis, deployment: DeploymentId) -> None:
        self._transcript = Transcript(home / "logs", redis)
        self._redis = redis
        self._deployment = deployment
        self._spool = self._transcript.spool(deployment)
        self._spool.parent.mkdir(parents=True, exist_ok=True)
        self.count = 0

    def write(self, *texts: str, step: str = "build", to_redis: bool = True, to_spool: bool = True) -> None:
        for text in texts:
            self.count += 1
            line = {
                "n": self.count,
                "at": "2026-01-01T00:00:00.123Z",
                "step": step,
                "stream": "stdout",
                "text": text,
            }
            raw = json.dumps(line, separators=(",", ":"))
            if to_spool:
                with self._spool.open("a") as file:
                    file.write(raw + "\n")
            if to_redis:
                self._redis.xadd(stream_key(self._deployment), {"line": raw}, id=f"{self.count}-0")

    def end(self) -> None:
        with gzip.open(self._transcript.archive(self._deployment), "wb") as file:
            file.write(self._spool.read_bytes() if self._spool.exists() else b"")
        self._redis.xadd(stream_key(self._deployment), {"done": "1"}, id=f"{self.count + 1}-0")
        self._spool.unlink(missing_ok=True)
