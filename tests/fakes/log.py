"""A log that keeps what it is told in memory."""


class CollectedLog:
    """A `LogWriter` whose lines can be looked at: (step, stream, text)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []

    def say(self, step: str, text: str) -> None:
        """Keep a line of Slipway's own; its stream is `slipway`."""
        self.lines.append((step, "slipway", text))

    def output(self, step: str, stream: str, chunk: bytes) -> None:
        """Keep a chunk of output as it came."""
        self.lines.append((step, stream, chunk.decode(errors="replace")))
