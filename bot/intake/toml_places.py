"""Where the keys and values of a TOML text stand, for messages that point at them. Pure.

`tomllib` reads the values and judges the syntax, but tells no positions. This walks a text that
`tomllib` has accepted, so it need not judge anything.
"""

import re
import tomllib
from bisect import bisect_right
from contextlib import suppress
from dataclasses import dataclass, field

Path = tuple[str | int, ...]
"""Keys and list positions, from the top of the file."""

_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'''
        """ (?: [^"\\] | \\. | "(?!"") )* "{3,5}
        | \'{3} (?: [^'] | '(?!'') )* '{3,5}
        | " (?: [^"\\\n] | \\. )* "
        | ' [^'\n]* '
    ''',
    re.DOTALL | re.VERBOSE,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")
_MAX_DEPTH = 100
_LONG_KEY = re.compile(
    rb"""(?:^|[\[{,])[ \t]*(?P<key>(?:(?:[A-Za-z0-9_-]+|"[^"\n]*"|'[^'\n]*')[ \t]*\.[ \t]*){50})""",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Place:
    """A position in a text, both counted from 1; the column in characters."""

    line: int
    column: int


@dataclass
class Places:
    """Where each path of a file stands: a key at its last word, an item of a list at its start."""

    found: dict[Path, Place] = field(default_factory=dict[Path, Place])

    def of(self, path: Path) -> Place:
        """Where a path stands, or the nearest above it that stands anywhere; else the file's start."""
        for length in range(len(path), -1, -1):
            if place := self.found.get(path[:length]):
                return place
        return Place(1, 1)


def places(text: str) -> Places:
    """The places in a text that `tomllib` accepts; of another text, those up to what can't be read."""
    walker = _Walker(text)
    with suppress(_LostError, IndexError):
        walker.document()
    return walker.places


def long_key(text: bytes) -> int | None:
    """Where a key of more than 50 parts begins, in bytes; None when there is none.

    With one of thousands of parts `tomllib` is busy for minutes.
    """
    found = _LONG_KEY.search(text)
    return found.start("key") if found else None


class _LostError(Exception):
    """The text is not what a TOML file looks like."""


class _Walker:
    """Goes through a text once."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._counts: dict[Path, int] = {}
        self.places = Places()

    def document(self) -> None:
        table: Path = ()
        while self._skip(_BLANK):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table, 0)

    def _header(self) -> Path:
        is_list = self._text.startswith("[[", self._at)
        self._at += 2 if is_list else 1
        path = self._key(())
        self._take("]")
        if is_list:
            self._take("]")
            number = self._counts.get(path, 0)
            self._counts[path] = number + 1
            self.places.found[*path, number] = self.places.found[path]
            path = (*path, number)
        return path

    def _pair(self, table: Path, depth: int) -> None:
        path = self._key(table)
        self._take("=")
        self._skip(_SPACE)
        self._value(path, depth)

    def _key(self, table: Path) -> Path:
        """A dotted key; a table of a list means the list's newest item."""
        path = table
        while True:
            self._skip(_SPACE)
            if len(path) > _MAX_DEPTH:
                raise _LostError
            if path and path in self._counts and isinstance(path[-1], str):
                path = (*path, self._counts[path] - 1)
            start = self._at
            path = (*path, self._word())
            self.places.found.setdefault(path, self._place(start))
            self._skip(_SPACE)
            if self._text[self._at] != ".":
                return path
            self._at += 1

    def _word(self) -> str:
        if bare := _BARE.match(self._text, self._at):
            self._at = bare.end()
            return bare[0]
        return self._quoted()

    def _quoted(self) -> str:
        text = self._string()
        try:
            return tomllib.loads(f"key = {text}")["key"]
        except tomllib.TOMLDecodeError as error:
            raise _LostError from error

    def _string(self) -> str:
        quoted = _STRING.match(self._text, self._at)
        if quoted is None:
            raise _LostError
        self._at = quoted.end()
        return quoted[0]

    def _value(self, path: Path, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise _LostError
        match self._text[self._at]:
            case "[":
                self._list(path, depth)
            case "{":
                self._inline(path, depth)
            case '"' | "'":
                self._string()
            case _:
                self._skip(_SCALAR)

    def _list(self, path: Path, depth: int) -> None:
        self._at += 1
        number = 0
        while self._skip(_BLANK) and self._text[self._at] != "]":
            if self._text[self._at] == ",":
                self._at += 1
                continue
            item = (*path, number)
            self.places.found[item] = self._place(self._at)
            before = self._at
            self._value(item, depth + 1)
            if self._at == before:
                raise _LostError
            number += 1
        self._take("]")

    def _inline(self, path: Path, depth: int) -> None:
        self._at += 1
        while self._skip(_BLANK) and self._text[self._at] != "}":
            if self._text[self._at] == ",":
                self._at += 1
            else:
                self._pair(path, depth + 1)
        self._take("}")

    def _take(self, character: str) -> None:
        if self._text[self._at] != character:
            raise _LostError
        self._at += 1

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """Go past what the pattern matches; whether there is anything behind it."""
        match = pattern.match(self._text, self._at)
        assert match is not None
        self._at = match.end()
        return self._at < len(self._text)

    def _place(self, at: int) -> Place:
        line = bisect_right(self._starts, at)
        return Place(line, at - self._starts[line - 1] + 1)
