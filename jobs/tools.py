"""Programs of the machine that builds use: where they are, and which version they have."""

import json
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from bot.errors import ErrorCode, UserError

_SECONDS = 20
_ARGUMENT = {"hugo": "version"}


def version_of(tool: str, why: str) -> str:
    """The version of a program on PATH. Raises `UserError` TOOL_MISSING with why it is needed.

    A program that came as an npm package tells it by its package.json, which takes no time; starting
    npm would take 0.2 s and more.
    """
    found = shutil.which(tool)
    if found is None:
        raise UserError(ErrorCode.TOOL_MISSING, tool=tool, why=why)
    path = Path(found).resolve()
    return _packaged_version(path) or _told_version(path, tool)


def versions_of(tools: Iterable[str], why: str) -> dict[str, str]:
    """Versions by name; raises `UserError` TOOL_MISSING at the first that is missing."""
    return {tool: version_of(tool, why) for tool in tools}


def _packaged_version(path: Path) -> str | None:
    if path.suffix not in (".js", ".cjs", ".mjs"):
        return None
    for folder in list(path.parents)[:3]:
        try:
            found = json.loads((folder / "package.json").read_text())
            return str(found["version"])
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return None


def _told_version(path: Path, tool: str) -> str:
    argv = [str(path), _ARGUMENT.get(tool, "--version")]
    try:
        done = subprocess.run(
            argv, capture_output=True, timeout=_SECONDS, check=False, stdin=subprocess.DEVNULL
        )
        told = done.stdout.decode(errors="replace").strip()
    except (OSError, subprocess.TimeoutExpired):
        told = ""
    # A program that does not tell is known by its bytes' size and age.
    status = path.stat()
    return told or f"{path} {status.st_size} {status.st_mtime_ns}"
