"""Durations as people write them: `30m`, `72h`, `3d`, `2w`. Pure."""

import re
from datetime import timedelta

PATTERN = "^[1-9][0-9]{0,3}[mhdw](?!\\n)$"
"""As a regular expression of both Python and JSON Schema."""
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}


def spoken(length: timedelta) -> str:
    """A length of time in whole days or hours, or else minutes, as people say it: `30 days`, `1 hour`."""
    for unit, name in (("d", "day"), ("h", "hour")):
        count, rest = divmod(length, _UNITS[unit])
        if count and not rest and (name == "day" or count < 100):
            return f"{count} {name}{'s' if count > 1 else ''}"
    return f"{length // _UNITS['m']} minutes"


def duration(text: str) -> timedelta | None:
    """The length of time that a text names; None when it names none."""
    if re.search(PATTERN, text) is None:
        return None
    return int(text[:-1]) * _UNITS[text[-1]]
