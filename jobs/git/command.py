"""The only module that runs git, with nothing of the machine's or the user's configuration."""

import fcntl
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from bot import troubles
from jobs.git.remotes import mask

QUICK_SECONDS = 60
FETCH_SECONDS = 600
STALL_SECONDS = 30
"""A transfer that brings less than 1 kB/s for so long is given up."""
LOOK_SECONDS = 5
"""For a look over all files of a commit, of which it may name more than there can be."""
MOST_OUTPUT = 64 * 1024 * 1024
MEMORY = 2 * 1024 * 1024 * 1024
"""Bytes that a command may say, and that it may keep in memory besides the files that it maps."""
_TICK = 0.05
NO_OBJECT = ("", "", 0)

# Packs come whole or not at all, where single objects could be left half way by a kill: unpackLimit.
# What keeps git within its memory with large files: bigFileThreshold, windowMemory.
_CONFIG = f"""\
[core]
	hooksPath = /dev/null
	fsmonitor = false
	trustctime = false
	autocrlf = false
	askPass =
	bigFileThreshold = 64m
[pack]
	windowMemory = 128m
[credential]
	helper =
[gc]
	auto = 0
[maintenance]
	auto = false
[submodule]
	recurse = false
[fetch]
	recurseSubmodules = false
	unpackLimit = 1
	fsckObjects = false
[http]
	lowSpeedLimit = 1000
	lowSpeedTime = {STALL_SECONDS}
[safe]
	directory = *
[uploadpack]
	allowAnySHA1InWant = true
[advice]
	detachedHead = false
"""
# What git needs of ours: programs, ssh's keys, proxies and certificates.
_PASSED_ON = (
    "PATH HOME SSH_AUTH_SOCK TMPDIR http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY "
    "ALL_PROXY NO_PROXY SSL_CERT_FILE SSL_CERT_DIR GIT_SSL_CAINFO GIT_SSH_COMMAND"
).split()


_SSH = f"ssh -oBatchMode=yes -oConnectTimeout=15 -oServerAliveInterval={STALL_SECONDS // 2}"


@dataclass(frozen=True)
class Answer:
    """What a git command left behind."""

    code: int
    out: bytes
    error: str

    @property
    def last_line(self) -> str:
        """The last line of its complaint, without credentials."""
        lines = [line.strip() for line in self.error.splitlines() if line.strip()]
        return mask(lines[-1]) if lines else f"git ended with exit code {self.code}"

    @property
    def objects(self) -> list[tuple[str, str, int]]:
        """What `cat-file --batch-check` told, line by line: type, id and size."""
        told = (line.split() for line in self.out.decode(errors="replace").split("\n")[:-1])
        return [
            (words[1], words[0], int(words[2])) if len(words) == 3 and words[2].isdigit() else NO_OBJECT
            for words in told
        ]


class GitFailedError(Exception):
    """A git command ended with an error that nobody expected."""

    def __init__(self, argv: Sequence[str], answer: Answer) -> None:
        self.answer = answer
        super().__init__(f"git {argv[0]}: {answer.last_line}")


class TooMuchError(GitFailedError):
    """What was asked about has more in it than anybody wants to hear of."""


class GitStoppedError(Exception):
    """A git command was ended, or not begun, because the work was stopped."""


def never() -> bool:
    """For work that nobody stops."""
    return False


@contextmanager
def locked(path: Path, seconds: float, stopped: Callable[[], bool] = never) -> Generator[None]:
    """Hold a lock file; raises `TimeoutError` or `GitStoppedError` when another holds it too long."""
    path.parent.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + seconds
    with path.open("ab") as file:
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            _go_on(end, stopped)
            time.sleep(_TICK)
        yield


