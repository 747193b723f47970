"""Which changed files concern an app: ordered globs as in `.gitignore`, the last match wins. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
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
_ALWAYS = LOCK_FILES | {RECIPE_FILE}


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


def touches(patterns: Sequence[str], root_directory: str, changed: Sequence[str] | None) -> PathVerdict:
    """Decide whether changed files (None when unknown; paths from the repository's top) concern an app.

    Patterns are relative to the repository's top too. Without any, or before a first pattern that
    begins with `!`, everything below the root directory counts. Lock files and `slipway.toml` of the
    root directory and of the folders above it always count. When unsure: it concerns the app.
    """
    if changed is None:
        return PathVerdict(True, None, "which files changed is not known")
    if not changed:
        return PathVerdict(True, None, "no file changed")
    rules = _Rules(patterns, root_directory)
    last = "no changed file"
    for file in changed:
        counts, last = rules.verdict(file)
        if counts:
            return PathVerdict(True, file, last)
    return PathVerdict(False, changed[-1], last)


class _Rules:
    """The rules of one app, ready to be asked."""

    def __init__(self, patterns: Sequence[str], root_directory: str) -> None:
        self._patterns = patterns
        self._spec = _spec(patterns)
        self._root = root_directory.strip("/")
        self._all_below_root = not patterns or patterns[0].startswith("!")

    def verdict(self, file: str) -> tuple[bool, str]:
        folder, _, name = file.rpartition("/")
        if name in _ALWAYS and (self._is_below_root(file) or _is_above(folder, self._root)):
            return True, f"{name} always counts"
        found = self._spec.check_file(file)
        if found.include is not None:
            assert found.index is not None
            return found.include, f"the pattern '{self._patterns[found.index]}'"
        if self._all_below_root:
            where = self._root or "the repository"
            below = self._is_below_root(file)
            return below, f"it is in {where}" if below else f"it is outside of {where}"
        return False, "no pattern names it"

    def _is_below_root(self, file: str) -> bool:
        return not self._root or file.startswith(self._root + "/")


def _is_above(folder: str, root: str) -> bool:
    while root:
        root = dirname(root)
        if folder == root:
            return True
    return folder == ""


def _spec(patterns: Sequence[str]) -> PathSpec:  # pyright: ignore[reportUnknownParameterType, reportMissingTypeArgument]
    return PathSpec.from_lines("gitignore", patterns)
