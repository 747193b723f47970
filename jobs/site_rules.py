"""`_redirects` and `_headers` as sites write them: read, and kept as JSON. Pure; `rulebook` evaluates them.

Syntax and limits are those of Netlify (docs.netlify.com/manage/routing/redirects) and Cloudflare Pages
(developers.cloudflare.com/pages/configuration/redirects and /headers). Where the two differ, Netlify's way
is taken: the usual status is 301, and a rule gives way to a file of that path unless its status ends in `!`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from jobs.site_patterns import Pattern, PatternError, Text, parse_pattern, parse_text, tidy

MAX_STATIC, MAX_DYNAMIC, MAX_HEADER_RULES = 2000, 100, 100
MAX_LINE = {"_redirects": 1000, "_headers": 2000}
MAX_WARNINGS = 100
MAX_HEADERS_PER_RULE = 50

MOVED = frozenset({301, 302, 303, 307, 308})
_CONDITION = re.compile(r"(country|language|role|cookie|agent)=", re.IGNORECASE)
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e\t]*")
_REFUSED = frozenset(
    """accept-ranges age allow alt-svc connection content-encoding content-length content-range date etag
    keep-alive last-modified location proxy-authenticate proxy-authorization proxy-connection server
    set-cookie te trailer transfer-encoding upgrade via www-authenticate""".split()
)


class Redirect(Struct, frozen=True, array_like=True):
    """One line of `_redirects`. With status 200 or 404 the target's file is the answer itself."""

    source: Pattern
    target: Text
    status: int
    force: bool


class HeaderRule(Struct, frozen=True, array_like=True):
    """One block of `_headers`: what is taken away, then what is added."""

    source: Pattern
    removed: tuple[str, ...]
    added: tuple[tuple[str, Text], ...]


class Rules(Struct, frozen=True):
    """All rules of one release, in the order of the files."""

    redirects: tuple[Redirect, ...] = ()
    headers: tuple[HeaderRule, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.redirects or self.headers)


@dataclass(frozen=True)
class RuleWarning:
    """A line that was left out, and why."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.file} line {self.line}: {self.message}"


def to_json(rules: Rules) -> bytes:
    """The rules as `rules.json` holds them."""
    return msgspec.json.encode(rules)


def from_json(data: bytes) -> Rules:
    """Read `rules.json`. Raises `msgspec.DecodeError`."""
    return msgspec.json.decode(data, type=Rules)


def parse(redirects: str, headers: str) -> tuple[Rules, list[RuleWarning]]:
    """Read both files (either may be empty). Never raises: what isn't supported becomes a warning."""
    warnings: list[RuleWarning] = []
    rules = Rules(tuple(_redirects(redirects, warnings)), tuple(_headers(headers, warnings)))
    if len(warnings) > MAX_WARNINGS:
        more = len(warnings) - MAX_WARNINGS
        last = warnings[MAX_WARNINGS]
        warnings[MAX_WARNINGS:] = [RuleWarning(last.file, last.line, f"and {more} more lines like these")]
    return rules, warnings


def _lines(file: str, text: str, warnings: list[RuleWarning]) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if len(line) > MAX_LINE[file]:
            warnings.append(RuleWarning(file, number, f"longer than {MAX_LINE[file]} characters"))
        else:
            yield number, line.rstrip()


def _redirects(text: str, warnings: list[RuleWarning]) -> Iterator[Redirect]:
    counts = {True: 0, False: 0}
    for number, line in _lines("_redirects", text, warnings):
        try:
            redirect = _redirect(line)
        except PatternError as error:
            warnings.append(RuleWarning("_redirects", number, str(error)))
            continue
        static = redirect.source.literal is not None
        counts[static] += 1
        if counts[static] > (MAX_STATIC if static else MAX_DYNAMIC):
            kind = (
                f"{MAX_STATIC} plain redirects" if static else f"{MAX_DYNAMIC} redirects with '*' or ':name'"
            )
            warnings.append(RuleWarning("_redirects", number, f"more than {kind}"))
        else:
            yield redirect


