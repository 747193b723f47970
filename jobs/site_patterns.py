"""Path patterns of `_redirects` and `_headers`, and texts with what they caught. Pure.

A pattern is matched in time linear to the path: strangers write both. It has at most one splat `*`, and
in each other segment at most one placeholder `:name`, as Cloudflare Pages has them; a trailing slash makes
no difference, as at Netlify.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote, unquote

from msgspec import Struct

MAX_FILLS = 20
"""How often one text may use what its pattern caught, so that a long path can't swell it without bound."""

_PLACEHOLDER = re.compile(r":([A-Za-z][A-Za-z0-9_]*)")
_SAFE = "/-._~!$&'()+,;=:@"


class PatternError(ValueError):
    """A pattern that is not supported; its text says why."""


class Segment(Struct, frozen=True, array_like=True):
    """One part of a path between slashes: literal text around at most one placeholder."""

    before: str
    name: str = ""
    after: str = ""

    def match(self, text: str, caught: dict[str, str]) -> bool:
        """Whether the text fits; what the placeholder stands for is added to `caught`."""
        if not self.name:
            return text == self.before
        held = len(text) - len(self.before) - len(self.after)
        if held < 1 or not text.startswith(self.before) or not text.endswith(self.after):
            return False
        caught[self.name] = text[len(self.before) : len(self.before) + held]
        return True


class Pattern(Struct, frozen=True, array_like=True):
    """Segments before the splat, the literal text around it in its own segment, and segments after it."""

    head: tuple[Segment, ...]
    splat: tuple[str, str] | None = None
    tail: tuple[Segment, ...] = ()

    @property
    def literal(self) -> str | None:
        """The one path that fits, without trailing slash; None when several do."""
        if self.splat is not None or any(segment.name for segment in self.head):
            return None
        return "/" + "/".join(segment.before for segment in self.head)

    @property
    def names(self) -> frozenset[str]:
        """What the pattern catches."""
        names = {segment.name for segment in (*self.head, *self.tail) if segment.name}
        return frozenset(names | {"splat"} if self.splat is not None else names)

    def match(self, path: "Path") -> dict[str, str] | None:
        """What the placeholders and the splat stand for in a path; None when it doesn't fit."""
        parts = path.parts
        caught: dict[str, str] = {}
        first, last = len(self.head), len(parts) - len(self.tail)
        if last < first or (self.splat is None and last != first):
            return None
        if not all(segment.match(part, caught) for segment, part in zip(self.head, parts, strict=False)):
            return None
        if not all(
            segment.match(part, caught) for segment, part in zip(self.tail, parts[last:], strict=True)
        ):
            return None
        return caught if self._catch_splat(path, last, caught) else None

    def _catch_splat(self, path: "Path", last: int, caught: dict[str, str]) -> bool:
        if self.splat is None:
            return True
        first, (before, after) = len(self.head), self.splat
        if first == last:
            caught["splat"] = ""
            return not (before or after or self.tail)
        if not path.parts[first].startswith(before) or not path.parts[last - 1].endswith(after):
            return False
        text = "/".join(path.parts[first:last])
        held = len(text) - len(before) - len(after)
        slash = "/" if path.slash and not self.tail and not after else ""
        caught["splat"] = text[len(before) : len(before) + held] + slash
        return held >= 0


def parse_pattern(text: str) -> Pattern:
    """Read a pattern such as `/blog/:year/*`. Raises `PatternError`."""
    if not text.startswith("/"):
        raise PatternError("a path must begin with '/'; whole addresses are not supported here")
    parts = [part for part in text.split("/") if part]
    splats = [index for index, part in enumerate(parts) if "*" in part]
    if len(splats) > 1 or text.count("*") > 1:
        raise PatternError("a path may have one '*'")
    if not splats:
        return _distinct(Pattern(tuple(map(_segment, parts))))
    at = splats[0]
    if _PLACEHOLDER.search(parts[at]):
        raise PatternError("a placeholder can't stand beside '*' in one segment")
    before, _, after = parts[at].partition("*")
    head, tail = map(_segment, parts[:at]), map(_segment, parts[at + 1 :])
    return _distinct(Pattern(tuple(head), (unquote(before), unquote(after)), tuple(tail)))


def _segment(text: str) -> Segment:
    found = list(_PLACEHOLDER.finditer(text))
    if len(found) > 1:
        raise PatternError("a segment of a path may have one placeholder")
    if not found:
        return Segment(unquote(text))
    return Segment(unquote(text[: found[0].start()]), found[0][1], unquote(text[found[0].end() :]))


def _distinct(pattern: Pattern) -> Pattern:
    names = [segment.name for segment in (*pattern.head, *pattern.tail) if segment.name]
    if len(set(names)) != len(names) or (pattern.splat is not None and "splat" in names):
        raise PatternError("each placeholder needs a name of its own")
    return pattern


class Path(Struct, frozen=True):
    """A decoded path as the file server reads it, without `.`, `..` and empty parts."""

    parts: tuple[str, ...]
    slash: bool

    def __str__(self) -> str:
        return "/" + "/".join(self.parts) + ("/" if self.slash else "")

    @property
    def plain(self) -> str:
        """The path without a slash at its end."""
        return "/" + "/".join(self.parts)


def tidy(path: str) -> Path:
    """Read a decoded path."""
    kept: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del kept[-1:]
        elif part not in ("", "."):
            kept.append(part)
    return Path(tuple(kept), bool(kept) and path.endswith(("/", "/.", "/..")))


class Text(Struct, frozen=True, array_like=True):
    """A text with gaps: literal parts, and between them the names of what fills the gaps."""

    literals: tuple[str, ...]
    names: tuple[str, ...] = ()

    def fill(self, caught: Mapping[str, str]) -> str:
        """The text; what was caught is percent-encoded, so that it can end no header and no path."""
        filled = [self.literals[0]]
        for name, literal in zip(self.names, self.literals[1:], strict=True):
            filled += (quote(caught.get(name, ""), safe=_SAFE, errors="replace"), literal)
        return "".join(filled)


def parse_text(text: str, names: frozenset[str]) -> Text:
    """Read a text that may use some names; `:other` stays as it is. Raises `PatternError`."""
    literals, used, end = [""], list[str](), 0
    for match in _PLACEHOLDER.finditer(text):
        literals[-1] += text[end : match.start()]
        end = match.end()
        if match[1] in names:
            used.append(match[1])
            literals.append("")
        else:
            literals[-1] += match[0]
    if len(used) > MAX_FILLS:
        raise PatternError(f"at most {MAX_FILLS} placeholders are supported")
    literals[-1] += text[end:]
    return Text(tuple(literals), tuple(used))
