"""Sends notices through a program of their own, which is started when there is something to send."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from itertools import count
from typing import IO, Any

from bot.domain.outgoing import Answer
from bot.log import logger
from bot.wording import clean
from jobs.public import Network

SECONDS = 60.0
"""How long a service has, all in all; then the program is ended, with whatever else it has under way."""
_ENDED = "The program that sends notices ended; its log has why."


class Notifier:
    """Hands notices to the program and waits for its answers. `start` and `close` belong to one thread."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = [str(one) for one in allowed]
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None
        self._asked: dict[int, Future[Answer]] = {}
        self._lock = threading.Lock()
        self._numbers = count(1)

    def start(self) -> None:
        """Start the program, unless it runs."""
        with self._lock:
            if self._process is not None and self._process.poll() is None:
                return
            command = [sys.executable, "-m", "jobs.outgoing.notifier"]
            # Nothing of ours is in its environment.
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={"LANG": "C.UTF-8"}
            )
            self._process = process
            _write(process, self._allowed)
            self._listener = threading.Thread(target=self._listen, args=(process,), daemon=True)
            self._listener.start()

    def send(self, url: str, title: str, body: str) -> Answer:
        """Send a notice, and tell what came of it."""
        began = time.monotonic()
        number, answer = next(self._numbers), Future[Answer]()
        with self._lock:
            process = self._process
            self._asked[number] = answer
            asked = {"id": number, "url": url, "title": title, "body": body}
            if process is None or not _write(process, asked):
                del self._asked[number]
                return Answer(ok=False, note=_ENDED)
        try:
            found = answer.result(SECONDS)
        except FutureTimeoutError:
            process.kill()
            found = Answer(ok=False, note=f"No answer within {SECONDS:.0f} seconds.")
        taken = round((time.monotonic() - began) * 1000)
        return Answer(ok=found.ok, milliseconds=taken, note=_without(found.note, url))

    def close(self) -> None:
        """End the program."""
        if self._process is not None and self._listener is not None:
            self._process.kill()
            self._listener.join()

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        with process:
            for line in _output(process):
                told: dict[str, Any] = json.loads(line)
                with self._lock:
                    asked = self._asked.pop(told["id"], None)
                if asked is not None:
                    asked.set_result(Answer(ok=told["ok"], note=told["note"]))
        with self._lock:
            if self._process is not process:
                return
            left, self._asked = self._asked, {}
        if left:
            logger.warning("the program that sends notices ended", status=process.returncode)
        for answer in left.values():
            answer.set_result(Answer(ok=False, note=_ENDED))


def _output(process: subprocess.Popen[bytes]) -> IO[bytes]:
    assert process.stdout is not None
    return process.stdout


def _write(process: subprocess.Popen[bytes], value: object) -> bool:
    assert process.stdin is not None
    try:
        process.stdin.write(json.dumps(value).encode() + b"\n")
        process.stdin.flush()
    except (OSError, ValueError):
        # It ended, or ends at this moment.
        return False
    return True


def _without(note: str, url: str) -> str:
    """The note without any part of a channel's URL that could be secret."""
    secret = url.partition("://")[2]
    parts = [secret, *secret.replace("@", "/").replace(":", "/").replace("?", "/").split("/")]
    for part in sorted((one for one in parts if len(one) >= 6), key=len, reverse=True):
        note = note.replace(part, "…")
    return clean(note)[:300]
