"""Ties a process's life to its parent's, so that a killed parent leaves no orphans."""

import ctypes
import signal
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel send a signal to this process when its parent dies (prctl(2)).

    It belongs to this process alone: what it forks has to ask for itself.

    Linux only; elsewhere the next start's checks find what was left.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number)
