"""Decides how the app is built: its own settings win over `slipway.toml`, which wins over detection."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from bot.domain.deployment import Phase
from bot.domain.ids import Digest
from bot.errors import ErrorCode, UserError
from bot.intake.paths import RECIPE_FILE
from bot.intake.recipe import build_part
from bot.intake.recipe_file import BuildRecipe
from jobs.detection import LIKELY_OUTPUTS, RULES, Confidence, Detected, detect
from jobs.managers import ChosenManager, choose_manager
from jobs.snapshot import NESTED, READ, Snapshot, parse_package
from jobs.steps.context import PLACE_VARIABLES, Context, Plan, Source
from jobs.tools import versions_of

MAX_BYTES = 1024 * 1024
"""Largest configuration file that is read."""
PLAIN = "plain files"
KEY_FORMAT = 1
"""Raised when the same recipe would give another result than before."""


Mentions = Callable[[Sequence[str]], bool]
"""Whether a text file of the commit has one of some words in it."""


@dataclass(frozen=True)
class _Choice:
    """A value, and where it comes from."""

    value: tuple[str, ...]
    origin: str


@dataclass(frozen=True)
class _Recipe:
    """The effective recipe."""

    framework: str
    evidence: tuple[str, ...]
    manager: ChosenManager | None
    install: _Choice
    build: _Choice
    outputs: _Choice
    spa: bool
    tools: dict[str, str]


def run(context: Context, source: Source, mentions: Mentions) -> Plan:
    """Choose the recipe, say where each part of it comes from, and make the key.

    A build whose files and commands name none of `PLACE_VARIABLES` is not told them: so its result is
    the same wherever it is made, and a preview's can go live in production.

    Raises `UserError` RECIPE_INVALID, NOTHING_DETECTED or TOOL_MISSING.
    """
    file = _recipe_file(source)
    part = build_part(file[1]) if file else BuildRecipe()
    recipe = _effective(context, part, _snapshot(source.root), file[0] if file else RECIPE_FILE)
    _explain(context, recipe)
    output, *alternatives = recipe.outputs.value
    tells_place = _tells_place(recipe, mentions)
    return Plan(
        framework=recipe.framework,
        evidence=recipe.evidence,
        package_manager=recipe.manager.manager.name if recipe.manager else None,
        install=recipe.install.value,
        build=recipe.build.value,
        output=output,
        lock_files=(recipe.manager.lock,) if recipe.manager and recipe.manager.lock else (),
        spa=recipe.spa,
        key=_key(context, source, recipe, tells_place=tells_place),
        alternatives=tuple(alternatives),
        tells_place=tells_place,
    )


def _recipe_file(source: Source) -> tuple[str, bytes] | None:
    """The nearest slipway.toml: the root directory's, else the one at the repository's top."""
    for folder in dict.fromkeys((source.root, source.tree)):
        content = _read(folder / RECIPE_FILE)
        if content is not None:
            return str((folder / RECIPE_FILE).relative_to(source.tree)), content
    return None


def _snapshot(root: Path) -> Snapshot:
    names = {entry.name for entry in root.iterdir()} | {name for name in NESTED if (root / name).exists()}
    texts = {name: content.decode(errors="replace") for name in READ if (content := _read(root / name))}
    content = _read(root / "package.json")
    try:
        package = parse_package(content) if content is not None else None
    except ValueError as error:
        raise UserError(
            ErrorCode.RECIPE_INVALID,
            file="package.json",
            key="the file",
            found=str(error),
            expected="a JSON object",
            line=getattr(error, "lineno", 0),
        ) from error
    return Snapshot(frozenset(names), package, texts)


def _effective(context: Context, part: BuildRecipe, snapshot: Snapshot, file: str) -> _Recipe:
    manager = choose_manager(snapshot)
    detected = detect(snapshot, manager.manager if manager else None)
    command = _command(context, part, file)
    output = _output(context, part, file)
    if detected is None and command is None and output is None:
        raise _nothing(context, snapshot)
    if detected is None:
        detected = _undetected(snapshot, command)
    build = command or _Choice(detected.build, "detected")
    outputs = output or _Choice(detected.outputs, "detected")
    if not build.value:
        was_built = bool(detected.build)
        plain = _Choice((".",), "nothing is built") if was_built and output is None else outputs
        name = PLAIN if was_built else detected.framework
        nothing = _Choice((), "")
        return _Recipe(name, detected.evidence, None, nothing, nothing, plain, part.site.spa, {})
    install = _install(part, detected, manager, build, file=file)
    tools = _tools(detected, manager, build)
    return _Recipe(
        detected.framework, detected.evidence, manager, install, build, outputs, part.site.spa, tools
    )


def _undetected(snapshot: Snapshot, command: _Choice | None) -> Detected:
    has_command = command is not None and bool(command.value)
    return Detected(
        framework="own command" if has_command else PLAIN,
        confidence=Confidence.CERTAIN,
        evidence=(),
        install=(),
        build=(),
        outputs=LIKELY_OUTPUTS if has_command else (".",),
        uses_packages=snapshot.package is not None,
    )


def _command(context: Context, part: BuildRecipe, file: str) -> _Choice | None:
    own = context.app.build_command
    if own is not None:
        return _Choice(_shell(own), "the app's settings")
    if part.build.command is not None:
        return _Choice(_shell(part.build.command), file)
    return None


def _output(context: Context, part: BuildRecipe, file: str) -> _Choice | None:
    own = context.app.output_directory
    if own:
        return _Choice((own,), "the app's settings")
    return _Choice((part.build.output,), file) if part.build.output else None


def _install(
    part: BuildRecipe, detected: Detected, manager: ChosenManager | None, build: _Choice, *, file: str
) -> _Choice:
    if part.build.install is not None:
        return _Choice(_shell(part.build.install), file)
    if manager is not None and (detected.uses_packages or build.origin != "detected"):
        argv = manager.manager.frozen if manager.lock else manager.manager.loose
        return _Choice(argv, f"{manager.manager.name}, because {manager.why}")
    return _Choice(detected.install, "detected")


def _shell(command: str) -> tuple[str, ...]:
    return ("sh", "-c", command) if command.strip() else ()


def _tools(detected: Detected, manager: ChosenManager | None, build: _Choice) -> dict[str, str]:
    """Versions of the programs that the recipe starts, as far as we know them."""
    needed: tuple[str, ...] = manager.manager.tools if manager else ()
    why = manager.why if manager else "; ".join(detected.evidence)
    if build.value and build.origin == "detected" and not detected.uses_packages:
        needed = (build.value[0],)
        why = "; ".join(detected.evidence)
    return versions_of(needed, why)


def _tells_place(recipe: _Recipe, mentions: Mentions) -> bool:
    """Whether the build asks where its result goes; files published as they are can't."""
    commands = " ".join((*recipe.install.value, *recipe.build.value))
    said = any(name in commands for name in PLACE_VARIABLES)
    return bool(recipe.build.value) and (said or mentions(PLACE_VARIABLES))


