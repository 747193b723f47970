"""Names faults of the machine that stop a deployment, and says them in its log."""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from bot import troubles
from bot.errors import ErrorCode, PlatformError, SlipwayError, UserError
from bot.logs import DeploymentLog
from bot.render import message_or
from jobs.stopping import OvertakenError, StoppedError

_FULL = 1024 * 1024
"""With fewer bytes left on the disk, it and not the repository is why a build failed."""


@contextmanager
def troubles_said(log: DeploymentLog, home: Path) -> Generator[None]:
    """Say in the log why the work failed, and name faults of the machine."""
    try:
        with faults_named(), _full_disk_told_from_a_bad_build(home):
            yield
    except SlipwayError as error:
        for line in f"Failed: {message_or(error.code, error.facts, str(error))}".splitlines():
            log.say("end", line)
        raise
    except (StoppedError, OvertakenError):
        raise
    except Exception as error:
        log.say("end", f"Failed: an error of Slipway's own, {type(error).__name__}")
        raise


@contextmanager
def faults_named() -> Generator[None]:
    """Raise faults of the machine under their own names."""
    try:
        yield
    except Exception as error:
        fault = troubles.named(error)
        if fault is None or fault is error:
            raise
        raise fault from error


@contextmanager
def _full_disk_told_from_a_bad_build(home: Path) -> Generator[None]:
    try:
        yield
    except UserError as error:
        left = shutil.disk_usage(home).free
        if error.code not in (ErrorCode.BUILD_FAILED, ErrorCode.INSTALL_FAILED) or left > _FULL:
            raise
        raise PlatformError(ErrorCode.DISK_FULL, detail=f"the build ended with {left} bytes left") from error
