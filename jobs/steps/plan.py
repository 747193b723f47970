"""Decides how the app is built: its own settings win over `slipway.toml`, which wins over detection."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence

from bot.domain.deployment import Phase
from bot.domain.ids import Digest
from bot.domain.trust import Trust
from bot.intake.paths import RECIPE_FILE
from jobs.effective import Choice, Effective, effective, snapshot_of
from jobs.files import FolderFiles
from jobs.recipes import nearest, recipe_of
from jobs.steps.context import PLACE_VARIABLES, Context, Plan, Source
from jobs.tools import versions_of

KEY_FORMAT = 1
"""Raised when the same recipe would give another result than before."""


Mentions = Callable[[Sequence[str]], bool]
"""Whether a text file of the commit has one of some words in it."""


def run(context: Context, source: Source, mentions: Mentions) -> Plan:
    """Choose the recipe, say where each part of it comes from, and make the key.

    A build whose files and commands name none of `PLACE_VARIABLES` is not told them: so its result is
    the same wherever it is made, and a preview's can go live in production.

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
    tells_place = _tells_place(recipe, mentions)
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
        key=_key(context, source, recipe, tools=tools, tells_place=tells_place),
        alternatives=tuple(alternatives),
        tells_place=tells_place,
        required=recipe.required.value,
        required_by=recipe.required.origin,
    )


def _tells_place(recipe: Effective, mentions: Mentions) -> bool:
    """Whether the build asks where its result goes; files published as they are can't."""
    commands = " ".join((*recipe.install.value, *recipe.build.value))
    said = any(name in commands for name in PLACE_VARIABLES)
    return bool(recipe.build.value) and (said or mentions(PLACE_VARIABLES))


def _key(
    context: Context, source: Source, recipe: Effective, *, tools: Mapping[str, str], tells_place: bool
) -> Digest:
    """Digest of all that decides the release's content."""
    parts: dict[str, object] = {
        "format": KEY_FORMAT,
        "tree": source.digest,
        "install": recipe.install.value,
        "build": recipe.build.value,
        "outputs": recipe.outputs.value,
        "spa": recipe.spa,
        "tools": tools,
    }
    if recipe.install.value or recipe.build.value:
        # Files published as they are are the same whatever the variables.
        parts |= {"variables": context.variables.digest} if context.variables.digest else {}
    if context.trust is Trust.STRANGER:
        # Found again by the same pull request alone: a stranger's build can make anything of a tree.
        parts["stranger"] = context.environment.name
    if tells_place:
        parts["branch"] = context.deployment.branch
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
