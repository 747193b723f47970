"""Folders of sockets: nobody else may listen there, or answer in our place."""

import os
import stat
from pathlib import Path

from bot.errors import ErrorCode, PlatformError


def prepare_folder(folder: Path) -> None:
    """Make a socket's folder, for this user alone.

    Below the machine's folder for temporary files anybody could have made it first: raises
    `PlatformError` START_REFUSED then.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        reason = f"the folder {folder} is not this user's alone: remove it, or choose a shorter SLIPWAY_HOME"
        raise PlatformError(ErrorCode.START_REFUSED, reason=reason)
