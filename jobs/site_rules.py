"""`_redirects` and `_headers` as sites write them: read, kept as JSON, and evaluated. Pure.

Syntax and limits are those of Netlify (docs.netlify.com/manage/routing/redirects) and Cloudflare Pages
(developers.cloudflare.com/pages/configuration/redirects and /headers). Where the two differ, Netlify's way
is taken: the usual status is 301, and a rule gives way to a file of that path unless its status ends in `!`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import msgspec
from msgspec import Struct

from jobs.site_patterns import Pattern, PatternError, Text, parse_pattern, parse_text, tidy

MAX_STATIC, MAX_DYNAMIC, MAX_HEADER_RULES = 2000, 100, 100
MAX_LINE = {"_redirects": 1000, "_headers": 2000}
MAX_WARNINGS = 100
MAX_HEADERS_PER_RULE = 50
MAX_SENT = 16 * 1024
"""Most bytes of headers, and of a redirect's address, that one answer gets from rules."""

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


@dataclass(frozen=True)
class Moved:
    """The visitor is sent elsewhere."""

    status: int
    location: str


@dataclass(frozen=True)
class Served:
    """A file is served: that of `path` (percent-encoded), or the one asked for. `status` is 200 or 404."""

    path: str | None
    status: int
    headers: tuple[tuple[str, str], ...]


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
        literal = tidy(unquote(address.path)).rstrip("/") or "/"
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


class Rulebook:
    """Rules made ready to be asked often: plain redirects are found by their path."""

    def __init__(self, rules: Rules) -> None:
        self._headers = rules.headers
        self._static: dict[str, list[tuple[int, Redirect]]] = {}
        self._dynamic: list[tuple[int, Redirect]] = []
        for item in enumerate(rules.redirects):
            literal = item[1].source.literal
            if literal is None:
                self._dynamic.append(item)
            else:
                self._static.setdefault(literal, []).append(item)

    def answer(self, path: str, query: str, exists: Callable[[str], bool]) -> Moved | Served:
        """What the rules make of a request. `path` is decoded; `exists` says whether there is a file for it.

        The first rule that fits decides. A rule that would send the visitor to where it is, or whose address
        grew too long, is passed over.
        """
        path = tidy(path)
        shadowed: bool | None = None
        for redirect, caught in self._fitting(path):
            if not redirect.force:
                shadowed = exists(path) if shadowed is None else shadowed
                if shadowed:
                    continue
            location = _location(redirect, caught, query)
            if len(location) > MAX_SENT:
                continue
            if redirect.status not in MOVED:
                return Served(location.split("?")[0].split("#")[0], redirect.status, self._added(path))
            if _is_elsewhere(location, path, query):
                return Moved(redirect.status, location)
        return Served(None, 200, self._added(path))

    def _fitting(self, path: str) -> Iterator[tuple[Redirect, dict[str, str]]]:
        static = self._static.get(path.rstrip("/") or "/", [])
        for _, redirect in sorted([*static, *self._dynamic], key=lambda item: item[0]):
            caught = redirect.source.match(path)
            if caught is not None:
                yield redirect, caught

    def _added(self, path: str) -> tuple[tuple[str, str], ...]:
        """Headers of all rules that fit, a name's values joined by commas, as both services do."""
        names: dict[str, str] = {}
        values: dict[str, list[str]] = {}
        for rule in self._headers:
            caught = rule.source.match(path)
            if caught is None:
                continue
            for name in rule.removed:
                values.pop(name, None)
            for name, text in rule.added:
                names[name.lower()] = name
                values.setdefault(name.lower(), []).append(text.fill(caught))
        sent, headers = 0, list[tuple[str, str]]()
        for name, several in values.items():
            value = ", ".join(several)
            sent += len(name) + len(value)
            if sent <= MAX_SENT:
                headers.append((names[name], value))
        return tuple(headers)


def _location(redirect: Redirect, caught: dict[str, str], query: str) -> str:
    location = redirect.target.fill(caught)
    if location.startswith("/"):
        location = "/" + location.lstrip("/")  # two slashes would begin another host
    if redirect.status not in MOVED or not query or "?" in location:
        return location
    before, hash_, fragment = location.partition("#")
    return f"{before}?{query}{hash_}{fragment}"


def _is_elsewhere(location: str, path: str, query: str) -> bool:
    target = location.partition("#")[0]
    where, _, asked = target.partition("?")
    return not target.startswith("/") or tidy(unquote(where)) != path or asked != query
