"""How an answer that does not end leaves HTTP's machinery, which would hold some 15 KB for each reader.

The server puts `HANDOVER` among the extensions of a request's scope
(https://asgi.readthedocs.io/en/latest/extensions.html): a function that gives the connection to a `Taker`
once the head of the answer is sent. From then on nobody else writes to it, and the taker closes it.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.types import Scope

HANDOVER = "slipway.handover"


class Taker(asyncio.Protocol):
    """What a connection can be given to."""

    __slots__ = ("_forget", "transport")

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._forget: Callable[[Any], None] | None = None

    def take(self, transport: asyncio.Transport, forget: Callable[[Any], None]) -> None:
        """Be given a connection; `forget` is told once it is lost."""
        self.transport = transport
        self._forget = forget

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The connection ended, whoever ended it."""
        self.transport = None
        if self._forget is not None:
            self._forget(self)
            self._forget = None

    def shutdown(self) -> None:
        """The server ends."""
        if self.transport is not None:
            self.transport.close()


HandOver = Callable[[Taker], None]


def hand_over_of(scope: Scope) -> HandOver:
    """What gives a request's connection away; the web process's server has it (`bot.web`)."""
    return scope["extensions"][HANDOVER]
