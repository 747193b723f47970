"""Runs the whole of Slipway as one process tree: embedded Valkey, web, worker, sweep and edge.

It checks first and starts afterwards, so that a port in use or an unwritable home leaves nothing half
started; it starts again what dies, and stops everything in reverse order.
"""

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO

from bot import embedded
from bot.errors import ErrorCode, PlatformError
from bot.log import logger
from bot.parent import die_with_parent
from bot.setting_values import bound, dialled
from bot.settings import Settings
from bot.store.engine import open_engine
from bot.store.migrate import migrate

_STOP_SECONDS = 4.0
_READY_SECONDS = 30.0
_LONGEST_PAUSE = 10.0


@dataclass
class Child:
    """One process of the tree, and when it may be started again."""

    name: str
    command: list[str]
    log: Path | None = None
    process: subprocess.Popen[bytes] | None = None
    failures: int = 0
    started: float = 0.0
    next_start: float = 0.0


@dataclass
class Tree:
    """The processes of one instance, in the order of their start."""

    settings: Settings
    lock: IO[str]
    children: list[Child] = field(default_factory=list[Child])
    stopping: bool = False

    def start(self) -> None:
        """Start everything and wait until it answers. Raises `PlatformError` when it does not."""
        if self.settings.redis_url is None:
            log = self.settings.home / "logs" / "valkey.log"
            log.parent.mkdir(exist_ok=True)
            self._launch(Child("valkey", embedded.command(self.settings), log))
        self._wait("Valkey", lambda: embedded.is_answering(self.settings))
        engine = open_engine(self.settings.database)
        migrate(engine)
        engine.dispose()
        for name in ("edge", "worker", "sweep", "web"):
            module = "bot.web" if name == "web" else f"jobs.{name}"
            self._launch(Child(name, [sys.executable, "-m", module]))
        self._wait("the web process", lambda: _connects(self.settings.web_address))
        self._wait("the edge", lambda: _connects(self.settings.edge_address))

    def watch(self, until: Callable[[], bool]) -> None:
        """Start again what dies, until told to end."""
        while not self.stopping and not until():
            self._revive()
            time.sleep(0.1)

    def stop(self) -> None:
        """Stop every child: the web process first, Valkey last; what does not end is killed."""
        self.stopping = True
        servers = [child for child in self.children if child.name == "valkey"]
        for group in ([child for child in reversed(self.children) if child.name != "valkey"], servers):
            for child in group:
                _signal(child, signal.SIGTERM)
            deadline = time.monotonic() + _STOP_SECONDS * (0.9 if group is not servers else 0.1)
            for child in group:
                _await_end(child, deadline)

    def _launch(self, child: Child) -> None:
        environment = {**os.environ, "SLIPWAY_DRAIN_SECONDS": os.environ.get("SLIPWAY_DRAIN_SECONDS", "1")}
        child.started = time.monotonic()
        with child.log.open("ab") if child.log else nullcontext(sys.stderr) as output:
            # A session of its own keeps the terminal's Ctrl-C from the children: they are stopped in order.
            child.process = subprocess.Popen(
                child.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509  this process has one thread
            )
        if child not in self.children:
            self.children.append(child)

    def _revive(self) -> None:
        now = time.monotonic()
        for child in self.children:
            if child.process is None or child.process.poll() is None:
                continue
            if child.next_start <= child.started:
                child.failures = 0 if now - child.started > _LONGEST_PAUSE else child.failures + 1
                child.next_start = now + min(_LONGEST_PAUSE, 0.2 * 2**child.failures)
                logger.warning("a process ended", child=child.name, code=child.process.returncode)
            if now >= child.next_start:
                self._launch(child)

    def _wait(self, what: str, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        while not answers():
            dead = [
                one for one in self.children if one.process is not None and one.process.poll() is not None
            ]
            if dead or self.stopping or time.monotonic() > deadline:
                reason = f"{dead[0].name} ended at once" if dead else f"{what} does not answer"
                raise PlatformError(ErrorCode.START_REFUSED, reason=f"{reason}; its output above says why")
            time.sleep(0.02)


def prepare(settings: Settings) -> Tree:
    """Check everything that a start needs, and take the home's lock. Raises `PlatformError`."""
    if shutil.which("git") is None:
        raise _refused("git was not found: install it, for instance with 'apt-get install git'")
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (settings.home / "up.lock").open("w")
    except OSError as error:
        raise _refused(f"the home {settings.home} can't be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise _refused(f"another Slipway runs in {settings.home}; stop it, or set SLIPWAY_HOME") from error
    for setting, address in (("WEB_ADDRESS", settings.web_address), ("EDGE_ADDRESS", settings.edge_address)):
        _check_port(setting, address)
    return Tree(settings, lock)


def stop_on_signals(tree: Tree) -> None:
    """Let Ctrl-C and SIGTERM end the tree's watch."""

    def stop(_signal: int, _frame: FrameType | None) -> None:
        tree.stopping = True

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)


def _refused(reason: str) -> PlatformError:
    return PlatformError(ErrorCode.START_REFUSED, reason=reason)


def _check_port(setting: str, address: str) -> None:
    host, port = bound(address)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # As servers do: a port whose old connections only wait for their end is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = error.strerror or str(error)
            raise _refused(f"{address} can't be used: {reason}; free it, or set SLIPWAY_{setting}") from error


def _connects(address: str) -> bool:
    try:
        with socket.create_connection(dialled(address), timeout=1):
            return True
    except OSError:
        return False


def _signal(child: Child, number: signal.Signals) -> None:
    if child.process is not None and child.process.poll() is None:
        child.process.send_signal(number)


def _await_end(child: Child, deadline: float) -> None:
    if child.process is None:
        return
    try:
        child.process.wait(max(0.05, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        logger.warning("a process was killed, since it did not stop", child=child.name)
        os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()
