"""Decides how the app is built: its own settings win over `slipway.toml`, which wins over detection."""

import hashlib
import json
from collections.abc import Mapping

from bot.domain.deployment import Phase
from bot.domain.ids import Digest
from bot.intake.paths import RECIPE_FILE
from jobs.effective import Choice, Effective, effective, snapshot_of
from jobs.files import FolderFiles
from jobs.recipes import nearest, recipe_of
from jobs.steps.context import Context, Plan, Source
from jobs.tools import versions_of

KEY_FORMAT = 1
"""Raised when the same recipe would give another result than before."""


def run(context: Context, source: Source) -> Plan:
    """Choose the recipe, say where each part of it comes from, and make the key.

    Raises `UserError` RECIPE_INVALID, NOTHING_DETECTED or TOOL_MISSING.
    """
    files = FolderFiles(source.tree)
    file = nearest(files, context.app)
    part = recipe_of(file, context.app)
    root = source.root.relative_to(source.tree).as_posix()
    snapshot = snapshot_of(files, "" if root == "." else root)
    recipe = effective(context.app, part, snapshot, file.path if file else RECIPE_FILE)
    tools = versions_of(recipe.tools, recipe.why)
    _explain(context, recipe, tools)
    output, *alternatives = recipe.outputs.value
    manager = recipe.manager
    return Plan(
        framework=recipe.framework,
        evidence=recipe.evidence,
        package_manager=manager.manager.name if manager else None,
        install=recipe.install.value,
        build=recipe.build.value,
        output=output,
        # A workspace's dependencies are not in the root directory alone, so they are not kept by its lock.
        lock_files=(manager.lock,) if manager and manager.lock and not manager.is_above else (),
        spa=recipe.spa,
        key=_key(context, source, recipe, tools),
        alternatives=tuple(alternatives),
    )


def _key(context: Context, source: Source, recipe: Effective, tools: Mapping[str, str]) -> Digest:
    """Digest of all that decides the release's content.

    A build sees the environment's name and address, so what it makes in one environment is not used
    in another; files that are published as they are don't depend on it.
    """
    parts: dict[str, object] = {
        "format": KEY_FORMAT,
        "tree": source.digest,
        "install": recipe.install.value,
        "build": recipe.build.value,
        "outputs": recipe.outputs.value,
        "spa": recipe.spa,
        "tools": tools,
    }
    if recipe.build.value:
        parts["environment"] = context.environment.name
        parts["url"] = context.settings.site_url(context.environment.hostname)
    return Digest(hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest())


def _explain(context: Context, recipe: Effective, tools: Mapping[str, str]) -> None:
    def say(text: str) -> None:
        context.log.say(Phase.PLAN, text)

    evidence = f": {', '.join(recipe.evidence)}" if recipe.evidence else ""
    say(f"{recipe.framework}{evidence}")
    if recipe.install.value:
        say(f"install: {_shown(recipe.install)}")
    if recipe.manager is not None and recipe.manager.lock is None:
        name = recipe.manager.manager.name
        say(f"warning: there is no lock file, so {name} may install other versions each time; commit one")
    say(f"build: {_shown(recipe.build)}" if recipe.build.value else "build: nothing to run")
    say(f"output: {' or '.join(recipe.outputs.value)} ({recipe.outputs.origin})")
    if tools:
        say(", ".join(f"{name} {version}" for name, version in tools.items()))


def _shown(choice: Choice) -> str:
    return f"{choice.command} ({choice.origin})"
