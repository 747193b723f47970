"""What package.json, pnpm-workspace.yaml and pyproject.toml tell of packages and of each other. Pure."""

import json
import posixpath
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, cast

import yaml

from bot.intake.toml_places import long_key

MANIFESTS = ("package.json", "pnpm-workspace.yaml", "pyproject.toml")
"""Files that are read, wherever they are."""
_MAX_TOML = 128 * 1024
_MAX_YAML = 32 * 1024
# PyYAML takes seconds for thousands of them within each other.
_MAX_BRACKETS = 500
_GROUPS = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_LOCAL = re.compile(r"(?:file|link|portal|workspace):(?P<path>\.{1,2}(?:/.*)?)")
_ALIAS = re.compile(r"(?:npm|workspace):(?P<name>@?[^@]+)@.*")
_REQUIREMENT = re.compile(r"\s*(?P<name>[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)")


class Kind(StrEnum):
    """Whose packages they are."""

    JAVASCRIPT = "javascript"
    PYTHON = "python"


@dataclass(frozen=True)
class Manifest:
    """One package: its folder, its name, and what it needs by name or by folder.

    Folders are relative to the repository's top, which is ''. `members` are the globs of the workspace
    that it is the top of, relative to its folder; those that begin with `!` take back.
    """

    folder: str
    kind: Kind
    name: str = ""
    names: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()
    members: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifests:
    """All packages of a repository, and the paths of the manifests that nobody can read.

    `unread` says why none was read, when there was too much.
    """

    packages: tuple[Manifest, ...] = ()
    unreadable: tuple[str, ...] = ()
    unread: str = ""

    @property
    def workspaces(self) -> Iterator[Manifest]:
        """Packages that are the top of a workspace."""
        return (one for one in self.packages if one.members)


class _UnreadableError(Exception):
    """A manifest is not what it must be."""


@dataclass
class _Found:
    packages: dict[str, Manifest] = field(default_factory=dict[str, Manifest])
    pythons: list[Manifest] = field(default_factory=list[Manifest])
    members: dict[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])
    unreadable: list[str] = field(default_factory=list[str])


def read_manifests(contents: Mapping[str, bytes]) -> Manifests:
    """Read manifests by their paths. Never raises: what can't be read is listed."""
    found = _Found()
    for path, content in sorted(contents.items()):
        folder, _, name = path.rpartition("/")
        try:
            match name:
                case "package.json":
                    found.packages[folder] = _javascript(folder, _json(content))
                case "pnpm-workspace.yaml":
                    found.members[folder] = _globs(_yaml(content).get("packages"))
                case _:
                    found.pythons.append(_python(folder, _toml(content)))
        except _UnreadableError:
            found.unreadable.append(path)
    return Manifests((*_with_members(found), *found.pythons), tuple(found.unreadable))


def is_below(folder: str, top: str) -> bool:
    """Whether a folder is another one, or is inside of it."""
    return not top or folder == top or folder.startswith(f"{top}/")


def _with_members(found: _Found) -> Iterator[Manifest]:
    """The packages, with what pnpm-workspace.yaml says; it need not stand by a package.json."""
    for folder in sorted({*found.packages, *found.members}):
        own = found.packages.get(folder, Manifest(folder, Kind.JAVASCRIPT))
        globs = (*own.members, *found.members.get(folder, ()))
        yield Manifest(folder, own.kind, own.name, own.names, folders=own.folders, members=_ordered(globs))


def _javascript(folder: str, content: dict[str, Any]) -> Manifest:
    names: set[str] = set()
    folders: set[str] = set()
    for group in _GROUPS:
        for name, spec in _table(content.get(group)).items():
            local = _LOCAL.fullmatch(spec) if isinstance(spec, str) else None
            alias = _ALIAS.fullmatch(spec) if isinstance(spec, str) else None
            if local:
                folders |= _folder(folder, local["path"])
            else:
                names |= {name, alias["name"]} if alias else {name}
    workspaces = content.get("workspaces")
    globs = _table(workspaces).get("packages") if isinstance(workspaces, dict) else workspaces
    return Manifest(
        folder,
        Kind.JAVASCRIPT,
        _string(content.get("name")),
        frozenset(names),
        folders=frozenset(folders),
        members=_globs(globs),
    )


def _python(folder: str, content: dict[str, Any]) -> Manifest:
    project, uv = _table(content.get("project")), _table(_table(content.get("tool")).get("uv"))
    groups = (_table(project.get("optional-dependencies")), _table(content.get("dependency-groups")))
    asked = [
        project.get("dependencies"),
        uv.get("dev-dependencies"),
        *(listed for group in groups for listed in group.values()),
    ]
    names = {_normal(found["name"]) for one in _strings(asked) if (found := _REQUIREMENT.match(one))}
    folders: set[str] = set()
    for source in _tables(list(_table(uv.get("sources")).values())):
        path = source.get("path")
        folders |= _folder(folder, path) if isinstance(path, str) else set()
    space = _table(uv.get("workspace"))
    globs = (*_globs(space.get("members")), *(f"!{one}" for one in _globs(space.get("exclude"))))
    name = _normal(_string(project.get("name")))
    return Manifest(folder, Kind.PYTHON, name, frozenset(names), folders=frozenset(folders), members=globs)


def _folder(folder: str, path: str) -> set[str]:
    """A folder that is named from another one; none when that is outside of the repository."""
    if path.startswith("/"):
        return set()
    named = posixpath.normpath(posixpath.join(folder, path))
    return set() if named.split("/")[0] == ".." else {"" if named == "." else named}


def _globs(found: Any) -> tuple[str, ...]:
    return _ordered(_strings([found]))


def _ordered(globs: Iterable[str]) -> tuple[str, ...]:
    # What is taken back is taken back wherever it stands (pnpm.io/pnpm-workspace_yaml).
    return tuple(sorted(dict.fromkeys(globs), key=lambda one: one.startswith("!")))


def _normal(name: str) -> str:
    # packaging.python.org/specifications/name-normalization
    return re.sub(r"[-_.]+", "-", name).lower()


def _string(found: Any) -> str:
    return found if isinstance(found, str) else ""


def _strings(lists: Iterable[Any]) -> list[str]:
    """All texts of the lists that are lists."""
    return [
        one
        for found in lists
        if isinstance(found, list)
        for one in cast("list[Any]", found)
        if isinstance(one, str)
    ]


def _table(found: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _tables(found: list[Any]) -> Iterator[dict[str, Any]]:
    for one in found:
        inner = cast("list[Any]", one) if isinstance(one, list) else [one]
        yield from (_table(table) for table in inner)


def _json(content: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise _UnreadableError from error
    if not isinstance(found, dict):
        raise _UnreadableError
    return _table(found)


def _toml(content: bytes) -> dict[str, Any]:
    if len(content) > _MAX_TOML or long_key(content) is not None:
        raise _UnreadableError
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        raise _UnreadableError from error


def _yaml(content: bytes) -> dict[str, Any]:
    # Not the C loader: a deeply nested file overflows its stack. Not the safe one: merged keys explode.
    if len(content) > _MAX_YAML or content.count(b"[") + content.count(b"{") > _MAX_BRACKETS:
        raise _UnreadableError
    try:
        return _table(yaml.load(content, Loader=yaml.BaseLoader))  # noqa: S506  makes texts, lists and tables
    except (yaml.YAMLError, ValueError, RecursionError, TypeError) as error:
        raise _UnreadableError from error
