"""A real web process on a free port, and GitHub's way of talking to it."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from bot.signature import sign
from bot.store.engine import open_engine
from tests.stores import migrate
from tests.waiting import wait_until

SECRET = b"It's a Secret to Everybody"
# The program that is run; `busy_seconds` has no setting, since only tests need another value.
_PROGRAM = """
import sys, uvicorn
from bot.app import create_app
from bot.settings import Settings
from bot.web import PatientProtocol
import bot.web
app = create_app(Settings(), busy_seconds=float(sys.argv[1]))
uvicorn.run(app, port=int(sys.argv[2]), loop="uvloop", http=PatientProtocol, lifespan="on", log_config=None)
"""


# The real program, with few file descriptors.
_WITH_FEW_FILES = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[1])))
from bot import web
web.main()
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Web:
    """One web process with a home of its own."""

    def __init__(
        self,
        home: Path,
        redis_url: str,
        *,
        busy_seconds: float | None = None,
        files: int | None = None,
        **settings: str,
    ) -> None:
        self.home = home
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.client = httpx.Client(base_url=self.url, timeout=15, verify=False)
        values = {"home": str(home), "redis_url": redis_url, "web_address": f"127.0.0.1:{self.port}"}
        values |= {"github_webhook_secret": SECRET.decode()} | settings
        self._environment = {f"SLIPWAY_{name.upper()}": value for name, value in values.items()}
        program = ["-m", "bot.web"]
        if busy_seconds is not None:
            program = ["-c", _PROGRAM, str(busy_seconds), str(self.port)]
        elif files is not None:
            program = ["-c", _WITH_FEW_FILES, str(files)]
        self._command = [sys.executable, *program]
        self.engine = open_engine(f"sqlite:///{home / 'slipway.db'}")
        migrate(self.engine)
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        environment = os.environ | self._environment
        self.process = subprocess.Popen(self._command, env=environment, stderr=subprocess.DEVNULL)
        try:
            wait_until(self._answers, 60, "the web process answers")
        except AssertionError:
            self.kill()
            raise

    def kill(self) -> None:
        """End at once, as a crash would."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)

    def deliver(
        self, guid: str, body: bytes = b'{"ref": "refs/heads/main"}', secret: bytes = SECRET, **headers: str
    ) -> httpx.Response:
        """Send one signed delivery; a header may be left out by setting it to nothing."""
        sent = {
            "Content-Type": "application/json",
            "X-GitHub-Event": "push",
            "X-GitHub-Delivery": guid,
            "X-GitHub-Hook-ID": "1",
            "X-Hub-Signature-256": sign(body, secret).decode(),
        }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        kept = {name: value for name, value in sent.items() if value}
        return self.client.post("/webhooks/github", content=body, headers=kept)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()
        self.kill()
        self.engine.dispose()

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False