def in_variables(settings: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Settings of git as variables: other users can read a command's arguments, but not these."""
    variables = {"GIT_CONFIG_COUNT": str(len(settings))}
    for number, (key, value) in enumerate(settings):
        variables |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
    return variables


class Git:
    """Runs git with nothing of the machine's or the user's configuration, and never waits for a person."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._config = home / "gitconfig"
        home.mkdir(parents=True, exist_ok=True)
        if not self._config.exists() or self._config.read_text() != _CONFIG:
            new = home / f"gitconfig.{os.getpid()}"
            new.write_text(_CONFIG)
            new.replace(self._config)

    def run(
        self,
        argv: Sequence[str],
        *,
        variables: Mapping[str, str] | None = None,
        given: bytes = b"",
        seconds: float = QUICK_SECONDS,
        stopped: Callable[[], bool] = never,
    ) -> Answer:
        """Run `git *argv`, with variables of its own besides those that it always gets.

        At the end of its time (`TimeoutError`), once `stopped()` is true (`GitStoppedError`), or when it
        says more than `MOST_OUTPUT` (`TooMuchError`), it is killed with all that it started. Raises
        `PlatformError` when git tells of a fault of the machine.
        """
        process = self._start(argv, variables or {}, subprocess.PIPE)
        try:
            out, error = _wait(process, given, time.monotonic() + seconds, stopped)
        except BaseException:
            _kill(process)
            raise
        answer = Answer(process.returncode, out, error.decode(errors="replace"))
        fault = troubles.told(mask(answer.error)) if answer.code else None
        if fault is not None:
            raise fault
        return answer

    def ssh_with(self, options: Sequence[str]) -> dict[str, str]:
        """Variables that give ssh further options; none where the operator has set another command."""
        if not options or "GIT_SSH_COMMAND" in os.environ:
            return {}
        return {"GIT_SSH_COMMAND": shlex.join([*_SSH.split(), *options])}

    def must(self, argv: Sequence[str], *, variables: Mapping[str, str] | None = None) -> bytes:
        """Run a command that works on local files; raises `GitFailedError` unless it succeeds.

        Once more, when something killed it, as the kernel does when memory runs out.
        """
        answer = self.run(argv, variables=variables, seconds=FETCH_SECONDS)
        if answer.code == -signal.SIGKILL:
            answer = self.run(argv, variables=variables, seconds=FETCH_SECONDS)
        if answer.code:
            raise GitFailedError(argv, answer)
        return answer.out

    def look_over(self, argv: Sequence[str]) -> bytes:
        """Run a command that goes over all files of a commit. Raises `TooMuchError`, `GitFailedError`."""
        try:
            answer = self.run(argv, seconds=LOOK_SECONDS)
        except TimeoutError as error:
            raise TooMuchError(argv, Answer(1, b"", f"it took more than {LOOK_SECONDS} s")) from error
        if answer.code:
            # As git says it of its own memory, and zlib of it.
            kind = TooMuchError if "ut of memory" in answer.error else GitFailedError
            raise kind(argv, answer)
        return answer.out

    def keep(self, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start a command that answers questions, and is the caller's to end."""
        return self._start(argv, {}, subprocess.DEVNULL)

    def _start(
        self, argv: Sequence[str], variables: Mapping[str, str], errors: int
    ) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            ["git", *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=self._home,
            env={**self._environment(), **variables},
            start_new_session=True,
            bufsize=0,
        )
        if sys.platform == "linux":
            # Not the address space: that counts the packs, too, which are only mapped.
            with suppress(OSError):
                resource.prlimit(process.pid, resource.RLIMIT_DATA, (MEMORY, MEMORY))
        return process

    def _environment(self) -> dict[str, str]:
        passed_on = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        fixed = {
            "LC_ALL": "C.UTF-8",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": str(self._config),
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": "file:ssh:http:https",
            "GIT_CEILING_DIRECTORIES": str(self._home.parent),
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
        }
        return {"GIT_SSH_COMMAND": _SSH} | passed_on | fixed


def _wait(
    process: subprocess.Popen[bytes], given: bytes, end: float, stopped: Callable[[], bool]
) -> tuple[bytes, bytes]:
    rest: bytes | None = given
    while True:
        try:
            return process.communicate(rest, timeout=_TICK)
        except subprocess.TimeoutExpired as late:
            rest = None
            if len(late.output or b"") > MOST_OUTPUT:
                said = f"it said more than {MOST_OUTPUT:,} bytes"
                raise TooMuchError(["git"], Answer(1, b"", said)) from late
            _go_on(end, stopped)


def _go_on(end: float, stopped: Callable[[], bool]) -> None:
    if stopped():
        raise GitStoppedError
    if time.monotonic() > end:
        raise TimeoutError("it took too long")


def _kill(process: subprocess.Popen[bytes]) -> None:
    # On a SIGTERM git removes its lock files; what does not listen is killed.
    for number, seconds in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()
