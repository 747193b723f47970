"""The tools that builds call: where they are on this machine, and how a box gets to see them.

What lies below `/usr` every box sees. A runtime that lies elsewhere, as nvm's in a home, is bound
piece by piece, so that nothing else of that home comes with it.
"""

import hashlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jobs.sandbox.box import Mount
from jobs.sandbox.profile import SYSTEM_PATH

NAMES = ("node", "npm", "npx", "corepack", "pnpm", "yarn", "bun", "deno", "hugo", "zola")
_SEEN = tuple(Path(name) for name in ("/usr", "/bin", "/sbin", "/nix/store", "/run/current-system/sw"))
_INSIDE = "/opt/tools"
_ELF = b"\x7fELF"


@dataclass(frozen=True)
class Toolchain:
    """What a box needs so that builds find their tools: mounts, the PATH inside, and what is found there."""

    mounts: tuple[Mount, ...]
    path: str
    found: dict[str, Path]

    def fingerprint(self, name: str) -> str:
        """Text that changes when a tool changes; empty when it is not there. Reads only, starts nothing."""
        program = self.found.get(name)
        if program is None:
            return ""
        status = program.stat()
        text = f"{program} {status.st_size} {status.st_mtime_ns}"
        # A packaged script's own size and age stay the same from version to version.
        packages = (folder / "package.json" for folder in list(program.parents)[:3])
        package = next((file for file in packages if file.is_file()), None)
        return f"{text} {hashlib.sha256(package.read_bytes()).hexdigest()}" if package else text


def within_walls(path: str | None = None, names: Sequence[str] = NAMES) -> Toolchain:
    """The tools on a PATH (by default this process's) that a box can be shown, and how."""
    search = os.environ.get("PATH", os.defpath) if path is None else path
    mounts: dict[Path, Mount] = {}
    found: dict[str, Path] = {}
    ahead: dict[str, None] = {}
    for name in names:
        program = shutil.which(name, path=search)
        if program is None:
            continue
        bound = _is_seen(Path(program)) or _bind(Path(program), mounts, ahead)
        if bound:
            found[name] = Path(program).resolve()
    return Toolchain(tuple(mounts.values()), os.pathsep.join([*ahead, SYSTEM_PATH]), found)


def without_walls(names: Sequence[str] = NAMES) -> Toolchain:
    """The tools on this process's own PATH, for commands that see the machine as it is."""
    path = os.environ.get("PATH", os.defpath)
    programs = {name: shutil.which(name, path=path) for name in names}
    return Toolchain(
        (), path, {name: Path(program).resolve() for name, program in programs.items() if program}
    )


def _is_seen(program: Path) -> bool:
    return all(any(place.is_relative_to(seen) for seen in _SEEN) for place in (program, program.resolve()))


def _bind(program: Path, mounts: dict[Path, Mount], ahead: dict[str, None]) -> bool:
    """Plan the mounts that show a tool inside; False when it can't be shown alone, as a shim can't."""
    prefix = program.parent.parent
    packages = prefix / "lib" / "node_modules"
    is_distribution = (
        program.parent.name == "bin" and (prefix / "bin" / "node").exists() and packages.is_dir()
    )
    if is_distribution and program.resolve().is_relative_to(prefix.resolve()):
        inside = next((one.inside for one in mounts.values() if one.host == program.parent), None)
        inside = inside or f"{_INSIDE}/{len(mounts)}/bin"
        mounts[program.parent] = Mount(program.parent, inside)
        mounts[packages] = Mount(packages, f"{inside.removesuffix('/bin')}/lib/node_modules")
        ahead[inside] = None
        return True
    if _is_binary(program):
        mounts[program] = Mount(program.resolve(), f"{_INSIDE}/bin/{program.name}")
        ahead[f"{_INSIDE}/bin"] = None
        return True
    return False


def _is_binary(program: Path) -> bool:
    try:
        with program.open("rb") as file:
            return file.read(len(_ELF)) == _ELF
    except OSError:
        return False
