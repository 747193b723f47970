"""A log that keeps what it is told in memory."""


class CollectedLog:
    """A `LogWriter` whose lines can be looked at: (step, stream, text)."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, str]] = []
        self.printed = b""

    def say(self, step: str, text: str) -> None:
        """Keep a line of Slipway's own; its stream is `slipway`."""
        self.lines.append((step, "slipway", text))

    def output(self, step: str, stream: str, chunk: bytes) -> None:
        """Keep a chunk of output as it came."""
        assert stream in ("stdout", "stderr")
        self.printed += chunk
        self.lines.append((step, stream, chunk.decode(errors="replace")))

    def end_step(self, step: str) -> None:
        """Nothing is held back here."""

    @property
    def said(self) -> list[str]:
        """Slipway's own lines, without their step."""
        return [text for _, stream, text in self.lines if stream == "slipway"]

    @property
    def text(self) -> str:
        """Slipway's own lines as one text."""
        return "\n".join(self.said)