def _redirect(line: str) -> Redirect:
    words = line.split()
    words = words[: next((index for index, word in enumerate(words) if word.startswith("#")), len(words))]
    source = parse_pattern(words[0])
    if len(words) > 1 and re.match(r"[^/:=]+=", words[1]):
        raise PatternError("conditions on query parameters are not supported")
    if len(words) < 2 or words[1].rstrip("!").isdigit():
        raise PatternError("a redirect needs a path and a target")
    if any(_CONDITION.match(word) for word in words[2:]):
        raise PatternError("conditions on country, language, role or cookie are not supported")
    if len(words) > 3:
        raise PatternError(f"'{words[3]}' is one word too many")
    status, force = _status(words[2] if len(words) > 2 else "301")
    return Redirect(source, _target(words[1], source, status), status, force)


def _status(word: str) -> tuple[int, bool]:
    number = word.removesuffix("!")
    if number not in ("200", "404", *map(str, MOVED)):
        raise PatternError(f"status '{word}' is not supported; use 301, 302, 303, 307, 308, 200 or 404")
    return int(number), word.endswith("!")


def _target(word: str, source: Pattern, status: int) -> Text:
    if not _VALUE.fullmatch(word):
        raise PatternError("the target must be percent-encoded ASCII")
    target = parse_text(word, source.names)
    try:
        address = urlsplit(word)
    except ValueError as error:
        raise PatternError("the target is not an address") from error
    if word.startswith("/") and not word.startswith(("//", "/\\")):
        literal = tidy(unquote(address.path)).plain
        if status in MOVED and literal == source.literal and not address.query:
            raise PatternError("it would lead to itself")
        return target
    if address.scheme not in ("http", "https") or not address.hostname:
        raise PatternError("the target must be a path or an http or https address")
    if status not in MOVED:
        raise PatternError("passing requests on to other hosts is not supported")
    if target.names and len(target.literals[0].split("/", 3)) < 4:
        raise PatternError("placeholders in the host of a target are not supported")
    return target


def _headers(text: str, warnings: list[RuleWarning]) -> Iterator[HeaderRule]:
    for number, block in enumerate(_blocks(text, warnings), start=1):
        first, pattern, lines = block
        if number > MAX_HEADER_RULES:
            warnings.append(RuleWarning("_headers", first, f"more than {MAX_HEADER_RULES} paths"))
            continue
        removed, added = list[str](), list[tuple[str, Text]]()
        for at, line in lines:
            try:
                _header(line, pattern.names, removed, added)
            except PatternError as error:
                warnings.append(RuleWarning("_headers", at, str(error)))
        if removed or added:
            yield HeaderRule(pattern, tuple(removed), tuple(added))


def _blocks(text: str, warnings: list[RuleWarning]) -> Iterator[tuple[int, Pattern, list[tuple[int, str]]]]:
    """Each path with the indented lines below it."""
    block: tuple[int, Pattern, list[tuple[int, str]]] | None = None
    skipped = False
    for number, line in _lines("_headers", text, warnings):
        if line[0] in " \t":
            if block is not None:
                block[2].append((number, line.strip()))
            elif not skipped:
                warnings.append(RuleWarning("_headers", number, "a header stands before any path"))
            continue
        if block is not None:
            yield block
        block, skipped = None, False
        try:
            block = (number, parse_pattern(line), [])
        except PatternError as error:
            skipped = True
            warnings.append(RuleWarning("_headers", number, str(error)))
    if block is not None:
        yield block


def _header(line: str, names: frozenset[str], removed: list[str], added: list[tuple[str, Text]]) -> None:
    if line.startswith("!"):
        removed.append(line[1:].strip().lower())
        return
    name, colon, value = line.partition(":")
    name, value = name.strip(), value.strip()
    if not colon or not _NAME.fullmatch(name) or not value:
        raise PatternError("a header is written 'Name: value'")
    if name.lower() == "basic-auth":
        raise PatternError("Basic-Auth is not supported: this path is NOT protected")
    if name.lower() in _REFUSED or name.lower().startswith("x-slipway-"):
        raise PatternError(f"{name} can't be set by a site")
    if not _VALUE.fullmatch(value):
        raise PatternError("a header's value must be ASCII")
    if len(added) >= MAX_HEADERS_PER_RULE:
        raise PatternError(f"more than {MAX_HEADERS_PER_RULE} headers for one path")
    if name.lower() != "x-content-type-options":  # always set to nosniff
        added.append((name, parse_text(value, names)))
