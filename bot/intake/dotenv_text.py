"""Reads the text of a `.env` file, as dotenv libraries do; nothing in it is expanded (pure)."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO

from dotenv.parser import parse_stream


@dataclass(frozen=True)
class DotenvText:
    """The variables of a text, the last of each name, and the numbers of the lines that could not be read."""

    values: dict[str, str]
    unread: Sequence[int]


def read_dotenv(text: str) -> DotenvText:
    """Read `NAME=value` lines, with `export`, quotes and comments. A name without `=` can't be read."""
    values: dict[str, str] = {}
    unread: list[int] = []
    for binding in parse_stream(StringIO(text.removeprefix("\ufeff"))):
        if binding.error or (binding.key is not None and binding.value is None):
            unread.append(_first_line(binding.original.string, binding.original.line))
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
    return DotenvText(values, unread)


def _first_line(said: str, line: int) -> int:
    # What stands between two bindings belongs to the second one: empty lines come first.
    before = said[: len(said) - len(said.lstrip())]
    return line + before.count("\n")
