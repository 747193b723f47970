"""Gives a box without network one way out: a socket that listens inside and is served by the worker.

Nothing of ours runs in the box: bubblewrap waits before it starts the command until the socket is there.
"""

import json
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bot.errors import ErrorCode, PlatformError
from jobs.sandbox.box import GATE

_LISTENER = Path(__file__).with_name("listen.py")
_SECONDS = 10.0


@dataclass(frozen=True)
class Latch:
    """Keeps a box from beginning: `held` is the descriptor that bubblewrap waits at."""

    held: int
    release: int

    def let_go(self) -> None:
        """Let the box begin."""
        os.write(self.release, b".")


def latch(stack: ExitStack) -> Latch:
    """A latch whose descriptors are closed with the stack."""
    held, release = os.pipe()
    stack.callback(os.close, held)
    stack.callback(os.close, release)
    return Latch(held, release)


def open_in(status: int) -> socket.socket | None:
    """The socket that listens in a box, as its bubblewrap reports itself; None when that ended at once.

    Raises `PlatformError` SANDBOX_FAILED.
    """
    pid = _reported(status)
    return None if pid is None else _listening(pid)


def _reported(status: int) -> int | None:
    said, deadline = b"", time.monotonic() + _SECONDS
    while b"\n" not in said:
        if not select.select([status], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise PlatformError(ErrorCode.SANDBOX_FAILED, reason="bubblewrap does not begin")
        chunk = os.read(status, 1)
        if not chunk:
            return None
        said += chunk
    return int(json.loads(said)["child-pid"])


def _listening(pid: int) -> socket.socket:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        argv = [sys.executable, "-I", "-S", str(_LISTENER), str(pid), str(theirs.fileno()), str(GATE[1])]
        try:
            done = subprocess.run(
                argv,
                pass_fds=(theirs.fileno(),),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _failed("it took too long") from error
        if done.returncode != 0:
            raise _failed(done.stderr.strip().rpartition("\n")[2])
        _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=descriptors[0])


def _failed(why: str) -> PlatformError:
    return PlatformError(ErrorCode.SANDBOX_FAILED, reason=f"the network of the box can't be entered: {why}")
