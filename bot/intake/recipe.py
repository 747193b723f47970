"""Reads the repository's `slipway.toml`: a build part and a policy part, for one of its apps. Pure.

`[build]` and `[site]` are read from the commit that is built; `[policy]` from the default branch
only, so that a branch can't change the rules it is held to. What stands in `[apps.<name>]` is said
to one app alone and wins over the rest, key by key.
"""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import Any, cast

import msgspec
from msgspec import inspect

from bot.domain.variable import is_reserved
from bot.errors import ErrorCode, UserError
from bot.intake.events import is_branch
from bot.intake.mistakes import Mistake, key_of, mistakes, shown
from bot.intake.paths import RECIPE_FILE, pattern_problem
from bot.intake.recipe_file import BuildPart, BuildRecipe, Policy, Recipe, SitePart, SlipwayFile
from bot.intake.toml_places import Path, Place, Places, long_key, places

MAX_RECIPE_BYTES = 64 * 1024
"""Largest file that is read."""
MAX_MISTAKES = 100
"""Most mistakes that are told of one file."""

_KIND = inspect.type_info(SlipwayFile)
_POSITION = re.compile(r" \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)$")
_MAX_DEPTH = 5
"""Tables within tables that the definitions have; deeper ones are mistakes."""
_SYNTAX = "TOML (https://toml.io)"
_POLICY = "policy"
_APPS = "apps"


@dataclass(frozen=True)
class Reading:
    """What was read of a file: its values as TOML has them, where they stand, what is wrong with them."""

    values: dict[str, Any]
    mistakes: tuple[Mistake, ...]
    places: Places = field(default_factory=Places)

    def place(self, mistake: Mistake) -> Place:
        """Where a mistake stands."""
        return self.places.of(mistake.path)


def read(text: bytes) -> Reading:
    """Read a file and find every mistake in it, in the order of the file. Never raises."""
    refused = _too_much(text)
    if refused is not None:
        return refused
    try:
        source = text.decode("utf-8-sig")
        values = tomllib.loads(source)
    except UnicodeDecodeError as error:
        return _unreadable("bytes that are not UTF-8", "text in UTF-8", _place(text, error.start))
    except tomllib.TOMLDecodeError as error:
        return _unreadable(*_syntax(str(error), text))
    except RecursionError:
        return _unreadable("values nested too deeply", _SYNTAX, Place(1, 1))
    except ValueError as error:
        return _unreadable(str(error).partition(";")[0], "a smaller number", Place(1, 1))
    where = places(source)
    found = list(islice(chain(mistakes(values, _KIND), _more(values)), MAX_MISTAKES))
    found.sort(key=lambda one: (where.of(one.path).line, where.of(one.path).column))
    return Reading(values, tuple(found), where)


def parse(text: bytes, app: str | None = None, *, file: str = RECIPE_FILE) -> Recipe:
    """What the file says to the app of that name.

    Raises `UserError` RECIPE_INVALID for the first mistake that concerns the app, with its place.
    """
    reading = read(text)
    _refuse([one for one in reading.mistakes if _concerns(one, app)], reading, file)
    values = said_to(reading.values, app)
    parts = BuildRecipe(
        msgspec.convert(values.get("build", {}), BuildPart), msgspec.convert(values.get("site", {}), SitePart)
    )
    return Recipe(parts, msgspec.convert(values.get(_POLICY, {}), Policy))


def build_part(text: bytes, app: str | None = None, *, file: str = RECIPE_FILE) -> BuildRecipe:
    """The build part, from the commit that is built. The policy must be right as well.

    Raises as `parse` does.
    """
    return parse(text, app, file=file).build


def policy_part(text: bytes, app: str | None = None, *, file: str = RECIPE_FILE) -> Policy:
    """The policy part, from the default branch. A mistake in the build part does not matter here.

    Raises as `parse` does.
    """
    reading = read(text)
    _refuse([one for one in reading.mistakes if _concerns(one, app) and _is_policy(one.path)], reading, file)
    return msgspec.convert(said_to(reading.values, app).get(_POLICY, {}), Policy)


def said_to(values: dict[str, Any], app: str | None) -> dict[str, Any]:
    """What a file's values are for one app: its own win, table by table and key by key."""
    common = {name: value for name, value in values.items() if name != _APPS}
    own = _table(_table(values.get(_APPS)).get(app or ""))
    return _merged(common, own)


def origin(values: dict[str, Any], app: str | None, path: Path) -> Path | None:
    """The path in the file that a value for the app comes from; None when the file does not say it."""
    own: Path = (_APPS, app or "", *path)
    return next((one for one in (own, path) if _has(values, one)), None)


def policy_to_json(policy: Policy) -> dict[str, Any]:
    """A policy as the store keeps it."""
    return msgspec.to_builtins(policy)


