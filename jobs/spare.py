"""A process that is forked before it is needed, makes itself ready, and waits for the word to begin.

A fork, and what a forked process does for the first time (connections, pages that it copies), take longer
than many a deployment: so they are over before there is something to do.
"""

import os
import random
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress

from bot.log import logger
from bot.parent import die_with_parent

_STOPPING = (signal.SIGTERM, signal.SIGINT)
FAILED = 1
"""The exit code of work that raised."""


class Spare:
    """One such process, which does its work once and ends. It ends with its parent, begun or not.

    It is the leader of a process group of its own. `prepare` is done at once; what it raises is logged alone.
    """

    def __init__(self, work: Callable[[], None], prepare: Callable[[], None]) -> None:
        parent = os.getpid()
        reading, self._writing = os.pipe()
        # Until the new process has its own ways, a signal would send it the parent's.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPPING)
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._writing)
            _live(reading, parent, work, lambda: _make_ready(mask, prepare))
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(reading)

    def is_alive(self) -> bool:
        """Whether it can be begun; one that ended is forgotten by the system."""
        with suppress(ChildProcessError):
            return os.waitpid(self.pid, os.WNOHANG) == (0, 0)
        return False

    def begin(self) -> None:
        """Let it do its work. Should it just have died, its end tells so."""
        with suppress(BrokenPipeError):
            os.write(self._writing, b"!")
        os.close(self._writing)

    def dismiss(self) -> None:
        """Let it end without having worked."""
        os.close(self._writing)
        with suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _live(reading: int, parent: int, work: Callable[[], None], prepare: Callable[[], None]) -> None:
    code = FAILED
    try:
        os.setpgrp()
        die_with_parent(parent)
        prepare()
        if os.read(reading, 1):
            work()
        code = os.EX_OK
    except Exception:  # noqa: BLE001 the parent sees the code, people the log
        logger.exception("the work of a process failed")
    finally:
        # What the parent would do at its end is not for this process to do.
        os._exit(code)


def _make_ready(mask: Iterable[int], prepare: Callable[[], None]) -> None:
    random.seed()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    try:
        prepare()
    except Exception as error:  # noqa: BLE001 the work itself will say what is wrong
        logger.warning("a process could not make itself ready", error=repr(error))
