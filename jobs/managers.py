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
    """The package manager, the lock file that it reads if there is one, and why it was chosen."""

    manager: Manager
    lock: str | None
    why: str


def choose_manager(snapshot: Snapshot) -> ChosenManager | None:
    """The package manager: package.json's own word first, then the lock file, then npm."""
    package = snapshot.package
    if package is None:
        return None
    named, _, version = (package.manager or "").partition("@")
    modern = ".yarnrc.yml" in snapshot.names or re.match(r"[2-9]|1\d", version)
    known = (NPM, PNPM, YARN if modern else YARN_CLASSIC, BUN)
    for manager in known:
        if manager.name == named:
            lock = _lock(manager, snapshot)
            return ChosenManager(manager, lock, f"package.json asks for {package.manager}")
    for manager in known:
        lock = _lock(manager, snapshot)
        if lock:
            return ChosenManager(manager, lock, f"{lock} is there")
    return ChosenManager(NPM, None, "package.json is there, but no lock file")


def _lock(manager: Manager, snapshot: Snapshot) -> str | None:
    return next((name for name in manager.locks if name in snapshot.names), None)
