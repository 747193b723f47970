"""Faults of the machine and of what we depend on, by name. They pass, and what they stopped goes on."""

import errno
import os
from datetime import timedelta

from bot import render
from bot.errors import ErrorCode, PlatformError
from bot.store.engine import StoreUnavailableError, reason_of

_BY_NUMBER = {
    errno.ENOSPC: ErrorCode.DISK_FULL,
    errno.EDQUOT: ErrorCode.DISK_FULL,
    errno.EROFS: ErrorCode.HOME_READ_ONLY,
    errno.EMFILE: ErrorCode.FILES_EXHAUSTED,
    errno.ENFILE: ErrorCode.FILES_EXHAUSTED,
}
_BY_TEXT = {os.strerror(number): code for number, code in _BY_NUMBER.items()} | {
    # The dynamic linker knows no words for errors.
    f"cannot open shared object file: Error {errno.EMFILE}": ErrorCode.FILES_EXHAUSTED
}
_OF_STORE = {
    "SQLITE_FULL": ErrorCode.DISK_FULL,
    "SQLITE_READONLY": ErrorCode.HOME_READ_ONLY,
}
_PASSING = {
    ErrorCode.DISK_FULL,
    ErrorCode.FILES_EXHAUSTED,
    ErrorCode.HOME_READ_ONLY,
    ErrorCode.REPOSITORY_SILENT,
    ErrorCode.STORE_REFUSED,
}
MAX_TRIES = 8
_FIRST_PAUSE = timedelta(seconds=5)
_LONGEST_PAUSE = timedelta(minutes=2)


def named(error: BaseException) -> PlatformError | None:
    """A fault of the machine's by its name; None for every other error."""
    if isinstance(error, PlatformError):
        return error if error.code in _PASSING else None
    if isinstance(error, StoreUnavailableError):
        name, reason = reason_of(error)
        code = next((code for start, code in _OF_STORE.items() if name.startswith(start)), None)
        return (
            PlatformError(code, detail=reason)
            if code
            else PlatformError(ErrorCode.STORE_REFUSED, reason=reason)
        )
    if isinstance(error, OSError) and error.errno in _BY_NUMBER:
        return PlatformError(_BY_NUMBER[error.errno], detail=str(error))
    return None


def told(text: str) -> PlatformError | None:
    """The same for what a program of ours complained of, in English; a remote's words don't count."""
    own = [line for line in text.splitlines() if not line.startswith("remote:")]
    for line in reversed(own):
        for words, code in _BY_TEXT.items():
            if words in line:
                return PlatformError(code, detail=line.strip())
    return None


def sentence_of(error: BaseException) -> str | None:
    """One sentence of what a fault of the machine's is; None for every other error."""
    fault = named(error)
    return render.sentence_or(fault.code, fault.facts, str(fault)) if fault else None


def pause_before(error: PlatformError, tries: int) -> timedelta | None:
    """How long to wait before work is tried again that failed so many times; None when it is not."""
    if error.code not in _PASSING or tries >= MAX_TRIES:
        return None
    return min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** (tries - 1))
