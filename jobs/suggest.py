"""Which directories of a repository can be made an app, and how each would be built. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import Any

from bot.intake.paths import RECIPE_FILE
from jobs.detection import Detected, detect
from jobs.managers import ChosenManager, choose_manager
from jobs.snapshot import NESTED, READ, Package, Snapshot, parse_package

MAX_DEPTH = 3
"""How many folders deep an app is looked for."""
MAX_DIRECTORIES = 40
"""Directories that are looked at, the least deep first."""
MAX_BYTES = 1024 * 1024
_SIGNS = {
    "package.json",
    "index.html",
    "mkdocs.yml",
    "mkdocs.yaml",
    "_config.yml",
    "hugo.toml",
    "hugo.yaml",
    "hugo.json",
    "config.toml",
    RECIPE_FILE,
}
_NOT_OURS = {
    "node_modules",
    "vendor",
    "test",
    "tests",
    "fixtures",
    "example",
    "examples",
    "dist",
    "build",
    "public",
}

Read = Callable[[str, int], bytes | None]
"""Gives a file's content by its path and the most bytes that it may have."""


@dataclass(frozen=True)
class Suggestion:
    """A directory (empty: the repository's top) that can be made an app."""

    root: str
    framework: str
    confidence: str
    evidence: tuple[str, ...]
    build: str
    output: str
    install: str = ""
    manager: str = ""

    def facts(self) -> dict[str, Any]:
        """As an errand's result keeps it."""
        return {**asdict(self), "evidence": list(self.evidence)}


def suggest(names: Sequence[str], read: Read, root: str | None = None) -> list[Suggestion]:
    """What can be made an app: the root that is named, else the top and what lies below, least deep first."""
    directories = [root.strip("/")] if root is not None else _directories(names)
    found = [_look(directory, names, read) for directory in directories]
    return [one for one in found if one is not None]


def chosen(suggestions: Sequence[Suggestion]) -> Suggestion | None:
    """The one that is meant, when that is clear: the repository's top, or the only one there is."""
    if suggestions and (suggestions[0].root == "" or len(suggestions) == 1):
        return suggestions[0]
    return None


def _directories(names: Sequence[str]) -> list[str]:
    found = {""}
    for name in names:
        path = PurePosixPath(name)
        folders = path.parts[:-1]
        if path.name in _SIGNS and len(folders) <= MAX_DEPTH and not _NOT_OURS.intersection(folders):
            found.add("/".join(folders))
    return sorted(found, key=lambda one: (one.count("/") + bool(one), one))[:MAX_DIRECTORIES]


def _look(root: str, names: Sequence[str], read: Read) -> Suggestion | None:
    prefix = f"{root}/" if root else ""
    inside = [name.removeprefix(prefix) for name in names if name.startswith(prefix)]
    here = {name.partition("/")[0] for name in inside}
    nested = {one for one in NESTED if any(name == one or name.startswith(f"{one}/") for name in inside)}
    texts = {
        name: content.decode(errors="replace")
        for name in READ
        if name in here and (content := read(prefix + name, MAX_BYTES)) is not None
    }
    snapshot = Snapshot(frozenset(here | nested), _package(prefix, here, read), texts)
    manager = choose_manager(snapshot)
    detected = detect(snapshot, manager.manager if manager else None)
    if detected is None:
        own = RECIPE_FILE in here
        return Suggestion(root, RECIPE_FILE, "certain", (f"{RECIPE_FILE} is there",), "", "") if own else None
    return Suggestion(
        root,
        detected.framework,
        detected.confidence.value,
        detected.evidence,
        " ".join(detected.build),
        " or ".join(detected.outputs),
        " ".join(_install(detected, manager)),
        manager.manager.name if manager and detected.uses_packages else "",
    )


def _install(detected: Detected, manager: ChosenManager | None) -> tuple[str, ...]:
    if manager is None or not detected.uses_packages:
        return detected.install
    return manager.manager.frozen if manager.lock else manager.manager.loose


def _package(prefix: str, here: set[str], read: Read) -> Package | None:
    content = read(f"{prefix}package.json", MAX_BYTES) if "package.json" in here else None
    try:
        return parse_package(content) if content is not None else None
    except ValueError:
        return None
