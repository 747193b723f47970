"""The package managers of the JavaScript world, and which of them a repository means. Pure."""

import re
from dataclasses import dataclass

from jobs.snapshot import Snapshot


@dataclass(frozen=True)
class Manager:
    """A package manager of the JavaScript world, as commands."""

    name: str
    locks: tuple[str, ...]
    frozen: tuple[str, ...]
    loose: tuple[str, ...]
    script: tuple[str, ...]
    binary: tuple[str, ...]
    tools: tuple[str, ...]


NPM = Manager(
    "npm",
    ("package-lock.json", "npm-shrinkwrap.json"),
    ("npm", "ci"),
    ("npm", "install"),
    ("npm", "run"),
    ("npx", "--no-install"),
    ("node", "npm"),
)
PNPM = Manager(
    "pnpm",
    ("pnpm-lock.yaml",),
    ("pnpm", "install", "--frozen-lockfile"),
    ("pnpm", "install", "--no-frozen-lockfile"),
    ("pnpm", "run"),
    ("pnpm", "exec"),
    ("node", "pnpm"),
)
YARN_CLASSIC = Manager(
    "yarn",
    ("yarn.lock",),
    ("yarn", "install", "--frozen-lockfile"),
    ("yarn", "install"),
    ("yarn", "run"),
    ("yarn", "run"),
    ("node", "yarn"),
)
# From version 2 on: https://yarnpkg.com/migration/guide
YARN = Manager(
    "yarn",
    ("yarn.lock",),
    ("yarn", "install", "--immutable"),
    ("yarn", "install", "--no-immutable"),
    ("yarn", "run"),
    ("yarn", "run"),
    ("node", "yarn"),
)
BUN = Manager(
    "bun",
    ("bun.lock", "bun.lockb"),
    ("bun", "install", "--frozen-lockfile"),
    ("bun", "install"),
    ("bun", "run"),
    ("bun", "x", "--no-install"),
    ("bun",),
)


@dataclass(frozen=True)
class ChosenManager:
    """The package manager, the lock file that it reads if there is one, and why it was chosen.

    `is_above` tells that the lock file is a workspace's, in a folder above.
    """

    manager: Manager
    lock: str | None
    why: str
    is_above: bool = False


def choose_manager(snapshot: Snapshot) -> ChosenManager | None:
    """The package manager: package.json's own word first, then the lock file, then npm."""
    package = snapshot.package
    if package is None:
        return None
    named, _, version = (package.manager or "").partition("@")
    seen = snapshot.names | snapshot.above
    modern = ".yarnrc.yml" in seen or re.match(r"[2-9]|1\d", version)
    known = (NPM, PNPM, YARN if modern else YARN_CLASSIC, BUN)
    for manager in known:
        if manager.name == named:
            why = f"package.json asks for {package.manager}"
            lock = _lock(manager, snapshot.names)
            above = _lock(manager, snapshot.above) if lock is None else None
            return ChosenManager(manager, lock or above, why, is_above=above is not None)
    for manager in known:
        if lock := _lock(manager, snapshot.names):
            return ChosenManager(manager, lock, f"{lock} is there")
    for manager in known:
        if lock := _lock(manager, snapshot.above):
            return ChosenManager(manager, lock, f"the workspace has {lock}", is_above=True)
    return ChosenManager(NPM, None, "package.json is there, but no lock file")


def _lock(manager: Manager, names: frozenset[str]) -> str | None:
    return next((name for name in manager.locks if name in names), None)
