"""A deployment's log: numbered lines, redacted at the pipe, live in a Redis stream, archived at the end."""

from typing import Protocol


class LogWriter(Protocol):
    """Takes what steps say and what commands print."""

    def say(self, step: str, text: str) -> None:
        """Write a line of Slipway's own."""
        ...

    def output(self, step: str, stream: str, chunk: bytes) -> None:
        """Take a chunk of a command's output: `stream` is `stdout` or `stderr`."""
        ...
