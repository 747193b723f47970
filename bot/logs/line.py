"""What a line of a log is, and how output becomes lines (pure)."""

import codecs
import re
from dataclasses import dataclass
from typing import Protocol

import msgspec

from bot.domain.ids import DeploymentId

OURS = "slipway"
"""The stream of Slipway's own lines."""
MAX_TEXT = 16 * 1024
"""Longest line, in characters."""

# Escape sequences: CSI (colours, cursor), OSC and its kin (titles, links; up to BEL or ST), two letters.
_ESCAPE = re.compile("\x1b(?:\\[[0-?]*[ -/]*[@-~]|[\\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\\\)?|[ -/]*[0-~])?")
# Controls but the tab, and what turns the direction of writing around so that a line reads as another.
_UNSEEN = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


class LogWriter(Protocol):
    """Takes what steps say and what commands print."""

    def say(self, step: str, text: str) -> None:
        """Write a line of Slipway's own."""
        ...

    def output(self, step: str, stream: str, chunk: bytes) -> None:
        """Take a chunk of a command's output: `stream` is `stdout` or `stderr`."""
        ...

    def end_step(self, step: str) -> None:
        """Write what a step's commands left without an end of line."""
        ...


@dataclass(frozen=True)
class Line:
    """One line. `at` is ISO 8601 in UTC with milliseconds."""

    n: int
    at: str
    step: str
    stream: str
    text: str

    def to_json(self) -> bytes:
        """As it is stored and sent, without a newline."""
        return _ENCODER.encode(self)

    @staticmethod
    def from_json(text: bytes) -> "Line":
        """Read one back; raises `msgspec.DecodeError`, such as when it was cut by a crash."""
        return _DECODER.decode(text)


# Made once: a log of a million lines is read line by line.
_ENCODER, _DECODER = msgspec.json.Encoder(), msgspec.json.Decoder(Line)


def stream_key(deployment: DeploymentId) -> str:
    """The Redis key of a deployment's live log."""
    return f"slipway:log:{deployment}"


def clean(text: str) -> str:
    """A line's text without escapes and control characters, and of a progress bar only the last state."""
    text = text.rstrip("\r")
    if "\r" in text:
        states = [state for state in text.split("\r") if state.strip()]
        text = states[-1] if states else ""
    return _UNSEEN.sub("", _ESCAPE.sub("", text))


def shorten(text: str, dropped: int = 0) -> str:
    """At most `MAX_TEXT` characters; what is missing is said."""
    missing = dropped + max(0, len(text) - MAX_TEXT)
    return f"{text[:MAX_TEXT]} [{missing:,} more characters were cut]" if missing else text


class Splitter:
    """Makes lines of one stream's bytes, wherever chunks end. Keeps at most about one long line."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._open = ""
        self._dropped = 0
        self._shown = False

    def feed(self, chunk: bytes) -> list[str]:
        """Take bytes; the lines that they end."""
        *ended, rest = self._decoder.decode(chunk).split("\n")
        lines: list[str] = []
        for part in ended:
            self._extend(part)
            if not (self._shown and not self._open):
                lines.append(shorten(self._open, self._dropped))
            self._begin(shown=False)
        self._extend(rest)
        return lines

    def take_open(self) -> list[str]:
        """The line that has begun, as far as it is there; what follows becomes another."""
        if not self._open:
            return []
        line = shorten(self._open, self._dropped)
        self._begin(shown=True)
        return [line]

    def _begin(self, *, shown: bool) -> None:
        self._open, self._dropped, self._shown = "", 0, shown

    def _extend(self, part: str) -> None:
        self._open += part
        if len(self._open) > 4 * MAX_TEXT:
            # A state that was written over need not be kept; of one endless line only the beginning.
            last = self._open.rstrip("\r").rpartition("\r")[2]
            self._dropped += max(0, len(last) - 4 * MAX_TEXT)
            self._open = last[: 4 * MAX_TEXT]