def _key(context: Context, source: Source, recipe: _Recipe, *, tells_place: bool) -> Digest:
    """Digest of all that decides the release's content."""
    parts: dict[str, object] = {
        "format": KEY_FORMAT,
        "tree": source.digest,
        "install": recipe.install.value,
        "build": recipe.build.value,
        "outputs": recipe.outputs.value,
        "spa": recipe.spa,
        "tools": recipe.tools,
    }
    if tells_place:
        parts["branch"] = context.deployment.branch
        parts["environment"] = context.environment.name
        parts["url"] = context.settings.site_url(context.environment.hostname)
    return Digest(hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest())


def _explain(context: Context, recipe: _Recipe) -> None:
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
    if recipe.tools:
        say(", ".join(f"{name} {version}" for name, version in recipe.tools.items()))


def _shown(choice: _Choice) -> str:
    words = choice.value[2:] if choice.value[:2] == ("sh", "-c") else choice.value
    return f"{' '.join(words)} ({choice.origin})"


def _nothing(context: Context, snapshot: Snapshot) -> UserError:
    looked_for = ", ".join(dict.fromkeys(rule.framework for rule in RULES))
    seen = ", ".join(sorted(snapshot.names)[:20]) or "no files"
    root = context.app.root_directory or "the repository's top"
    return UserError(ErrorCode.NOTHING_DETECTED, root=root, seen=seen, looked_for=looked_for)


def _read(path: Path) -> bytes | None:
    """A regular file's content; what a link points at is not the repository's word."""
    try:
        status = path.lstat()
    except OSError:
        return None
    if not S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
        return None
    return path.read_bytes()
