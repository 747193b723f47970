"""Copies folders, so that nothing that is written into a copy reaches the original; and removes them."""

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bot import troubles
from jobs.stopping import StoppedError

# GNU cp shares blocks where the file system copies on write, and copies where it does not.
_COPY = ("cp", "-a", "--reflink=auto") if sys.platform == "linux" else ("cp", "-a")


def copy_folder(source: Path, target: Path, stopped: Callable[[], bool] = lambda: False) -> None:
    """Copy what a folder holds into another, which may exist: links as links, modes and times too.

    `cp` takes 70 ms for 2,000 files of 38 MB where `shutil.copytree` takes 550 ms. Raises
    `PlatformError` for a fault of the machine, `StoppedError`, and `OSError` for whatever else `cp` says.
    """
    target.mkdir(parents=True, exist_ok=True)
    argv = [*_COPY, "--", f"{source}/.", str(target)]
    with subprocess.Popen(
        argv, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=_environment()
    ) as copying:
        said = _await(copying, stopped)
    if copying.returncode == 0:
        return
    fault = troubles.told(said)
    if fault is not None:
        raise fault
    raise OSError(f"copying {source} failed: {said.strip()}")


def remove_folder(folder: Path) -> None:
    """Remove a folder that others filled, as far as that is possible; nothing is raised.

    Unlike `shutil.rmtree`, `rm` goes down a thousand levels and beyond the longest path.
    """
    # It may be that not even a process can be started: what is left, the sweep removes.
    with suppress(OSError):
        _remove(folder)


def _remove(folder: Path) -> None:
    for attempt in range(2):
        removing = ["rm", "-rf", "--", str(folder)]
        done = subprocess.run(removing, stderr=subprocess.DEVNULL, check=False, env=_environment())
        if done.returncode == 0:
            return
        if attempt == 0:
            # Folders that their owner, the build, took its own rights to.
            opening = ["chmod", "-R", "u+rwx", "--", str(folder)]
            subprocess.run(opening, stderr=subprocess.DEVNULL, check=False, env=_environment())


def hand_over(folder: Path, user: int | None) -> None:
    """Give a folder and all in it to a user; links themselves, not what they point to."""
    if user is not None:
        subprocess.run(["chown", "-Rh", f"{user}:{user}", "--", str(folder)], check=True, env=_environment())


def _await(copying: subprocess.Popen[bytes], stopped: Callable[[], bool]) -> str:
    said = b""
    while True:
        try:
            said += copying.communicate(timeout=0.1)[1]
        except subprocess.TimeoutExpired:
            if stopped():
                copying.kill()
                raise StoppedError from None
        else:
            return said.decode(errors="replace")


def _environment() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}
