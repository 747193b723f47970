"""The repository's `slipway.toml`: a build part and a policy part. Pure.

`[build]` and `[site]` are read from the commit that is built; `[policy]` from the default branch
only, so that a branch can't change the rules it is held to.
"""

import re
import tomllib
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
from msgspec import Meta, Struct

from bot.domain.app import is_inside
from bot.errors import ErrorCode, UserError
from bot.intake.events import is_branch
from bot.intake.paths import RECIPE_FILE, pattern_problem

Command = Annotated[str, Meta(min_length=1, max_length=4096)]
Directory = Annotated[str, Meta(min_length=1, max_length=1024)]
Name = Annotated[str, Meta(min_length=1, max_length=30)]

_ENVIRONMENT = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,28}[a-z0-9])?")
# Names that Slipway gives itself: production, previews, and releases by the digits of their id.
_RESERVED = re.compile(r"production|preview.*|pr-[0-9]+|[0-9a-f]{12}")
_MESSAGE = re.compile(r"(?P<what>.*?)(?: - at `(?P<where>key in )?\$(?P<path>.*)`)?", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_LINE = re.compile(r"at line (\d+)")


class BuildPart(Struct, frozen=True, forbid_unknown_fields=True):
    """`[build]`: commands run by `sh -c` in the app's root directory; `output` is relative to it."""

    command: Command | None = None
    install: Command | None = None
    output: Directory | None = None


class SitePart(Struct, frozen=True, forbid_unknown_fields=True):
    """`[site]`: with `spa`, a path that is no file is answered with `index.html`."""

    spa: bool = False


class BuildRecipe(Struct, frozen=True):
    """How the repository wants to be built."""

    build: BuildPart = BuildPart()
    site: SitePart = SitePart()


class Policy(Struct, frozen=True, forbid_unknown_fields=True):
    """`[policy]`: branches by the environment that they are brought into, and what a push must touch."""

    environments: dict[Name, Annotated[str, Meta(min_length=1)]] = {}
    paths: tuple[Annotated[str, Meta(min_length=1, max_length=1024)], ...] = ()


class Recipe(Struct, frozen=True):
    """The whole of a `slipway.toml`."""

    build: BuildRecipe = BuildRecipe()
    policy: Policy = Policy()


class _File(Struct, forbid_unknown_fields=True):
    build: BuildPart = BuildPart()
    site: SitePart = SitePart()
    policy: Policy = Policy()


class _PolicyOnly(Struct, forbid_unknown_fields=True):
    build: Any = None
    site: Any = None
    policy: Policy = Policy()


_Kind = TypeVar("_Kind", _File, _PolicyOnly)


def parse(text: bytes) -> Recipe:
    """Read the whole file. Raises `UserError` RECIPE_INVALID that tells the key, its line and the cure."""
    source, found = _load(text)
    file = _convert(found, _File, source)
    _check_policy(file.policy, source)
    output = file.build.output
    if output is not None and not is_inside(output):
        _refuse(source, "build.output", repr(output), "a directory below the app's root directory")
    return Recipe(BuildRecipe(file.build, file.site), file.policy)


def build_part(text: bytes) -> BuildRecipe:
    """The build part, from the commit that is built. The rest of the file must be right as well."""
    return parse(text).build


def policy_part(text: bytes) -> Policy:
    """The policy part, from the default branch. A mistake in the build part does not matter here."""
    source, found = _load(text)
    policy = _convert(found, _PolicyOnly, source).policy
    _check_policy(policy, source)
    return policy


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


def _load(text: bytes) -> tuple[str, dict[str, Any]]:
    try:
        source = text.decode("utf-8-sig")
        return source, tomllib.loads(source)
    except UnicodeDecodeError:
        _refuse("", "the file", "bytes that are not UTF-8", "a TOML file in UTF-8")
    except tomllib.TOMLDecodeError as error:
        line = int(match[1]) if (match := _LINE.search(str(error))) else 0
        _refuse("", "the file", str(error), "TOML (https://toml.io)", line=line)
    except RecursionError:
        _refuse("", "the file", "values nested too deeply", "TOML (https://toml.io)")


def _convert(found: dict[str, Any], kind: type[_Kind], source: str) -> _Kind:
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        match = _MESSAGE.fullmatch(str(error))
        assert match is not None
        path = (match["path"] or "").removeprefix(".")
        unknown = _UNKNOWN.fullmatch(match["what"])
        if unknown:
            key = f"{path}.{unknown['name']}".removeprefix(".")
            _refuse(source, key, "a key that Slipway does not know", _known_keys(path))
        expected, _, got = match["what"].removeprefix("Expected ").partition(", got ")
        _refuse(source, path or "the file", got or "something else", expected)


def _check_policy(policy: Policy, source: str) -> None:
    for name, branch in policy.environments.items():
        key = f"policy.environments.{name}"
        if not _ENVIRONMENT.fullmatch(name) or "--" in name:
            _refuse(
                source, key, repr(name), "a name of at most 30 lowercase letters, digits and single hyphens"
            )
        if _RESERVED.fullmatch(name):
            _refuse(source, key, repr(name), "another name, since Slipway uses this one itself")
        if not is_branch(branch):
            _refuse(source, key, repr(branch), 'the name of a branch, such as "develop"')
    for number, pattern in enumerate(policy.paths):
        problem = pattern_problem(pattern)
        if problem:
            _refuse(source, f"policy.paths[{number}]", repr(pattern), f"a glob such as 'src/**' ({problem})")


def _known_keys(path: str) -> str:
    structs = {"": _File, "build": BuildPart, "site": SitePart, "policy": Policy}
    known = structs.get(path)
    return "one of " + ", ".join(known.__struct_fields__) if known else "nothing there"


def _refuse(source: str, key: str, found: str, expected: str, *, line: int = 0) -> NoReturn:
    raise UserError(
        ErrorCode.RECIPE_INVALID,
        file=RECIPE_FILE,
        key=key,
        found=found,
        expected=expected.replace("`", "'"),
        line=line or _line_of(source, key),
    )


def _line_of(source: str, key: str) -> int:
    """Line of a key in the source, counted from 1; 0 when it can't be found."""
    names = re.sub(r"\[.*?\]", "", key).split(".")
    table: list[str] = []
    for number, line in enumerate(source.splitlines(), 1):
        if header := re.match(r"\s*\[+\s*([^\]]*?)\s*\]+", line):
            table = [part.strip(" \t\"'") for part in header[1].split(".")]
            if table == names:
                return number
            continue
        name, equals, value = line.partition("=")
        here = table + [part.strip(" \t\"'") for part in name.split(".")]
        # A key inside of an inline table stands on the line of the table.
        inline = names[: len(here)] == here and value.lstrip().startswith("{")
        if equals and (here == names or inline):
            return number
    return 0
