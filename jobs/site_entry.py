"""One line of the edge's routing table: which release a hostname shows, and how. Pure."""

import re
from dataclasses import dataclass
from enum import StrEnum

from bot.domain.ids import ReleaseId

LAST = 9_999_999_999
"""The highest number of an activation."""
NO_RELEASE = ReleaseId(0)
"""What a hostname shows that only sends its visitors on."""

_ENTRY = re.compile(
    r"(?P<sequence>[0-9]{10})\.(?P<release>0|[1-9][0-9]{0,18})\."
    r"(?:(?P<flags>-|(?=[rsp])r?s?p?)(?:\.(?P<watch>t|(?=[gz])g?z?))?|m@(?P<to>[a-z0-9.-]{1,180}))"
)


class Watch(StrEnum):
    """What is asked about before a hostname's files are served; of most, nothing.

    `GUARDED`: whether the visitor may see them. `ASLEEP`: they must be laid out first. `TOLD`: the next
    visit is to be remembered, and those after it cost nothing any more.
    """

    NOTHING = ""
    GUARDED = "g"
    ASLEEP = "z"
    GUARDED_ASLEEP = "gz"
    TOLD = "t"

    @property
    def is_asleep(self) -> bool:
        """Whether the files are not at the edge."""
        return self in (Watch.ASLEEP, Watch.GUARDED_ASLEEP)

    @property
    def is_guarded(self) -> bool:
        """Whether visitors must show that they may."""
        return self in (Watch.GUARDED, Watch.GUARDED_ASLEEP)


@dataclass(frozen=True)
class Entry:
    """One activation. Its file is named `<9999999999 - activation>.<release>.<flags>`.

    With a watch, `.<watch>` follows, and the edge asks before it serves. Flags are `r` (the release has
    rules), `s` (single-page application) and `p` (not for search engines) in this order, or `-`.
    One that sends visitors to another hostname has the flag `m` and that name, as in `m@example.org`.
    A running application's entry will carry its address behind an `@` in the same name.
    """

    activation: int
    release: ReleaseId
    spa: bool
    rules: bool
    unlisted: bool = False
    watch: Watch = Watch.NOTHING
    moved_to: str | None = None

    @property
    def needs_files(self) -> bool:
        """Whether the edge must have the release's files to show it."""
        return self.moved_to is None and not self.watch.is_asleep

    @property
    def is_plain(self) -> bool:
        """Whether the files are all there is to it: whoever opens them serves them rightly."""
        return self.needs_files and not (self.rules or self.unlisted or self.watch)

    @property
    def name(self) -> str:
        """The file's name."""
        if self.moved_to is not None:
            return f"{LAST - self.activation:010}.{self.release}.m@{self.moved_to}"
        flags = ("r" if self.rules else "") + ("s" if self.spa else "") + ("p" if self.unlisted else "")
        watch = f".{self.watch}" if self.watch else ""
        return f"{LAST - self.activation:010}.{self.release}.{flags or '-'}{watch}"

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
            watch=Watch(match["watch"] or ""),
            moved_to=match["to"],
        )
