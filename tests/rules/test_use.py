"""Nothing of ours is there that nothing of ours uses. What only tests use is of no use."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TREES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): ast.parse(
        path.read_bytes()
    )
    for folder in ("bot", "jobs")
    for path in sorted(ROOT.glob(f"{folder}/**/*.py"))
}
NAMED = re.compile(r"((?:bot|jobs)(?:\.\w+)+?)(?::(\w+))?")
"""As commands and programs are named: `bot.cli.run:up`, `bot.web`."""
WHOLE = ""
"""Stands for every name of a module that is run, or imported, by its own name."""
MIGRATIONS = "bot.store.migrations."
"""Alembic finds these by their folder, and calls what it knows by name."""
Use = tuple[str, str]


@pytest.fixture(scope="module")
def used() -> dict[str, set[Use]]:
    """What each module uses: modules, and names in them."""
    return {module: set(uses(module, tree)) for module, tree in TREES.items()}


def uses(module: str, tree: ast.Module) -> Iterator[Use]:
    """What one module uses, of itself and of others."""
    modules: dict[str, str] = {}
    for node in ast.walk(tree):
        match node:
            case ast.ImportFrom(module=str(source), names=names):
                yield from ((source, one.name) for one in names)
                modules |= {one.asname or one.name: f"{source}.{one.name}" for one in names}
            case ast.Import(names=names):
                yield from ((one.name, "main") for one in names)
                modules |= {one.asname: one.name for one in names if one.asname}
            case ast.Name(id=name, ctx=ast.Load()):
                yield module, name
            case ast.Attribute(value=ast.Name(id=name), attr=attribute) if name in modules:
                yield modules[name], attribute
            case ast.Constant(value=str(text)) if named := NAMED.fullmatch(text):
                yield named[1], named[2] or WHOLE
            case ast.Constant(value=str(text)) if text.endswith(".py"):
                yield f"{module.rpartition('.')[0]}.{text.removesuffix('.py')}", WHOLE
            case _:
                pass


def defined(tree: ast.Module) -> Iterator[str]:
    """Names of a module that no decorator hands on."""
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) if not node.decorator_list:
                yield name
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case _:
                pass


def test_every_module_is_used(used: dict[str, set[Use]]):
    others = {use for user, found in used.items() for use in found if use[0] != user}
    known = {module for module, _ in others} | {f"{module}.{name}" for module, name in others}
    packages = {module.rpartition(".")[0] for module in TREES}
    unused = TREES.keys() - packages - known
    assert {one for one in unused if not one.startswith(MIGRATIONS)} == set()


def test_every_name_is_used(used: dict[str, set[Use]]):
    known = set[Use]().union(*used.values())
    there = {
        (module, name)
        for module, tree in TREES.items()
        if (module, WHOLE) not in known and not module.startswith(MIGRATIONS)
        for name in defined(tree)
    }
    assert {use for use in there - known if use[1] != "__all__"} == set()
