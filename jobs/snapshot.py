"""What is seen of an app's root directory before anything of it runs. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

NEXT_CONFIGS = ("next.config.js", "next.config.mjs", "next.config.ts", "next.config.cjs")
ANGULAR_CONFIG = "angular.json"
READ = (*NEXT_CONFIGS, ANGULAR_CONFIG, "Gemfile")
"""Files of the root directory whose text the rules look at."""
NESTED = ("public/index.html", "docs/.vitepress")
"""Paths below the root directory's first level that the rules look for."""


@dataclass(frozen=True)
class Package:
    """What matters of a package.json. `manager` is its `packageManager`, such as `pnpm@9.1.0`."""

    scripts: Mapping[str, str]
    dependencies: Mapping[str, str]
    manager: str | None
    has_workspaces: bool = False


@dataclass(frozen=True)
class Snapshot:
    """What is seen of a root directory: names, and the texts of the files in `READ` that are there.

    `above` holds the names in the folder of the workspace that the root directory is a part of.
    """

    names: frozenset[str]
    package: Package | None = None
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    above: frozenset[str] = frozenset()


def parse_package(text: bytes) -> Package:
    """Read a package.json; raises `ValueError` unless it is a JSON object."""
    try:
        found: Any = json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(found, dict):
        raise ValueError("not an object")  # noqa: TRY004
    content = cast("dict[str, Any]", found)
    groups = ("dependencies", "devDependencies", "optionalDependencies")
    dependencies = {name: spec for group in groups for name, spec in _strings(content.get(group)).items()}
    manager = content.get("packageManager")
    return Package(
        _strings(content.get("scripts")),
        dependencies,
        manager if isinstance(manager, str) else None,
        has_workspaces=bool(content.get("workspaces")),
    )


def _strings(found: Any) -> dict[str, str]:
    if not isinstance(found, dict):
        return {}
    pairs = cast("dict[Any, Any]", found)
    return {key: value for key, value in pairs.items() if isinstance(key, str) and isinstance(value, str)}
