"""How an app is built: its own settings win over `slipway.toml`, which wins over detection.

What a deployment uses and what `slipway config show` tells are both made here.
"""

from dataclasses import dataclass, replace

from bot.domain.app import App
from bot.errors import ErrorCode, UserError
from bot.intake.recipe_file import BuildRecipe
from jobs.detection import LIKELY_OUTPUTS, RULES, Confidence, Detected, detect
from jobs.files import Files
from jobs.managers import ChosenManager, choose_manager
from jobs.snapshot import NESTED, READ, Package, Snapshot, parse_package

PLAIN = "plain files"
SETTINGS = "the app's settings"
DETECTED = "detected"


@dataclass(frozen=True)
class Choice:
    """A value, and where it comes from: `SETTINGS`, a file's path, `DETECTED`, or why it was chosen."""

    value: tuple[str, ...]
    origin: str

    @property
    def command(self) -> str:
        """A command as people write it."""
        return " ".join(self.value[2:] if self.value[:2] == ("sh", "-c") else self.value)


@dataclass(frozen=True)
class Effective:
    """The effective recipe. `tools` are the programs that it starts, `why` is why they are needed.

    `required` names the variables that must be set.
    """

    framework: str
    evidence: tuple[str, ...]
    manager: ChosenManager | None
    install: Choice
    build: Choice
    outputs: Choice
    spa: bool
    tools: tuple[str, ...] = ()
    why: str = ""
    required: Choice = Choice((), "")


def snapshot_of(files: Files, root: str) -> Snapshot:
    """What is seen of an app's root directory. Raises `UserError` RECIPE_INVALID for its package.json."""
    names = files.names(root) | {name for name in NESTED if files.has(_in(root, name))}
    texts = {
        name: content.decode(errors="replace")
        for name in READ
        if (content := files.read(_in(root, name))) is not None
    }
    return Snapshot(names, _package(files, root), texts, _workspace(files, root))


def effective(app: App, part: BuildRecipe, snapshot: Snapshot, file: str) -> Effective:
    """The recipe of an app, with what its slipway.toml at the path `file` says.

    Raises `UserError` NOTHING_DETECTED when nothing says how.
    """
    return replace(_recipe(app, part, snapshot, file), required=_required(app, part, file))


def _recipe(app: App, part: BuildRecipe, snapshot: Snapshot, file: str) -> Effective:
    manager = choose_manager(snapshot)
    detected = detect(snapshot, manager.manager if manager else None)
    command = _command(app, part, file)
    output = _output(app, part, file)
    if detected is None and command is None and output is None:
        raise _nothing(app, snapshot)
    if detected is None:
        detected = _undetected(snapshot, command)
    build = command or Choice(detected.build, DETECTED)
    outputs = output or Choice(detected.outputs, DETECTED)
    if not build.value:
        was_built = bool(detected.build)
        plain = Choice((".",), "nothing is built") if was_built and output is None else outputs
        name = PLAIN if was_built else detected.framework
        nothing = Choice((), "")
        return Effective(name, detected.evidence, None, nothing, nothing, plain, part.site.spa)
    own = app.install_command
    install = Choice(_shell(own), SETTINGS) if own is not None else None
    install = install or _install(part, detected, manager, build, file=file)
    tools, why = _tools(detected, manager, build)
    return Effective(
        framework=detected.framework,
        evidence=detected.evidence,
        manager=manager,
        install=install,
        build=build,
        outputs=outputs,
        spa=part.site.spa,
        tools=tools,
        why=why,
    )


def _undetected(snapshot: Snapshot, command: Choice | None) -> Detected:
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


def _command(app: App, part: BuildRecipe, file: str) -> Choice | None:
    own = app.build_command
    if own is not None:
        return Choice(_shell(own), SETTINGS)
    if part.build.command is not None:
        return Choice(_shell(part.build.command), file)
    return None


def _output(app: App, part: BuildRecipe, file: str) -> Choice | None:
    own = app.output_directory
    if own:
        return Choice((own,), SETTINGS)
    return Choice((part.build.output,), file) if part.build.output else None


def _required(app: App, part: BuildRecipe, file: str) -> Choice:
    if app.required_variables is not None:
        return Choice(app.required_variables, SETTINGS)
    return Choice(part.build.required_variables, file)


def _install(
    part: BuildRecipe, detected: Detected, manager: ChosenManager | None, build: Choice, *, file: str
) -> Choice:
    if part.build.install is not None:
        return Choice(_shell(part.build.install), file)
    if manager is not None and (detected.uses_packages or build.origin != DETECTED):
        argv = manager.manager.frozen if manager.lock else manager.manager.loose
        return Choice(argv, f"{manager.manager.name}, because {manager.why}")
    return Choice(detected.install, DETECTED)


def _shell(command: str) -> tuple[str, ...]:
    return ("sh", "-c", command) if command.strip() else ()


def _tools(detected: Detected, manager: ChosenManager | None, build: Choice) -> tuple[tuple[str, ...], str]:
    """Programs that the recipe starts, as far as we know them, and why they are needed."""
    evidence = "; ".join(detected.evidence)
    if build.value and build.origin == DETECTED and not detected.uses_packages:
        return (build.value[0],), evidence
    return (manager.manager.tools, manager.why) if manager else ((), evidence)


def _nothing(app: App, snapshot: Snapshot) -> UserError:
    looked_for = ", ".join(dict.fromkeys(rule.framework for rule in RULES))
    seen = ", ".join(sorted(snapshot.names)[:20]) or "no files"
    root = app.root_directory or "the repository's top"
    return UserError(ErrorCode.NOTHING_DETECTED, root=root, seen=seen, looked_for=looked_for)


def _package(files: Files, root: str) -> Package | None:
    path = _in(root, "package.json")
    content = files.read(path)
    if content is None:
        return None
    try:
        return parse_package(content)
    except ValueError as error:
        raise UserError(
            ErrorCode.RECIPE_INVALID,
            file=path,
            key="the file",
            found=str(error),
            expected="a JSON object",
            line=getattr(error, "lineno", 0),
            column=getattr(error, "colno", 0),
            more=0,
        ) from error


def _workspace(files: Files, root: str) -> frozenset[str]:
    """Names in the nearest folder above that holds a workspace of packages."""
    while root:
        root = root.rpartition("/")[0]
        names = files.names(root)
        if "pnpm-workspace.yaml" in names or ("package.json" in names and _has_workspaces(files, root)):
            return names
    return frozenset()


def _has_workspaces(files: Files, folder: str) -> bool:
    try:
        package = parse_package(files.read(_in(folder, "package.json")) or b"{}")
    except ValueError:
        return False
    return package.has_workspaces


def _in(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
