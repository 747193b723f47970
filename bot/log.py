"""Slipway's own log: one event per line, with the ids that were bound at the top of the work."""

import logging
import sys
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    import structlog
else:
    # structlog loads rich (4 MB, 60 ms) for tracebacks that we do not use, unless there is none: a module
    # that is None can't be imported (https://docs.python.org/3/reference/import.html#the-module-cache).
    _rich = sys.modules.setdefault("rich", None)
    structlog = import_module("structlog")
    if _rich is None:
        del sys.modules["rich"]

logger: structlog.stdlib.BoundLogger = structlog.get_logger()


class Unfailing:
    """A stream that loses what can't be written, as on a full disk: no work may end because of its log."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write, if that is possible."""
        with suppress(OSError):
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Flush, if that is possible."""
        with suppress(OSError):
            self._stream.flush()


def set_up_logging(process: str, *, json: bool | None = None) -> None:
    """Log to standard error: for people on a terminal, else JSON lines."""
    for_people = sys.stderr.isatty() if json is None else not json
    # Without the values of variables, which the usual formatter shows: some are secrets.
    for_terminal = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    renderer = for_terminal if for_people else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", Unfailing(sys.stderr))),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
