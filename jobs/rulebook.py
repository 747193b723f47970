"""What a site's rules make of one request. Pure, and linear in the path: strangers write the rules."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from jobs.site_patterns import Path, tidy
from jobs.site_rules import MOVED, Redirect, Rules

MAX_SENT = 16 * 1024
"""Most bytes of headers, and of a redirect's address, that one answer gets from rules."""


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

    def answer(self, path: Path, query: str, exists: Callable[[Path], bool]) -> Moved | Served:
        """What the rules make of a request; `exists` says whether the site has a file for its path.

        The first rule that fits decides. A rule that would send the visitor to where it is, or whose address
        grew too long, is passed over.
        """
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

    def _fitting(self, path: Path) -> Iterator[tuple[Redirect, dict[str, str]]]:
        static = self._static.get(path.plain, [])
        for _, redirect in sorted([*static, *self._dynamic], key=lambda item: item[0]):
            caught = redirect.source.match(path)
            if caught is not None:
                yield redirect, caught

    def _added(self, path: Path) -> tuple[tuple[str, str], ...]:
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


def _is_elsewhere(location: str, path: Path, query: str) -> bool:
    target = location.partition("#")[0]
    where, _, asked = target.partition("?")
    return not target.startswith("/") or tidy(unquote(where)) != path or asked != query
