"""The effective values of an app, and where each comes from, as `slipway config show` tells them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from bot.domain.app import App
from bot.intake.mistakes import key_of, shown
from bot.intake.recipe import Reading, origin, read
from bot.intake.recipe_file import Policy
from bot.intake.toml_places import Path
from jobs.effective import DETECTED, SETTINGS, Choice, Effective
from jobs.recipes import RecipeFile

DEFAULT = "default"


@dataclass(frozen=True)
class Value:
    """A key as slipway.toml has it, its value as JSON has it, and where that comes from in words."""

    key: str
    value: Any
    origin: str


@dataclass(frozen=True)
class Source:
    """A slipway.toml, read, and where it was found, such as ` on main`."""

    file: RecipeFile
    reading: Reading
    where: str

    def says(self, app: str, path: Path) -> str | None:
        """Where the file says a value for an app; None when it doesn't."""
        found = origin(self.reading.values, app, path)
        if found is None:
            return None
        return f"{self.file.path}{self.where}, line {self.reading.places.of(found).line}"


def source_of(file: RecipeFile | None, where: str = "") -> Source | None:
    """Read a file for its places."""
    return Source(file, read(file.content), where) if file else None


def build_values(app: App, root: str, recipe: Effective, source: Source | None) -> list[Value]:
    """What builds the app."""

    def says(key: str) -> str | None:
        return source.says(app.slug, ("build", key)) if source else None

    def said(choice: Choice, key: str) -> str:
        if source is not None and choice.origin == source.file.path:
            return says(key) or choice.origin
        return _detected(recipe) if choice.origin in (DETECTED, "") else choice.origin

    rooted = says("root_directory")
    needed = SETTINGS if app.required_variables is not None else says("required_variables")
    spa = source.says(app.slug, ("site", "spa")) if source else None
    manager = recipe.manager
    return [
        Value("build.root_directory", root, SETTINGS if app.root_directory else (rooted or DEFAULT)),
        Value("framework", recipe.framework, _detected(recipe)),
        Value(
            "package_manager", manager.manager.name if manager else None, manager.why if manager else DETECTED
        ),
        Value("build.install", recipe.install.command or None, said(recipe.install, "install")),
        Value("build.command", recipe.build.command or None, said(recipe.build, "command")),
        Value("build.output", " or ".join(recipe.outputs.value), said(recipe.outputs, "output")),
        Value("build.required_variables", list(recipe.required.value), needed or DEFAULT),
        Value("site.spa", recipe.spa, spa or DEFAULT),
    ]


def policy_values(app: App, policy: Policy, source: Source | None, unread: str | None = None) -> list[Value]:
    """The rules that count. `unread` says where they are from, when not from the file."""

    def said(path: Path) -> str:
        return unread or (source.says(app.slug, path) if source else None) or DEFAULT

    flat = _flat(msgspec.to_builtins(policy), ("policy",))
    return [Value(key_of(path), value, said(path)) for path, value in flat]


def text_of(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "(none)"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(shown(one) for one in cast("list[Any]", value)) + "]"
    return "{}" if value == {} else shown(value)


def _detected(recipe: Effective) -> str:
    return f"{DETECTED}: {', '.join(recipe.evidence)}" if recipe.evidence else DEFAULT


def _flat(values: dict[str, Any], path: Path) -> Iterator[tuple[Path, Any]]:
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from _flat(cast("dict[str, Any]", value), (*path, name))
        else:
            yield (*path, name), value
