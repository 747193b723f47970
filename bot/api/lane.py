"""Threads for short work: few, and one after the other, since they share one interpreter."""

import asyncio
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 8
"""Twice as many as may wait for an issuer of ID tokens (`bot.oidc`)."""
_PATIENCE = 0.05
"""How long, in seconds, one waits for its turn. What takes longer waits for something else itself."""


class Lane:
    """Does what blocks, for coroutines, in threads of its own.

    Threads that take the interpreter from each other at each row of SQLite need half as much again for all
    they do, and each is done later. So one works at a time; but nobody waits long for one that waits.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lane")
        self._turn = threading.Lock()

    def run(self, work: Callable[P, T], *args: P.args, **more: P.kwargs) -> Awaitable[T]:
        """What some work returns or raises. It sees the context variables of its caller."""
        context = copy_context()
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, lambda: self._in_turn(context.run, work, *args, **more))

    def _in_turn(self, work: Callable[..., T], *args: object, **more: object) -> T:
        has_turn = self._turn.acquire(timeout=_PATIENCE)
        try:
            return work(*args, **more)
        finally:
            if has_turn:
                self._turn.release()
