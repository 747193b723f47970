"""Which changed files concern an app: ordered globs as in `.gitignore`, the last match wins. Pure."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import dirname

from pathspec import PathSpec

LOCK_FILES = frozenset(
    {
        "package-lock.json",
        "npm-shrinkwrap.json",
        "pnpm-lock.yaml",
        "yarn.lock",
        "bun.lock",
        "bun.lockb",
        "Gemfile.lock",
        "uv.lock",
        "poetry.lock",
        "requirements.txt",
        "go.sum",
    }
)
RECIPE_FILE = "slipway.toml"
_MAX_SHOWN = 120
_TSCONFIG = re.compile(r"tsconfig[A-Za-z0-9._-]*\.json")
_ALWAYS = LOCK_FILES | {RECIPE_FILE}
CONFIGURATION = frozenset(
    {
        "package.json",
        "pnpm-workspace.yaml",
        ".pnpmfile.cjs",
        ".npmrc",
        ".yarnrc",
        ".yarnrc.yml",
        "bunfig.toml",
        ".nvmrc",
        ".node-version",
        ".tool-versions",
        "turbo.json",
        "nx.json",
        "lerna.json",
        "babel.config.js",
        "babel.config.json",
        "pyproject.toml",
        "uv.toml",
        ".python-version",
    }
)
"""Files of a workspace's folder that can change what its packages become; `tsconfig*.json` is too."""
CONFIGURATION_FOLDERS = ("patches", ".yarn")


@dataclass(frozen=True)
class Scope:
    """Where an app's sources are. Folders are relative to the repository's top, which is ''.

    `needs` tells by folder why the app needs it; `workspace` is the folder of the workspace that the app
    belongs to, None when it belongs to none. `unsure` says why anything may concern the app; empty when
    the rest can be relied on.
    """

    root: str = ""
    needs: Mapping[str, str] = field(default_factory=dict[str, str])
    workspace: str | None = None
    unsure: str = ""


@dataclass(frozen=True)
class PathVerdict:
    """Whether a change concerns an app, and what decided it: the file, if any, and the rule in words."""

    touches: bool
    file: str | None
    rule: str


def pattern_problem(pattern: str) -> str | None:
    """What is wrong with a glob, in words; None when nothing is."""
    if not pattern.strip() or pattern.startswith("#"):
        return "it is empty or a comment"
    if pattern.startswith(("/", "!/", "./", "!./")):
        return "it is relative to the repository's top already; leave out the beginning"
    try:
        _spec([pattern])
    except ValueError as error:
        return str(error)
    return None


def configures(name: str) -> bool:
    """Whether a file of that name in a workspace's folder can change what its packages become."""
    return name in CONFIGURATION or name in LOCK_FILES or bool(_TSCONFIG.fullmatch(name))


def touches(patterns: Sequence[str], scope: Scope, changed: Sequence[str] | None) -> PathVerdict:
    """Decide whether changed files (None when unknown; paths from the repository's top) concern an app.

    Patterns are relative to the repository's top too. Without any, or before a first pattern that
    begins with `!`, all of the app's scope counts: its root directory, what that needs, and the
    configuration of its workspace. Lock files and `slipway.toml` of the root directory and of the
    folders above it always count. When unsure: it concerns the app.
    """
    if changed is None:
        return PathVerdict(True, None, "which files changed is not known")
    if not changed:
        return PathVerdict(True, None, "no file changed")
    rules = _Rules(patterns, scope)
    last = "no changed file"
    for file in changed:
        counts, last = rules.verdict(file)
        if counts:
            return PathVerdict(True, shown_path(file), last)
    return PathVerdict(False, shown_path(changed[-1]), last)


class _Rules:
    """The rules of one app, ready to be asked."""

    def __init__(self, patterns: Sequence[str], scope: Scope) -> None:
        self._patterns = patterns
        self._spec = _spec(patterns)
        self._scope = scope
        self._root = scope.root.strip("/")
        self._by_scope = not patterns or patterns[0].startswith("!")

    def verdict(self, file: str) -> tuple[bool, str]:
        folder, _, name = file.rpartition("/")
        if name in _ALWAYS and (self._is_below_root(file) or _is_above(folder, self._root)):
            return True, f"{name} always counts"
        found = self._spec.check_file(file)
        if found.include is not None:
            assert found.index is not None
            return found.include, f"the pattern '{self._patterns[found.index]}'"
        return self._in_scope(file) if self._by_scope else (False, "no pattern names it")

    def _in_scope(self, file: str) -> tuple[bool, str]:
        where = self._root or "the repository"
        if self._is_below_root(file):
            return True, f"it is in {where}"
        for folder, why in self._scope.needs.items():
            if file.startswith(f"{folder}/"):
                return True, why
        if self._scope.workspace is not None and _configures(self._scope.workspace, file):
            return True, f"it configures the workspace that {where} is in"
        if self._scope.unsure:
            return True, self._scope.unsure
        return False, f"it is outside of {where}" + (" and of what that needs" if self._scope.needs else "")

    def _is_below_root(self, file: str) -> bool:
        return not self._root or file.startswith(self._root + "/")


def shown_path(file: str) -> str:
    """A file's name in a sentence: git allows any bytes, lines and lengths."""
    text = file.encode(errors="surrogateescape").decode(errors="replace")
    plain = "".join(character if character.isprintable() else "�" for character in text)
    return plain if len(plain) <= _MAX_SHOWN else f"{plain[:_MAX_SHOWN]}…"


def _configures(workspace: str, file: str) -> bool:
    prefix = f"{workspace}/" if workspace else ""
    first, _, rest = file.removeprefix(prefix).partition("/")
    if not file.startswith(prefix):
        return False
    return first in CONFIGURATION_FOLDERS if rest else configures(first)


def _is_above(folder: str, root: str) -> bool:
    while root:
        root = dirname(root)
        if folder == root:
            return True
    return folder == ""


def _spec(patterns: Sequence[str]) -> PathSpec:  # pyright: ignore[reportUnknownParameterType, reportMissingTypeArgument]
    return PathSpec.from_lines("gitignore", patterns)
