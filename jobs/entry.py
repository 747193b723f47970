"""One activation of a hostname, as the name of a file says it."""

import re
from dataclasses import dataclass

from bot.domain.ids import ReleaseId

LAST = 9_999_999_999
NO_RELEASE = ReleaseId(0)
"""What a hostname shows that only sends its visitors on."""
_ENTRY = re.compile(
    r"(?P<sequence>[0-9]{10})\.(?P<release>0|[1-9][0-9]{0,18})\."
    r"(?:(?P<flags>-|(?=[rsp])r?s?p?)|m@(?P<to>[a-z0-9.-]{1,180}))"
)


@dataclass(frozen=True)
class Entry:
    """One activation. Its file is named `<9999999999 - activation>.<release>.<flags>`.

    Flags are `r` (the release has rules), `s` (single-page application) and `p` (not for search engines)
    in this order, or `-`.
    One that sends visitors to another hostname has the flag `m` and that name, as in `m@example.org`.
    A running application's entry will carry its address behind an `@` in the same name.
    """

    activation: int
    release: ReleaseId
    spa: bool
    rules: bool
    unlisted: bool = False
    moved_to: str | None = None

    @property
    def name(self) -> str:
        """The file's name."""
        if self.moved_to is not None:
            return f"{LAST - self.activation:010}.{self.release}.m@{self.moved_to}"
        flags = ("r" if self.rules else "") + ("s" if self.spa else "") + ("p" if self.unlisted else "")
        return f"{LAST - self.activation:010}.{self.release}.{flags or '-'}"

    @staticmethod
    def parse(name: str) -> "Entry | None":
        """Read a file's name; None for any other text."""
        match = _ENTRY.fullmatch(name)
        if match is None:
            return None
        flags = match["flags"] or ""
        return Entry(
            LAST - int(match["sequence"]),
            ReleaseId(int(match["release"])),
            spa="s" in flags,
            rules="r" in flags,
            unlisted="p" in flags,
            moved_to=match["to"],
        )
