"""Threads for short work: few, since they take turns at one interpreter, and first come, first served."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")
THREADS = 8
"""Twice as many as may wait for an issuer of ID tokens (`bot.oidc`)."""


class Lane:
    """Does what blocks, for coroutines, in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="lane")

    def run(self, work: Callable[P, T], *args: P.args, **more: P.kwargs) -> Awaitable[T]:
        """What some work returns or raises. It sees the context variables of its caller."""
        context = copy_context()
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._threads, lambda: context.run(work, *args, **more))
