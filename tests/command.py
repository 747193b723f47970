"""Runs the command line: in this process, unless the command goes on as another program."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Generator, Mapping
from dataclasses import dataclass

from bot.cli.main import main

CLI = [sys.executable, "-m", "bot.cli.main"]
_PROGRAMS = {"up", "demo", "web", "worker", "sweep", "edge"}


@dataclass(frozen=True)
class Done:
    """What a command ended with."""

    returncode: int
    stdout: str
    stderr: str


def run(words: tuple[str, ...], environment: Mapping[str, str]) -> Done:
    """Run a command as from a shell. Most need no process of their own, whose start takes a second."""
    # What is preloaded, as another clock, is there from a process's start or not at all.
    apart = "LD_PRELOAD" in environment or "--paths" in words
    if apart or words[0] in _PROGRAMS or words[:2] == ("config", "show"):
        command = [*CLI, *words]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=90
        )
        return Done(done.returncode, done.stdout, done.stderr)
    out, err, code = io.StringIO(), io.StringIO(), 0
    with _as_if_started(words, environment), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
    return Done(code, out.getvalue(), err.getvalue())


@contextlib.contextmanager
def _as_if_started(words: tuple[str, ...], environment: Mapping[str, str]) -> Generator[None]:
    own, argv = dict(os.environ), sys.argv
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["slipway", *words]
    try:
        yield
    finally:
        sys.argv = argv
        os.environ.clear()
        os.environ.update(own)
