"""A program that sends notices by apprise, one JSON object a line in and out; it ends with its input.

apprise knows a hundred services and takes a second and 50 MiB to load, so it is loaded here alone. Every
connection that it makes is checked as it is made, by its address; it may start no other program, and read
no file but those that Python itself needs: URLs of some services can name templates and keys as files.
"""

import ipaddress
import json
import logging
import os
import select
import socket
import sys
import threading
from collections import defaultdict
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import apprise

from jobs.public import Network
from jobs.reach import may_reach

AT_ONCE = 8
IDLE_SECONDS = 300
_CONNECT_SECONDS, _READ_SECONDS = 5.0, 15.0
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty")
_READABLE = tuple({sys.prefix, sys.base_prefix, "/usr/lib", "/usr/share", "/etc/ssl", "/etc/mime.types"})
_DIALS = ("socket.connect", "socket.sendto", "socket.sendmsg")


class Refusals(logging.Handler):
    """What apprise warns of, by thread: it tells a caller no more than that it failed."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.said: dict[int, list[str]] = defaultdict(list)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning."""
        self.said[threading.get_ident()].append(record.getMessage())

    def take(self) -> str:
        """What this thread was warned of since the last time."""
        return " ".join(self.said.pop(threading.get_ident(), []))


def guard(allowed: Sequence[Network]) -> None:
    """From now on this process dials public addresses and allowed networks alone, and reads nothing."""

    def hook(event: str, details: tuple[Any, ...]) -> None:
        if event in _PROGRAMS:
            raise PermissionError("a notice starts no program")
        if event == "open" and not _is_readable(*details):
            raise PermissionError("a notice reads no file")
        if event in _DIALS and details[1] is not None and not _may_dial(details[1], allowed):
            raise PermissionError("it is at a private address, which OUTGOING_NETWORKS does not allow")

    sys.addaudithook(hook)


def _may_dial(address: Any, allowed: Sequence[Network]) -> bool:
    """Whether a socket may be connected to an address; a path or anything else is none of a host."""
    match address:
        case (str(host), *_):
            return may_reach(host, allowed)
        case _:
            return False


def _is_readable(path: Any, _mode: str | None, flags: int) -> bool:
    if isinstance(path, int):
        return True
    real = os.path.realpath(os.fsdecode(path))
    is_ours = any(real == one or real.startswith(f"{one}/") for one in _READABLE)
    return is_ours and not flags & (os.O_WRONLY | os.O_RDWR)


def lines() -> Generator[bytes]:
    """Lines of the standard input, until it ends or nothing comes for minutes."""
    rest = b""
    while select.select([0], [], [], IDLE_SECONDS)[0] and (read := os.read(0, 65_536)):
        *whole, rest = (rest + read).split(b"\n")
        yield from whole


def send(asked: dict[str, Any], refusals: Refusals) -> dict[str, Any]:
    """Send one notice; whether it was taken, and if not, why."""
    asset = apprise.AppriseAsset(app_id="Slipway", app_desc="Slipway", http_redirects=False, async_mode=False)
    plugin = apprise.Apprise.instantiate(asked["url"], asset=asset)
    if not isinstance(plugin, apprise.NotifyBase):
        refusals.take()
        return {"ok": False, "note": "Its URL is not one that apprise understands."}
    plugin.socket_connect_timeout = _CONNECT_SECONDS
    plugin.socket_read_timeout = _READ_SECONDS
    notices = apprise.Apprise(asset=asset)
    notices.add(plugin)
    ok = notices.notify(title=asked["title"], body=asked["body"], body_format=apprise.NotifyFormat.TEXT)
    said = refusals.take()
    return {"ok": bool(ok), "note": "" if ok else said or "It was not taken."}


def main() -> None:
    """Send what is asked for until the input ends, or nothing is asked for minutes."""
    given = lines()
    allowed = [ipaddress.ip_network(one) for one in json.loads(next(given))]
    socket.setdefaulttimeout(_READ_SECONDS)
    refusals = Refusals()
    log = logging.getLogger("apprise")
    log.addHandler(refusals)
    log.propagate = False
    # All services are loaded with the first one, from files that could not be opened later.
    apprise.Apprise.instantiate("json://localhost")
    guard(allowed)
    writing = threading.Lock()

    def answer(asked: dict[str, Any]) -> None:
        try:
            told = send(asked, refusals)
        except Exception as error:  # noqa: BLE001  a plugin's fault is the answer; the others go on
            told = {"ok": False, "note": f"{type(error).__name__}: {error}"}
        with writing:
            sys.stdout.write(json.dumps({"id": asked["id"], **told}) + "\n")
            sys.stdout.flush()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for line in given:
            pool.submit(answer, json.loads(line))
        # Nobody waits for what is under way.
        os._exit(0)


if __name__ == "__main__":
    main()
