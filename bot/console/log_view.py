"""A log's lines as HTML: numbered, with anchors, colours of the terminal as classes, all else escaped."""

import re
from collections.abc import Sequence

from markupsafe import Markup, escape

from bot.transcript import Line

_COLOUR = re.compile(r"\x1b\[([0-9;]*)m")
# Control sequences of ECMA-48: CSI, OSC with its end, and the short ones.
_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[ -/]*[0-Z\\^-~])")
# Control characters but tabs; and those that turn the direction of a text, so that it reads as another.
_UNSEEN = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def plain(text: str) -> str:
    """The text that a terminal would show at the end of the line, without colours."""
    return _UNSEEN.sub("", _COLOUR.sub("", _shown(text)))


def coloured(text: str) -> Markup:
    """The same, with colours as spans of the classes `c0` to `c15`, `b` (bold) and `d` (dim)."""
    shown = _shown(text)
    if "\x1b" not in shown:
        return escape(_UNSEEN.sub("", shown))
    parts = _COLOUR.split(shown)
    out = [escape(_UNSEEN.sub("", parts[0]))]
    style = _Style()
    for codes, piece in zip(parts[1::2], parts[2::2], strict=True):
        style.apply(codes)
        body = escape(_UNSEEN.sub("", piece))
        names = style.names
        out.append(Markup('<span class="{}">{}</span>').format(names, body) if names and body else body)
    return Markup("").join(out)


def lines_html(lines: Sequence[Line]) -> Markup:
    """The lines, with a heading where another step begins."""
    out: list[str] = []
    step = ""
    for line in lines:
        if line.step != step:
            step = line.step
            out.append(f'<div class="step-mark">{escape(step)}</div>')
        out.append(
            f'<div class="line {_kind(line)}" id="L{line.n}">'
            f'<a href="#L{line.n}" title="{escape(line.at)}">{line.n}</a>'
            f"<span>{coloured(line.text)}</span></div>"
        )
    # Each piece was escaped above; joining 2,000 Markup objects would escape them all again.
    return Markup("".join(out))  # noqa: S704


def _kind(line: Line) -> str:
    return line.stream if line.stream in ("stdout", "stderr") else "slipway"


def _shown(text: str) -> str:
    # A progress bar overwrites its line; what it wrote last is what stays.
    return _SEQUENCE.sub(_only_colour, text.rstrip("\r\n").rpartition("\r")[2])


def _only_colour(sequence: re.Match[str]) -> str:
    return sequence[0] if _COLOUR.fullmatch(sequence[0]) else ""


class _Style:
    def __init__(self) -> None:
        self._colour: int | None = None
        self._bold = False
        self._dim = False

    @property
    def names(self) -> str:
        colour = [f"c{self._colour}"] if self._colour is not None else []
        return " ".join(colour + ["b"] * self._bold + ["d"] * self._dim)

    def apply(self, codes: str) -> None:
        numbers = [int(code) if code else 0 for code in codes.split(";") if len(code) < 4]
        while numbers:
            code = numbers.pop(0)
            if code in (38, 48):
                self._extended(code, numbers)
            else:
                self._set(code)

    def _set(self, code: int) -> None:
        if code == 0:
            self._colour, self._bold, self._dim = None, False, False
        elif code in (1, 2):
            self._bold, self._dim = self._bold or code == 1, self._dim or code == 2
        elif code == 22:
            self._bold = self._dim = False
        elif 30 <= code <= 37 or 90 <= code <= 97:
            self._colour = code - 30 if code < 90 else code - 82
        elif code == 39:
            self._colour = None

    def _extended(self, code: int, numbers: list[int]) -> None:
        count = {5: 2, 2: 4}.get(numbers[0] if numbers else -1, 1)
        chosen = numbers[:count]
        del numbers[:count]
        if code == 38 and len(chosen) == 2 and chosen[1] < 16:
            self._colour = chosen[1]
