"""The writer of a deployment's log: one for each attempt."""

import threading
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.exceptions import RedisError

from bot.clock import stamp, utc_now
from bot.domain.ids import DeploymentId
from bot.log import logger
from bot.logs.feed import Feed, last_in_stream
from bot.logs.line import OURS, Line, Splitter, clean, shorten
from bot.logs.spool import Spool, mark_done, read_spool, restore
from bot.redact import Redactor

MAX_BYTES = 64 * 1024 * 1024
FLUSH_SECONDS = 0.1
FLUSH_LINES = 64
SHOW_OPEN_AFTER = 1.0
"""A line without an end, such as a question, is shown after so many seconds of silence."""
_JOIN_SECONDS = 5.0


class _Output:
    """One stream of one step: takes secrets out, then makes lines."""

    def __init__(self, redactor: Redactor) -> None:
        self.redactor = redactor
        self.splitter = Splitter()
        self.fed_at = time.monotonic()

    def feed(self, chunk: bytes) -> list[str]:
        self.fed_at = time.monotonic()
        return self.splitter.feed(self.redactor.feed(chunk))

    def take_open(self) -> list[str]:
        # What the redactor holds back stays there: it may be a part of a secret.
        silent = time.monotonic() - self.fed_at > SHOW_OPEN_AFTER
        return self.splitter.take_open() if silent else []

    def end(self) -> list[str]:
        return [*self.splitter.feed(self.redactor.flush()), *self.splitter.take_open()]

    def hide(self, redactor: Redactor) -> list[str]:
        held = self.redactor.flush()
        self.redactor = redactor
        return self.splitter.feed(redactor.feed(held))


class DeploymentLog:
    """Numbers, redacts and keeps lines, and shows them live. A `LogWriter`; any thread may write.

    Neither a full disk nor Redis can fail or hold up the work that is logged. Another attempt of the
    same deployment goes on where the log ends.
    """

    def __init__(
        self,
        home: Path,
        deployment: DeploymentId,
        redis: Redis,
        secrets: Iterable[str | bytes] = (),
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._deployment = deployment
        self._redis = redis
        self._secrets = list(secrets)
        self._redactor = Redactor(self._secrets)
        restore(home, deployment)
        self._last = _last_number(home, deployment, redis)
        self._spool = Spool(home, deployment, max_bytes)
        self._feed = Feed(redis, home, deployment)
        self._outputs: dict[tuple[str, str], _Output] = {}
        self._unsent = 0
        self._lock = threading.RLock()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._flush_on, name=f"log-{deployment}", daemon=True)
        self._thread.start()

    def say(self, step: str, text: str) -> None:
        """Write a line of Slipway's own; several when the text has several."""
        with self._lock:
            self._write(step, OURS, text.rstrip("\n").split("\n"))

    def output(self, step: str, stream: str, chunk: bytes) -> None:
        """Take a chunk of a command's output: `stream` is `stdout` or `stderr`."""
        with self._lock:
            output = self._outputs.get((step, stream))
            if output is None:
                output = self._outputs[step, stream] = _Output(self._redactor.another())
            self._write(step, stream, output.feed(chunk))

    def hide(self, secret: str | bytes) -> None:
        """Redact one more secret from now on, such as a token that was made while the work went on."""
        with self._lock:
            self._secrets.append(secret)
            self._redactor = Redactor(self._secrets)
            for (step, stream), output in self._outputs.items():
                self._write(step, stream, output.hide(self._redactor.another()))

    def end_step(self, step: str) -> None:
        """Write what a step's commands left without an end of line."""
        with self._lock:
            for key in [key for key in self._outputs if key[0] == step]:
                self._write(*key, self._outputs.pop(key).end())

    def close(self, *, final: bool = True) -> None:
        """Write the rest. Final: archive the log and tell those who follow; else another attempt comes."""
        with self._lock:
            if self._closing:
                return
            for step in {key[0] for key in self._outputs}:
                self.end_step(step)
            self._closing = True
        self._wake.set()
        self._thread.join(_JOIN_SECONDS)
        whole = not self._thread.is_alive() and self._feed.pump()
        try:
            self._finish(final=final, whole=whole)
        except OSError as error:
            # The spool stays, and the sweep archives it.
            logger.error("log not archived", deployment=self._deployment, error=str(error))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _finish(self, *, final: bool, whole: bool) -> None:
        try:
            if final:
                self._spool.archive()
            if final and whole:
                mark_done(self._redis, self._deployment, self._last)
        finally:
            self._spool.close(remove_lock=final)

    def _write(self, step: str, stream: str, texts: Sequence[str]) -> None:
        if not texts or self._closing:
            return
        at = stamp(utc_now())
        rows = b""
        for text in texts:
            self._last += 1
            shown = clean(text)
            if stream == OURS or shown != text:
                # Output once more only when taking out colours can have joined what stood apart.
                shown = self._redactor.whole(shown.encode()).decode()
            rows += Line(self._last, at, step, stream, shorten(shown)).to_json() + b"\n"
        try:
            self._spool.append(rows)
        except OSError as error:
            logger.error("lines lost", deployment=self._deployment, count=len(texts), error=str(error))
        self._unsent += len(texts)
        if self._unsent >= FLUSH_LINES:
            self._wake.set()

    def _flush_on(self) -> None:
        while not self._closing:
            self._wake.wait(FLUSH_SECONDS)
            self._wake.clear()
            with self._lock:
                for (step, stream), output in self._outputs.items():
                    self._write(step, stream, output.take_open())
                unsent, self._unsent = self._unsent, 0
            if unsent and not self._feed.pump():
                with self._lock:
                    self._unsent += unsent
                time.sleep(FLUSH_SECONDS)


def _last_number(home: Path, deployment: DeploymentId, redis: Redis) -> int:
    kept = max((line.n for line in read_spool(home, deployment)), default=0)
    try:
        return max(kept, last_in_stream(redis, deployment))
    except RedisError:
        return kept