def policy_from_json(value: dict[str, Any] | None) -> Policy | None:
    """A policy as the store kept it; None when there is none that this version can read."""
    if value is None:
        return None
    try:
        return msgspec.convert(value, Policy)
    except msgspec.ValidationError:
        return None


def _refuse(found: list[Mistake], reading: Reading, file: str) -> None:
    if not found:
        return
    first = found[0]
    place = reading.place(first)
    raise UserError(
        ErrorCode.RECIPE_INVALID,
        file=file,
        key=key_of(first.path),
        found=first.found,
        expected=first.expected.replace("`", "'"),
        line=place.line,
        column=place.column,
        more=len(found) - 1,
    )


def _concerns(mistake: Mistake, app: str | None) -> bool:
    """Whether a mistake matters to one app: all but those in other apps' tables do."""
    path = mistake.path
    return app is None or len(path) < 3 or path[0] != _APPS or path[1] == app


def _is_policy(path: Path) -> bool:
    """Whether a mistake is in the policy, or hides what may be one."""
    inner = path[2:] if len(path) > 2 and path[0] == _APPS else path
    return not inner or inner[0] not in ("build", "site")


def _more(values: dict[str, Any]) -> Iterator[Mistake]:
    """What a schema can't say: which texts are branches, globs, and names that can be set."""
    apps = _table(values.get(_APPS))
    for part, path in ((values, ()), *((_table(app), (_APPS, name)) for name, app in apps.items())):
        yield from _policy(_table(part.get(_POLICY)), (*path, _POLICY))
        yield from _required(_table(part.get("build")), (*path, "build", "required_variables"))


def _required(build: dict[str, Any], path: Path) -> Iterator[Mistake]:
    names = build.get(str(path[-1]))
    for number, name in enumerate(cast("list[Any]", names) if isinstance(names, list) else []):
        if isinstance(name, str) and is_reserved(name):
            yield Mistake((*path, number), shown(name), "a name that the system does not set itself")


def _policy(policy: dict[str, Any], path: Path) -> Iterator[Mistake]:
    for name, branch in _table(policy.get("environments")).items():
        if isinstance(branch, str) and branch and not is_branch(branch):
            where = (*path, "environments", name)
            yield Mistake(where, shown(branch), 'the name of a branch, such as "develop"')
    for at, patterns in (
        ((*path, "paths"), policy.get("paths")),
        ((*path, "previews", "base_branches"), _table(policy.get("previews")).get("base_branches")),
    ):
        for number, pattern in enumerate(cast("list[Any]", patterns) if isinstance(patterns, list) else []):
            problem = pattern_problem(pattern) if isinstance(pattern, str) and pattern else None
            if problem:
                yield Mistake((*at, number), shown(pattern), f'a glob such as "src/**" ({problem})')


def _too_much(text: bytes) -> Reading | None:
    if len(text) > MAX_RECIPE_BYTES:
        return _unreadable(f"larger than {MAX_RECIPE_BYTES} bytes", "a smaller one", Place(1, 1))
    at = long_key(text)
    if at is None:
        return None
    return _unreadable("a key of too many parts", "a key that Slipway knows", _place(text, at))


def _syntax(message: str, text: bytes) -> tuple[str, str, Place]:
    match = _POSITION.search(message)
    if match is None:
        return message, _SYNTAX, Place(1, 1)
    if match["line"] is None:
        return message[: match.start()], _SYNTAX, _place(text, len(text))
    return message[: match.start()], _SYNTAX, Place(int(match["line"]), int(match["column"]))


def _place(text: bytes, at: int) -> Place:
    before = text[:at]
    last = before.rpartition(b"\n")[2].decode(errors="replace")
    return Place(before.count(b"\n") + 1, len(last) + 1)


def _unreadable(found: str, expected: str, place: Place) -> Reading:
    words = found[:1].lower() + found[1:]
    told = f"not TOML: {words}" if expected == _SYNTAX else words
    return Reading({}, (Mistake((), told, expected),), Places({(): place}))


def _table(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _merged(common: dict[str, Any], own: dict[str, Any], depth: int = 0) -> dict[str, Any]:
    both = dict(common)
    for name, value in own.items():
        before = both.get(name)
        if isinstance(before, dict) and isinstance(value, dict) and depth < _MAX_DEPTH:
            tables = cast("dict[str, Any]", before), cast("dict[str, Any]", value)
            both[name] = _merged(*tables, depth + 1)
        else:
            both[name] = value
    return both


def _has(values: dict[str, Any], path: Path) -> bool:
    table: Any = values
    for name in path:
        if not isinstance(table, dict) or name not in table:
            return False
        table = cast("dict[Any, Any]", table)[name]
    return True
