"""How the console words moments, durations, sizes and texts of others."""

import re
from datetime import datetime, timedelta

# Control characters, and those that turn the direction of a text, so that it reads as another one.
_UNSEEN = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u200e\\u200f\\u202a-\\u202e\\u2066-\\u2069]")
_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))


def ago(moment: datetime, now: datetime) -> str:
    """How long ago a moment was, in one unit: `just now`, `42 s ago`, `3 h ago`; a date beyond 30 days."""
    seconds = int((now - moment).total_seconds())
    if seconds < 5:
        return "just now"
    if seconds >= 30 * 86_400:
        return f"{moment:%-d %b %Y}"
    size, unit = next(pair for pair in _UNITS if seconds >= pair[0])
    return f"{seconds // size} {unit} ago"


def duration(length: timedelta) -> str:
    """A duration in at most two units: `40 ms`, `4.2 s`, `42 s`, `3 min 20 s`, `2 h 5 min`."""
    seconds = max(0.0, length.total_seconds())
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    large = next(index for index, pair in enumerate(_UNITS) if whole >= pair[0])
    size, unit = _UNITS[large]
    rest = whole % size // _UNITS[large + 1][0] if large < 3 else 0
    return f"{whole // size} {unit}" + (f" {rest} {_UNITS[large + 1][1]}" if rest else "")


def ahead(left: timedelta) -> str:
    """How far ahead a moment is, in one unit, rounded up: `in 3 d`, `in 20 min`."""
    seconds = max(1, int(left.total_seconds()))
    size, unit = next(pair for pair in _UNITS if seconds >= pair[0])
    return f"in {-(-seconds // size)} {unit}"


def size(count: int) -> str:
    """A number of bytes: `812 B`, `1.2 MB`."""
    amount = float(count)
    for unit in ("B", "kB", "MB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} GB"


def clean(text: str) -> str:
    """A text of others without characters that can't be seen and change how it reads."""
    return _UNSEEN.sub("", text)


def first_line(text: str, length: int = 120) -> str:
    """The first line of a message, cut to a length."""
    line = clean(text.strip().partition("\n")[0]).strip()
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"
