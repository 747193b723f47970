"""Ties a process's life to its parent's, so that a killed parent leaves no orphans."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
# Loaded here: between fork and exec nothing may be loaded in a process that had threads.
_LIBC = ctypes.CDLL(None)


def die_with_parent(parent: int, number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send a signal to this process when its parent dies (prctl(2)).

    It belongs to this process alone: what it forks has to ask for itself.

    `parent` is the pid of who started it: one that died before the call would not be noticed. Linux
    only; elsewhere the next start's checks find what was left.
    """
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, number)
        if os.getppid() != parent:
            os.kill(os.getpid(), number)
